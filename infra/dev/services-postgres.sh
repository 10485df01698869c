# shellcheck shell=bash disable=SC2154,SC2164
# The private PostgreSQL server. Sourced by services-private.sh.
#
# It listens on 127.0.0.1 only and has no Unix socket (a socket path must be short).
# Passwords (scram) although it is for development: with trust, every local user
# could become its superuser. fsync stays on: the data survives a power cut.

postgres_package() { echo postgresql; }

# postgres_bin: the directory of the programs, newest version >= 15, or the version
# that made the data.
postgres_bin() {
  local dir version best=0 found='' want=''
  want=$(cat "$state/postgres/data/PG_VERSION" 2>/dev/null) || true
  for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(dirname "$(command -v postgres || echo /-)")"; do
    [ -x "$dir/initdb" ] && [ -x "$dir/psql" ] || continue
    version=$("$dir/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    [ "$version" -ge 15 ] && [ "$version" -gt "$best" ] && [ "${want:-$version}" = "$version" ] || continue
    best=$version found=$dir
  done
  if [ -n "$found" ]; then printf '%s\n' "$found"; return; fi
  [ -z "$want" ] || say "The data in $state/postgres needs PostgreSQL $want: install it, or make clean."
  return 1
}
postgres_found() { postgres_bin >/dev/null; }

postgres_pid() {
  local pid data="$state/postgres/data"
  pid=$(head -1 "$data/postmaster.pid" 2>/dev/null) && our_process "$pid" "$data" && echo "$pid"
}

postgres_answers() { "$1/pg_isready" -q -h 127.0.0.1 -p "$(cat "$state/postgres.port")"; }

postgres_ready() {
  local bin
  bin=$(postgres_bin) || exit 1
  wait_until 60 postgres_answers "$bin" ||
    die "PostgreSQL does not answer: see $state/postgres/server.log."
  [ -e "$state/postgres/prepared" ] || postgres_prepare "$bin"
}

postgres_up() {
  local home user bin tries=0 more=''
  bin=$(postgres_bin) || exit 1
  # Databases of tests outlive every process; they need not outlive the machine, as a developer's, and nothing is measured on them.
  # One that is filled with years of use has memory and a log as a server of its own would (infra/sizing.md).
  case $name in
    dev | bench) ;;
    scale) more="-c shared_buffers=$(awk '/MemTotal/ { printf "%d", $2 * 0.55 / 1024 }' /proc/meminfo)MB -c max_wal_size=4GB -c checkpoint_timeout=15min" ;;
    *) more='-c fsync=off -c full_page_writes=off' ;;
  esac
  make_home postgres postgres
  [ "$user" != root ] || die "PostgreSQL refuses to run as root and there is no user postgres: create it (useradd -r postgres)."
  cd "$home"
  if [ ! -e data ]; then
    rm -rf data.new prepared
    [ -s password ] || (umask 077 && new_password >password && chown "$user" password)
    as_user "$user" "$bin/initdb" -D data.new -U postgres --pwfile=password --auth=scram-sha-256 \
      --encoding=UTF8 --locale=C.UTF-8 >initdb.log 2>&1 || { cat initdb.log >&2; die "initdb failed: see above."; }
    mv data.new data
  fi
  # Its process id is gone or another program's: PostgreSQL would not start.
  if [ -e data/postmaster.pid ] && [ -d "/proc/$(head -1 data/postmaster.pid)" ] && ! postgres_pid >/dev/null; then
    rm -f data/postmaster.pid
  fi
  while ! postgres_pid >/dev/null; do
    keep_port "$state/postgres.port"
    as_user "$user" "$bin/pg_ctl" -D data -l server.log -w -t 60 -s start -o "-p $(cat "$state/postgres.port") \
      -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 \
      -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.max=100000 -c track_activity_query_size=16384 \
      -c log_min_messages=warning $more" </dev/null >/dev/null 2>&1 && break
    [ $((tries += 1)) -lt 3 ] || { tail -15 server.log >&2; die "PostgreSQL did not start: see above ($home/server.log)."; }
    [ ! -e "$state/postgres.port" ] || free_port >"$state/postgres.port"
  done
  postgres_ready
}

# The role of the application may create databases; for the tests it is a superuser.
postgres_prepare() {
  local rights='NOSUPERUSER' password
  [ "$name" != test ] || rights='SUPERUSER'
  password=$(cat "$state/postgres/password")
  PGPASSWORD=$password "$1/psql" -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(cat "$state/postgres.port")" \
    -U postgres -d template1 >/dev/null <<SQL || die "Could not prepare the database: see above."
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SELECT 'CREATE ROLE gptfunctions' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gptfunctions') \\gexec
ALTER ROLE gptfunctions LOGIN CREATEDB $rights PASSWORD '$password';
GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO gptfunctions;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO gptfunctions;
SELECT 'CREATE DATABASE gptfunctions OWNER gptfunctions'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'gptfunctions') \\gexec
SQL
  : >"$state/postgres/prepared"
}

postgres_stop() {
  local pid
  pid=$(postgres_pid) || return 0
  end_process "$pid" INT 25 # a fast shutdown
  say "PostgreSQL: stopped."
}
