#!/usr/bin/env bash
# Refreshes per second through HTTP, beside pgbench running the very same statement on the same database in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/bench.sh [--seconds N] [--rounds N] [--connections "1 8 32"] [--no-save]

Measures POST /oauth/token (grant_type=refresh_token) with wrk, and the statement behind it with pgbench, in turns, on the same
server; of several rounds the one with the median share is shown, because a machine's speed changes by the second. Uses DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). Writes infra/load/RESULTS.md
unless --no-save. Needs wrk and pgbench.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
seconds=5 rounds=3 connections="1 8 32" save=true
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --connections) connections=$2; shift 2 ;;
    --no-save) save=false; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "bench.sh: unknown argument '$1', see --help" >&2; exit 2 ;;
  esac
done

pgbench=$(command -v pgbench || find /usr/lib/postgresql -name pgbench 2>/dev/null | sort -V | tail -n 1)
[ -n "$pgbench" ] || { echo "bench.sh: pgbench is missing: install the package postgresql." >&2; exit 1; }
command -v wrk >/dev/null || { echo "bench.sh: wrk is missing: install the package wrk." >&2; exit 1; }
work=$(mktemp -d) pid="" own=false
finish() {
  [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
  ! $own || "$root/infra/dev/services.sh" down --name bench
  rm -rf "$work"
}
trap finish EXIT
if [ -z "${DATABASE_URL:-}" ]; then
  own=true
  eval "$(infra/dev/services.sh up --name bench --no-rabbitmq)"
fi
server=$DATABASE_URL
psql "$server" -qc "DROP DATABASE IF EXISTS gpt_bench WITH (FORCE)" -c "CREATE DATABASE gpt_bench"
export DATABASE_URL=${server%/*}/gpt_bench DATABASE_POOL_SIZE=${DATABASE_POOL_SIZE:-15} AZURE_FUNCTIONS_ENVIRONMENT=Development PORT=${BENCH_PORT:-7091} CLIENT_ID=bench
CLIENT_SECRET=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
export CLIENT_SECRET

echo "Building..." >&2
dotnet build GptFunctions/GptFunctions.csproj -c Release -v quiet -nologo >&2
app=$root/GptFunctions/bin/Release/net10.0/GptFunctions.dll
(cd "$work" && dotnet "$app" setup >&2) # there, so that the keys of make run are left alone
(cd "$work" && exec dotnet "$app" >app.log 2>&1) &
pid=$!
for _ in $(seq 100); do curl -sf -o /dev/null "http://127.0.0.1:$PORT/ready" && break; sleep 0.1; done

seed() { psql "$DATABASE_URL" -q -v secret="$CLIENT_SECRET" -v sessions="$2" -v prefix="$1" -f infra/load/seed.sql; }

http() { # connections, seconds -> requests per second, p50 ms, p99 ms, errors
  local run=http$RANDOM$RANDOM
  export THREADS=$(($1 > 1 ? 2 : 1)) TOKENS=$work/tokens
  seed "$run" $(($1 + 4))
  seq -f "$run-%.0f-0" 0 $(($1 + 3)) >"$TOKENS"
  wrk -t "$THREADS" -c "$1" -d "${2}s" --latency -s infra/load/refresh.lua "http://127.0.0.1:$PORT" | sed -n 's/^RESULT //p'
}

# The statement as the program sends it, caught in the act, with pgbench's values in the places of its parameters.
statement() {
  http 32 20 >"$work/warm-up" & # long enough for the compiler to settle
  local text=""
  while [ -z "$text" ] && kill -0 $! 2>/dev/null; do
    text=$(psql "$DATABASE_URL" -At -c "SELECT query FROM pg_stat_activity WHERE query LIKE 'WITH client AS%rotated AS%' LIMIT 1")
  done
  wait $!
  [[ $text == *"FROM subject" ]] || { echo "bench.sh: the statement is cut off: set track_activity_query_size = 16384 on the server." >&2; exit 1; }
  sed <<<"$text" \
    -e "s/\$12/'127.0.0.1'::text/g; s/\$11/'0123456789abcdef0123456789abcdef'::text/g; s/\$10/md5(:run || '-' || :client_id || '-' || :n)::uuid/g" \
    -e "s/\$9/interval '30 days'/g; s/\$8/NULL/g; s/\$7/NULL::text[]/g" \
    -e "s/\$6/sha256(convert_to(:run || '-' || :client_id || '-' || (:n + 1), 'UTF8'))/g; s/\$5/sha256(convert_to(:run || '-' || :client_id || '-' || :n, 'UTF8'))/g" \
    -e "s/\$4/statement_timestamp()/g; s/\$3/sha256('$CLIENT_SECRET'::bytea)/g; s/\$2/'client_secret_post'/g; s/\$1/'bench'/g"
  printf ';\n\\set n :n + 1\n'
}

database() { # connections, seconds -> statements per second, mean ms
  local run=$RANDOM$RANDOM
  seed "$run" "$1"
  "$pgbench" "$DATABASE_URL" -n -M prepared -f "$work/refresh.sql" -D n=0 -D run="$run" -c "$1" -j 2 -T "$2" 2>"$work/pgbench.log" >"$work/pgbench.out" || { cat "$work/pgbench.log" >&2; exit 1; }
  sed -n -e 's/^tps = \([0-9.]*\).*/\1/p' -e 's/^latency average = \([0-9.]*\) ms/\1/p' "$work/pgbench.out" | tac | tr '\n' ' '
}

echo "Warming up..." >&2
statement >"$work/refresh.sql"

rows=""
for count in $connections; do
  for round in $(seq "$rounds"); do
    echo "$count connection(s), round $round of $rounds, $seconds s each way..." >&2
    read -r tps mean <<<"$(database "$count" "$seconds")"
    read -r rps p50 p99 errors <<<"$(http "$count" "$seconds")"
    awk "BEGIN { printf \"%.1f $rps $p50 $p99 $errors %.0f $mean\n\", 100 * $rps / $tps, $tps }"
  done | sort -n >"$work/rounds"
  read -r share rps p50 p99 errors tps mean <<<"$(sed -n "$(((rounds + 1) / 2))p" "$work/rounds")"
  [ "$(awk '{ sum += $5 } END { print sum }' "$work/rounds")" = 0 ] || { echo "bench.sh: there were errors:" >&2; cat "$work/rounds" >&2; exit 1; }
  rows+="| $count | $rps | $p50 | $p99 | $errors | $tps | $mean | ${share%.*} % |"$'\n'
done

table="| connections | HTTP refreshes/s | p50 ms | p99 ms | errors | pgbench statements/s | mean ms | share |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
$rows"
echo "$table"
if $save; then
  {
    cat infra/load/RESULTS.head.md
    echo
    echo "Measured $(date -u +%Y-%m-%d) on $(nproc) cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) of memory, $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), $(psql "$DATABASE_URL" -At -c 'SHOW server_version' | sed 's/^/PostgreSQL /; s/ (.*//'), .NET $(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \([^ ]*\).*/\1/p' | tail -n 1); load generators, program and database share them. $rounds rounds of $seconds s each way, the one with the median share; pool of $DATABASE_POOL_SIZE connections."
    echo
    echo "$table"
  } >infra/load/RESULTS.md
  echo "written to infra/load/RESULTS.md" >&2
fi
