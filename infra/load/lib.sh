# shellcheck shell=bash disable=SC2154,SC2034 # the scripts set what their usage names
# What the benchmarks share. Sourced from the root of the checkout.

root=$PWD
work=$(mktemp -d) pid="" own=false own_name=bench peers=()
finish() {
  stop_app
  kill "${peers[@]}" 2>/dev/null || true
  ! $own || "$root/infra/dev/services.sh" down --name "$own_name"
  rm -rf "$work"
}
trap finish EXIT

say() { echo "$*" >&2; }
need() { command -v "$1" >/dev/null || { say "${0##*/}: $1 is missing: install the package ${2:-$1}."; exit 1; }; }

need_pgbench() { # Debian keeps it out of PATH
  pgbench=$(command -v pgbench || find /usr/lib/postgresql -name pgbench 2>/dev/null | sort -V | tail -n 1)
  need "${pgbench:-pgbench}" postgresql
}

# options "NAME..." ARGUMENT...: --NAME VALUE sets the variable of that name; --save, --help.
save=false
options() {
  local names=" $1 "; shift
  while [ $# -gt 0 ]; do
    case $1 in
      --save) save=true ;;
      -h | --help) usage; exit 0 ;;
      *)
        [[ $1 == --* && $names == *" ${1#--} "* && $# -gt 1 ]] || { say "${0##*/}: unknown argument '$1', or its value is missing; see --help"; exit 2; }
        printf -v "${1#--}" %s "$2"
        shift ;;
    esac
    shift
  done
}

# begin DATABASE [--no-rabbitmq]: servers, an empty database, a Release build, setup, and a client of the benchmark's own.
begin() {
  if [ -z "${DATABASE_URL:-}" ]; then
    own=true
    eval "$(infra/dev/services.sh up --name bench ${2:+"$2"})"
  fi
  [ -z "${2:-}" ] || unset RABBITMQ_URL
  psql "$DATABASE_URL" -qc "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1"
  export DATABASE_URL=${DATABASE_URL%/*}/$1 DATABASE_POOL_SIZE=${DATABASE_POOL_SIZE:-15} AZURE_FUNCTIONS_ENVIRONMENT=Development PORT=${BENCH_PORT:-7091} CLIENT_ID=bench
  export GPT_REFRESH_LIMIT=1000000 # a benchmark's session is refreshed more often in a second than anybody's in a day
  CLIENT_SECRET=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
  export CLIENT_SECRET
  say "Building..."
  dotnet build GptFunctions/GptFunctions.csproj -c Release -v quiet -nologo >&2
  program setup
}

# program ARGUMENT...: of the program, in a directory of its own, so that the keys of make run are left alone. Prints on standard error.
program() { (cd "$work" && dotnet "$root/GptFunctions/bin/Release/net10.0/GptFunctions.dll" "$@" >&2); }

# start_app [NAME=VALUE...]: the program, until it is ready.
start_app() {
  (cd "$work" && exec env "$@" dotnet "$root/GptFunctions/bin/Release/net10.0/GptFunctions.dll" >app.log 2>&1) &
  pid=$!
  answers "http://127.0.0.1:$PORT/ready" || { tail "$work/app.log" >&2; exit 1; }
}
answers() { for _ in $(seq 100); do curl -sf -o /dev/null "$1" && return; sleep 0.1; done; return 1; }
stop_app() {
  [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
  pid=""
}

# start_peer URL [NAME=VALUE...] COMMAND...: what stands beside the program, until the URL answers.
start_peer() {
  env "${@:2}" & peers+=($!)
  answers "$1" || { say "${0##*/}: nothing answers at $1"; exit 1; }
}

# start_gateway UPSTREAM USERS [NAME=VALUE...]: the program with one route that leads there, which is an MCP tool, too; in $work/access an access token of each user.
start_gateway() {
  local url=http://127.0.0.1:$PORT number answer
  cat >"$work/gateway.json" <<JSON
{ "openapi": "$PWD/infra/config/openapi.json", "mcp": { "path": "/gpt/mcp", "name": "bench" },
  "routes": [{ "name": "searchJobs", "methods": ["GET"], "path": "/gpt/jobs/search", "upstream": "$1", "scope": "jobs:read", "tier": "read" }] }
JSON
  start_app GATEWAY_CONFIG="$work/gateway.json" GATEWAY_READ_LIMIT=1000000 "${@:3}"
  sql -v secret="$CLIENT_SECRET" -v users="$2" -v resource="$url/gpt" -f infra/load/gateway-seed.sql
  for number in $(seq "$2"); do
    answer=$(curl -sf "$url/oauth/token" -d "grant_type=refresh_token&refresh_token=bench-$number&client_id=$CLIENT_ID" \
      --data-urlencode "client_secret=$CLIENT_SECRET")
    sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p' <<<"$answer"
  done >"$work/access"
}

sql() { psql "$DATABASE_URL" -qAt -v ON_ERROR_STOP=1 "$@"; }

# refreshes CONNECTIONS SECONDS [DELAY]: wrk, each connection a session of its own, that waits DELAY milliseconds before it asks again.
# Prints requests per second, p50 ms, p99 ms, errors.
refreshes() {
  local run=http$RANDOM$RANDOM
  export THREADS=$(($1 > 1 ? 2 : 1)) TOKENS=$work/tokens DELAY=${3:-}
  [ -n "$DELAY" ] || unset DELAY
  sql -v secret="$CLIENT_SECRET" -v sessions=$(($1 + 4)) -v prefix="$run" -f infra/load/seed.sql
  seq -f "$run-%.0f-0" 0 $(($1 + 3)) >"$TOKENS"
  wrk -t "$THREADS" -c "$1" -d "${2}s" --latency -s infra/load/refresh.lua "http://127.0.0.1:$PORT" | sed -n 's/^RESULT //p'
}

median() { sort -n | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'; }

machine() {
  echo "Measured $(date -u +%Y-%m-%d) on $(nproc) cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) of memory, $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), PostgreSQL $(sql -c 'SHOW server_version' | sed 's/ (.*//'), .NET $(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \([^ ]*\).*/\1/p' | tail -n 1); load generators, program and servers share them."
}

# save NAME: puts standard input between the marks of that name in RESULTS.md.
save() {
  local results=infra/load/RESULTS.md
  cat >"$work/section"
  awk -v name="$1" -v section="$work/section" '
    $0 == "<!-- /" name " -->" { kept = 1; skipping = 0 }
    !skipping { print }
    $0 == "<!-- " name " -->" { skipping = 1; print ""; while ((getline line < section) > 0) print line; print "" }
    END { exit !kept }' "$results" >"$work/results" || { say "${0##*/}: $results has no marks for $1."; exit 1; }
  cat "$work/results" >"$results"
  say "written to $results"
}
