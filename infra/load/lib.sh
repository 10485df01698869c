# shellcheck shell=bash disable=SC2154,SC2034 # the scripts set what their usage names
# What the benchmarks share. Sourced from the root of the checkout.

root=$PWD
built=$root/GptFunctions/bin/Release/net10.0
work=$(mktemp -d) pid="" group="" own=false own_name=bench peers=()
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

# HOST=func measures the program under the real Functions host, and saves beside the tables of the standalone host.
is_func() { [ "${HOST:-}" = func ]; }
host_title() { if is_func; then echo "Functions host"; else echo "Standalone host"; fi; }
# standalone_only: what starts processes of its own measures no other host.
standalone_only() {
  ! is_func || { say "${0##*/}: HOST=func cannot be measured here: this starts the standalone host by itself."; exit 1; }
  host_help() { :; }
}
host_help() {
  cat <<'TEXT'

HOST=func measures the program under the real Functions host instead of the standalone host. That needs Azure Functions Core Tools 4 on
PATH (func) and package sources that have the Functions worker packages; --save then writes a table of its own below the other one.
TEXT
}
need_func() {
  ! is_func || command -v func >/dev/null ||
    { say "${0##*/}: HOST=func needs Azure Functions Core Tools 4: npm install -g azure-functions-core-tools@4, or measure without HOST=func."; exit 1; }
}

# options "NAME..." ARGUMENT...: --NAME VALUE sets the variable of that name; --save, --help.
save=false
options() {
  local names=" $1 "; shift
  while [ $# -gt 0 ]; do
    case $1 in
      --save) save=true ;;
      -h | --help) usage; host_help; exit 0 ;;
      *)
        [[ $1 == --* && $names == *" ${1#--} "* && $# -gt 1 ]] || { say "${0##*/}: unknown argument '$1', or its value is missing; see --help"; exit 2; }
        printf -v "${1#--}" %s "$2"
        shift ;;
    esac
    shift
  done
  need_func
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
  if is_func; then
    dotnet build GptFunctions/GptFunctions.csproj -c Release -p:FunctionsWorker=package -v quiet -nologo >&2 ||
      { say "${0##*/}: HOST=func needs the Functions worker packages, which did not restore (above): measure without HOST=func, or add a package source that has them."; exit 1; }
  else
    dotnet build GptFunctions/GptFunctions.csproj -c Release -v quiet -nologo >&2
  fi
  program setup
}

# program ARGUMENT...: of the program, in a directory of its own, so that the keys of make run are left alone. Prints on standard error.
program() { (cd "$work" && dotnet "$built/GptFunctions.dll" "$@" >&2); }

# start_app [NAME=VALUE...]: the program, until it is ready. pid: its process; group: that of the Functions host and its worker, where it has one.
start_app() {
  if is_func; then start_func "$@"; return; fi
  (cd "$work" && exec env "$@" dotnet "$built/GptFunctions.dll" >app.log 2>&1) &
  pid=$!
  answers "http://127.0.0.1:$PORT/ready" || { tail "$work/app.log" >&2; exit 1; }
}
# In a process group of its own, because the launcher of func hands no signal on. The worker runs in the script's root, so it gets the keys of the
# setup by name; a startup hook is for the worker's runtime, and the host, which would load it as well, has another.
start_func() {
  local settings=() setting
  while IFS= read -r setting; do settings+=("$setting"); done <"$work/.local/development.env"
  for setting in "$@"; do [[ $setting == DOTNET_STARTUP_HOOKS=* ]] || settings+=("$setting"); done
  (cd "$work" && exec env "${settings[@]}" FUNCTIONS_WORKER_RUNTIME=dotnet-isolated AzureWebJobsDisableHomepage=true AzureWebJobsSecretStorageType=files \
    setsid func start --no-build --script-root "$built" --port "$PORT" >app.log 2>&1) &
  group=$!
  answers "http://127.0.0.1:$PORT/ready" 600 || { tail -n 30 "$work/app.log" >&2; exit 1; }
  pid=$(pgrep -o -g "$group" -f 'GptFunctions\.dll') || { say "${0##*/}: the Functions host runs no worker:"; tail -n 30 "$work/app.log" >&2; exit 1; }
}
answers() { for _ in $(seq "${2:-100}"); do curl -sf -o /dev/null "$1" && return; sleep 0.1; done; return 1; }
stop_app() {
  if [ -n "$group" ]; then
    kill -- "-$group" 2>/dev/null || true
    for _ in $(seq 300); do kill -0 -- "-$group" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$group" 2>/dev/null || true
    wait "$group" 2>/dev/null || true
  elif [ -n "$pid" ]; then
    { kill "$pid" && wait "$pid"; } 2>/dev/null || true
  fi
  pid="" group=""
}

# counted NAME: settings with which a process of .NET says what it has spent, when it is asked.
counted() { echo "ALLOCATIONS_FILE=$work/$1.allocated DOTNET_STARTUP_HOOKS=$work/allocations/allocations.dll"; }
# spent NAME PID -> bytes allocated, milliseconds of processor, so far. Of the Functions host and its worker the processor alone can be seen.
spent() {
  if [ "$2" = "$pid" ] && [ -n "$group" ]; then
    echo "- $(cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk -v group="$group" -v ticks="$(getconf CLK_TCK)" '$3 == group { sum += $12 + $13 } END { print 1000 * sum / ticks }')"
    return
  fi
  rm -f "$work/$1.allocated"
  kill -CONT "$2"
  until [ -s "$work/$1.allocated" ]; do sleep 0.02; done
  cat "$work/$1.allocated"
}
# per_request BEFORE AFTER REQUESTS: of what spent said, "KiB allocated | us of processor" for each request.
per_request() {
  awk -v before="$1" -v after="$2" -v requests="$3" 'BEGIN {
    split(before, b, " "); split(after, a, " ")
    printf "%s | %.0f", a[1] == "-" ? "not seen" : sprintf("%.1f", (a[1] - b[1]) / requests / 1024), 1000 * (a[2] - b[2]) / requests }'
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
  echo "Measured $(date -u +%Y-%m-%d) on $(nproc) cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) of memory, $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), PostgreSQL $(sql -c 'SHOW server_version' | sed 's/ (.*//'), .NET $(dotnet --list-runtimes | sed -n 's/^Microsoft.NETCore.App \([^ ]*\).*/\1/p' | tail -n 1); load generators, program and servers share them. $(host_title)."
}

# save NAME: puts standard input between the marks of that name in RESULTS.md, and draws the chart anew. Of the Functions host: NAME-func, below.
save() {
  local results=infra/load/RESULTS.md name=$1
  cat >"$work/section"
  if is_func; then
    name=$1-func
    grep -qx "<!-- $name -->" "$results" || sed -i "s|^<!-- /$1 -->\$|&\n\n<!-- $name -->\n\n<!-- /$name -->|" "$results"
  fi
  awk -v name="$name" -v section="$work/section" '
    $0 == "<!-- /" name " -->" { kept = 1; skipping = 0 }
    !skipping { print }
    $0 == "<!-- " name " -->" { skipping = 1; print ""; while ((getline line < section) > 0) print line; print "" }
    END { exit !kept }' "$results" >"$work/results" || { say "${0##*/}: $results has no marks for $name."; exit 1; }
  cat "$work/results" >"$results"
  say "written to $results"
  infra/load/chart.sh
}
