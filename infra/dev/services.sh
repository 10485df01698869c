#!/usr/bin/env bash
# Brings PostgreSQL and RabbitMQ for development and tests.
#
# usage: infra/dev/services.sh COMMAND [--name NAME] [--no-rabbitmq] [SERVICE...]
#
#   up      makes them run; prints "export DATABASE_URL=..." and
#           "export RABBITMQ_URL=..." on stdout, everything else on stderr
#   env     prints the same lines for services that run already
#   status  says what runs where
#   down    ends what up started and removes nothing
#   clean   ends it and removes its data
#
#   --name NAME        a separate set of servers: dev (default), test, ...
#   --no-rabbitmq      PostgreSQL only
#   --started-to FILE  up writes there the names of the services it started
#   SERVICE            postgres, rabbitmq (default: both)
#
# For each service, in this order: DATABASE_URL / RABBITMQ_URL when set (for
# --name test TEST_DATABASE_URL / TEST_RABBITMQ_URL first); Docker Compose if an
# engine answers; a private server under .local/services/NAME, from the packages
# of this machine, which are installed first on Debian and Ubuntu as root.
# GPT_SERVICES=local skips Docker. Safe to run several times at once.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=services-private.sh
. "$dev_dir/services-private.sh"
# shellcheck source=services-docker.sh
. "$dev_dir/services-docker.sh"

command='' name=dev services='' without='' started_to=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help_of "$0"; exit ;;
    --name) name=${2:-}; shift ;;
    --no-rabbitmq) without=rabbitmq ;;
    --started-to) started_to=${2:-}; shift ;;
    postgres | rabbitmq) services="$services $1" ;;
    up | down | status | env | clean) [ -z "$command" ] || die "One command at a time: $command or $1."; command=$1 ;;
    *) die "Unknown argument '$1': see infra/dev/services.sh --help." ;;
  esac
  shift
done
[ -n "$command" ] || { help_of "$0" >&2; exit 2; }
[[ $name =~ ^[a-z][a-z0-9-]{0,20}$ ]] || die "--name takes lower-case letters, digits and '-', not '$name'."
services=${services:-postgres rabbitmq}
services=${services/$without/}
state="$local_dir/services/$name"

if [ "$name" = test ]; then
  DATABASE_URL=${TEST_DATABASE_URL:-${DATABASE_URL:-}}
  RABBITMQ_URL=${TEST_RABBITMQ_URL:-${RABBITMQ_URL:-}}
fi

variable() { case $1 in postgres) echo DATABASE_URL ;; *) echo RABBITMQ_URL ;; esac }
title() { case $1 in postgres) echo PostgreSQL ;; *) echo RabbitMQ ;; esac }
given() { local v; v=$(variable "$1"); [ -n "${!v:-}" ]; }

# kind_of SERVICE: given, docker or private when it runs, else nothing.
kind_of() {
  if given "$1"; then echo given
  elif [ -e "$state/$1.docker" ] && docker_running "$1"; then echo docker
  elif private_running "$1"; then echo private; fi
}

url_of() {
  local v port password
  if given "$1"; then v=$(variable "$1"); echo "${!v}"; return; fi
  port=$(cat "$state/$1.port")
  if [ -e "$state/$1.docker" ]; then password=$(cat "$state/docker.password")
  else password=$(cat "$state/$1/password"); fi
  case $1 in
    postgres) echo "postgres://gptfunctions:$password@127.0.0.1:$port/gptfunctions" ;;
    rabbitmq) echo "amqp://gptfunctions:$password@127.0.0.1:$port" ;;
  esac
}

print_env() {
  local s
  for s in $services; do printf 'export %s=%q\n' "$(variable "$s")" "$(url_of "$s")"; done
}
# write_down: the same for dotnet run, which asks no script (DEVELOPMENT_CHECKOUT); only of servers that are ours.
write_down() {
  local s
  [ -d "$state" ] || return 0
  (umask 077 && for s in postgres rabbitmq; do
    if ! given "$s" && [ -n "$(kind_of "$s")" ]; then printf '%s=%s\n' "$(variable "$s")" "$(url_of "$s")"; fi
  done >"$state/environment.new")
  mv "$state/environment.new" "$state/environment"
}

# One at a time for each set of servers; no child may inherit the lock (9>&-).
take_lock() {
  mkdir -p "$state" 2>/dev/null && [ -w "$state" ] || die "Cannot write $state: run as its owner, or remove .local."
  exec 9>"$state/lock"
  have flock || return 0
  flock -n 9 || { say "Waiting for another services.sh ($name) ..."; flock -w 600 9 || die "It did not end within 600 s: look for a hanging services.sh."; }
}

up() {
  local s missing='' failed='' pids='' t0
  for s in $services; do given "$s" || { take_lock; break; }; done
  if [ -n "$started_to" ]; then : >"$started_to"; fi
  for s in $services; do
    case $(kind_of "$s") in
      given) say "$(title "$s"): as $(variable "$s") says, $(hidden "$(url_of "$s")")" ;;
      '') missing="$missing $s" ;;
      *) private_running "$s" && private_ready "$s" 9>&-
        say "$(title "$s"): running on 127.0.0.1:$(cat "$state/$s.port")" ;;
    esac
  done
  [ -n "$missing" ] || { write_down 9>&-; print_env; return; }

  t0=$(now)
  if [ -n "$started_to" ]; then echo "$missing" >"$started_to"; fi
  if docker_answers; then
    say "Starting$missing with docker compose ..."
    # shellcheck disable=SC2086 # a list of names
    docker_up $missing 9>&-
  else
    # shellcheck disable=SC2086 # a list of names
    private_install $missing 9>&-
    say "Starting$missing under .local/services/$name ..."
    # A signal takes effect when the servers are up: down can only end whole ones.
    trap 'failed=143' INT TERM HUP
    for s in $missing; do
      rm -f "$state/$s.docker"
      (trap : INT TERM HUP && private_up "$s") 9>&- & pids="$pids $!"
    done
    for s in $pids; do
      until wait "$s"; do kill -0 "$s" 2>/dev/null || { failed=${failed:-1}; break; }; done
    done
    trap - INT TERM HUP
    [ -z "$failed" ] || exit "$failed"
  fi
  for s in $missing; do say "$(title "$s"): started on 127.0.0.1:$(cat "$state/$s.port")"; done
  say "Services are up ($(seconds_since "$t0") s)."
  write_down 9>&-
  print_env
}

down() {
  local s
  [ -d "$state" ] || return 0
  take_lock
  for s in $services; do
    if [ -e "$state/$s.docker" ]; then docker_stop "$s" 9>&- && say "$(title "$s"): container stopped."
    else private_stop "$s" 9>&-; fi
  done
}

status() {
  local s kind code=0
  for s in $services; do
    kind=$(kind_of "$s")
    case $kind in
      given) say "$(title "$s"): $(hidden "$(url_of "$s")") (from $(variable "$s"))" ;;
      docker) say "$(title "$s"): 127.0.0.1:$(cat "$state/$s.port") (docker compose)" ;;
      private) say "$(title "$s"): 127.0.0.1:$(cat "$state/$s.port") (private server, $(cd -P "$state/$s" && pwd))" ;;
      *) say "$(title "$s"): not running"; code=3 ;;
    esac
  done
  return "$code"
}

case $command in
  up) up ;;
  down) down ;;
  status) status 2>&1 ;;
  env)
    for s in $services; do
      [ -n "$(kind_of "$s")" ] || die "$(title "$s") ($name) does not run: infra/dev/services.sh up --name $name."
    done
    print_env ;;
  clean)
    services='postgres rabbitmq'
    down
    [ -d "$state" ] || exit 0
    docker_remove 9>&-
    private_remove
    rm -rf "$state"
    say "Removed the data of the $name services." ;;
esac
