#!/usr/bin/env bash
# Runs the application in the foreground; Ctrl-C stops everything it started.
#
# usage: infra/dev/run.sh [run|setup|restart|stop]
#
#   run    brings PostgreSQL and RabbitMQ (infra/dev/services.sh), builds if needed,
#          runs setup and starts the application (default)
#   setup  does the same up to and including setup
#   restart  lets a running run.sh of this checkout start the application anew, with the
#          settings that make connect wrote; does nothing when none runs
#   stop   stops a running run.sh of this checkout, and its services
#
# Settings (environment): PORT (7071); PUBLIC_BASE_URL (http://127.0.0.1:PORT);
# DATABASE_URL and RABBITMQ_URL; GPT_SERVICES=local (no Docker); VERIFICATION_DEADLINE_HOURS
# (0.002: make demo shows the end of an order in seconds); TELEMETRY=1 (brings a collector
# along, infra/dev/telemetry, unless OTEL_EXPORTER_OTLP_ENDPOINT names one); any other
# setting of the application. Files: .local/app.log (what the application prints),
# .local/demo.env (keys of the demo: SERVICE_KEY, VERIFICATION_CALLBACK_SECRET),
# .local/traces.log and .local/metrics.txt (of the collector).

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=environment.sh
. "$dev_dir/environment.sh"

configuration=Release # make test builds Debug: it may run while this does
dll="$root/GptFunctions/bin/$configuration/net10.0/GptFunctions.dll"
stamp="$local_dir/build-$configuration.stamp"
log="$local_dir/app.log"
pids="$local_dir/run.pids"
started="$local_dir/run.started"
url="http://127.0.0.1:${PORT:-7071}"

mode=${1:-run}
case $mode in
  run | setup | restart | stop) ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$mode': see infra/dev/run.sh --help." ;;
esac

# remember ROLE PID: for stop, with the start time, as ids are reused.
remember() { printf '%s %s %s\n' "$1" "$2" "$(start_time "$2")" >>"$pids"; }
remembered() { # ROLE: the process id if that process lives
  local role pid time
  while read -r role pid time; do
    if [ "$role" = "$1" ] && [ -n "$time" ] && [ "$(start_time "$pid")" = "$time" ]; then echo "$pid"; fi
  done 2>/dev/null <"$pids" | tail -n 1
}
ended() { ! kill -0 "$1" 2>/dev/null; }
stop() {
  local role pid
  for role in run app; do # the application only lives on if run.sh was killed
    pid=$(remembered "$role" 2>/dev/null) || true
    [ -n "$pid" ] || continue
    kill -TERM "$pid" 2>/dev/null || true
    wait_until 60 ended "$pid" || die "Process $pid ($role) does not end: kill -9 $pid."
    say "Stopped make run (process $pid)."
  done
  rm -f "$pids"
  "$dev_dir/services.sh" down --name dev
  "$dev_dir/services.sh" down --name test
}
if [ "$mode" = stop ]; then stop; exit; fi
another() { ended "$run" || { app=$(remembered app) && [ -n "$app" ] && [ "$app" != "$before" ] && [ -s "$local_dir/run.url" ]; }; }
restart() {
  local run before app
  run=$(remembered run 2>/dev/null) || true
  before=$(remembered app 2>/dev/null) || true
  [ -n "$run" ] && [ -n "$before" ] || { say "make run does not run here: it starts with this when you start it."; return; }
  rm -f "$local_dir/run.url"
  kill -USR1 "$run"
  wait_until $((${READY_SECONDS:-60} + 30)) another && ! ended "$run" || die "make run did not come back: the end of .local/app.log says why."
  say "make run has started anew (process $(remembered app))."
}
if [ "$mode" = restart ]; then restart; exit; fi

child='' app='' tail_pid='' trail='' collector='' ready=''
# The clean-up, whatever ends this script.
cleanup() {
  local code=$?
  trap '' INT TERM HUP PIPE
  trap - EXIT
  set +e
  [ -z "$child" ] || { kill -TERM "$child" 2>/dev/null; wait "$child" 2>/dev/null; }
  [ -z "$trail" ] || kill -TERM "$trail" 2>/dev/null
  if [ -n "$app" ] && ! ended "$app"; then
    say ''
    say "Stopping the application ..."
    kill -TERM "$app"
    wait_until 25 ended "$app" || { say "It did not stop within 25 s: killing it."; kill -KILL "$app"; }
  fi
  [ -z "$collector" ] || kill -TERM "$collector" 2>/dev/null # after the application, whose last spans it takes
  [ -z "$tail_pid" ] || { sleep 0.2; kill "$tail_pid" 2>/dev/null; }
  # shellcheck disable=SC2046 # a list of names
  [ ! -s "$started" ] || "$dev_dir/services.sh" down --name dev $(cat "$started") 8>&-
  rm -f "$started" "$pids"
  [ -z "$ready" ] || say "Stopped."
  exit "$code"
}
# interrupted CODE: a run that was ready has nothing to complain about.
interrupted() { if [ -n "$ready" ]; then exit 0; else exit "$1"; fi; }

# step COMMAND...: a child that the signals above reach at once.
step() {
  local code=0
  "$@" 8>&- & child=$!
  wait "$child" || code=$?
  child=''
  return "$code"
}

build() {
  local t0
  if [ -f "$dll" ] && ! build_needed "$stamp" GptFunctions; then say "Nothing changed since the last build: not building."; return; fi
  t0=$(now)
  say "Building ($configuration) ..."
  mkdir -p "$root/GptFunctions/bin" "$root/GptFunctions/obj"
  : >"$stamp.new"
  step dotnet build "$root/GptFunctions/GptFunctions.csproj" -c "$configuration" -v quiet --nologo -tl:off \
    --disable-build-servers >&2 || die "The build failed: see above."
  mv "$stamp.new" "$stamp"
  say "Built ($(seconds_since "$t0") s)."
}

setup() {
  local t0
  t0=$(now)
  say "Running setup ..."
  step dotnet "$dll" setup >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "setup failed: see above, all of it is in .local/app.log."; }
  say "Set up ($(seconds_since "$t0") s)."
}

# collect: starts the collector, and tells the application where it is.
collect() {
  [ "${TELEMETRY:-0}" != 0 ] || return 0
  if [ -n "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" ]; then telemetry="$OTEL_EXPORTER_OTLP_ENDPOINT"; return; fi
  step dotnet build "$dev_dir/telemetry/telemetry.csproj" -c "$configuration" -v quiet --nologo -tl:off --disable-build-servers >&2 ||
    die "The collector's build failed: see above."
  rm -f "$local_dir/telemetry.url" "$local_dir/metrics.txt"
  dotnet "$dev_dir/telemetry/bin/$configuration/net10.0/telemetry.dll" "$local_dir" >>"$log" 2>&1 8>&- & collector=$!
  wait_until 20 test -s "$local_dir/telemetry.url" || die "The collector did not start: see .local/app.log."
  OTEL_EXPORTER_OTLP_ENDPOINT=$(cat "$local_dir/telemetry.url")
  export OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_BSP_SCHEDULE_DELAY=500 OTEL_METRIC_EXPORT_INTERVAL=5000
  telemetry="traces in .local/traces.log (tail -f it), metrics in .local/metrics.txt"
}

answers() { [ "$(curl -s -o /dev/null -m 2 -w '%{http_code}' "$url/ready")" = 200 ]; }
ready_or_dead() { ended "$app" || answers; }

client() { sed -n "s/^\(export \)\{0,1\}GPT_$1=//p" "$local_dir/demo-client.env" 2>/dev/null | tr -d "\"'" | head -n 1; }

banner() {
  local id secret uri scope
  id=$(client CLIENT_ID) secret=$(client CLIENT_SECRET)
  uri=$(encode "$(client REDIRECT_URI)")
  read -r scope _ <<<"$(scopes_of "$url")"
  cat <<END

GptFunctions is ready ($(seconds_since "$begin") s).

  Application: $PUBLIC_BASE_URL (process $app, log: .local/app.log)
  ${where//$'\n'/$'\n'  }
  Telemetry: ${telemetry:-none (make run TELEMETRY=1 shows each request as a tree)}

  Demo client: id      ${id:-not found: setup wrote no .local/demo-client.env}
               secret  ${secret:--}

Three things to try, in another terminal:
  make demo                  the whole flow, step by step
  curl -u '$id:$secret' -d token=anything $url/oauth/introspect
  a browser, as a user:      $url/oauth/authorize?response_type=code&client_id=$id&redirect_uri=$uri&scope=$(encode "$scope")&state=try

Below: the log, and audit events as they arrive. Ctrl-C stops all of it.

END
}

# ---- run
need_dotnet
have curl || { can_install && apt_install curl ca-certificates; } || die "curl is missing: install it."
[ -f "$root/GptFunctions/GptFunctions.csproj" ] || die "There is no GptFunctions/GptFunctions.csproj: run this in a checkout of the project."
mkdir -p "$local_dir"
if have flock; then
  # The application inherits this lock: a second run notices it even after a kill -9.
  exec 8>"$local_dir/run.lock"
  flock -n 8 || die "make run already runs in this checkout (process $(p=$(remembered run); echo "${p:-$(remembered app)}")): use it, or make stop."
fi
if [ "$mode" = run ]; then
  check_port_free make run
fi
record_settings
begin=$(now)
rm -f "$pids" "$started"
trap cleanup EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP
remember run $$

rm -f "$local_dir/run.env"
(umask 077 && : >"$local_dir/run.env") # it holds passwords
step "$dev_dir/services.sh" up --name dev --started-to "$started" >"$local_dir/run.env" || die "The services did not start: see above."
where=$("$dev_dir/services.sh" status --name dev 8>&-)
# shellcheck source=/dev/null
. "$local_dir/run.env"
rm -f "$local_dir/run.env"
build
app_environment
cd "$root"
setup
[ "$mode" = run ] || exit 0

telemetry=''
collect
start() {
  say "Starting the application ..."
  dotnet "$dll" >>"$log" 2>&1 </dev/null & app=$!
  remember app "$app"
  if ! wait_until "${READY_SECONDS:-60}" ready_or_dead; then
    tail -n 30 "$log" >&2
    die "The application was not ready within ${READY_SECONDS:-60} s: the end of its log is above, $url/ready says $(curl -s -m 2 -w ' (%{http_code})' "$url/ready" | head -c 500)."
  fi
  if ended "$app"; then
    code=0; wait "$app" || code=$?
    tail -n 30 "$log" >&2
    die "The application ended while starting (exit code $code): the end of its log is above."
  fi
  printf '%s\n' "$url" >"$local_dir/run.url"
}
# anew: the application again, with what make connect has written since.
again=''
anew() {
  say "Starting anew ..."
  kill -TERM "$app" 2>/dev/null || true
  wait_until 25 ended "$app" || kill -KILL "$app"
  again='' ready=''
  unset "${from_api[@]}"
  api
  setup
  start
}
start
banner
ready=yes
trap 'again=yes' USR1
follow=(tail -n 0 -F "$log")
[ ! -d /proc/self ] || follow+=(--pid="$$") # GNU tail ends with this script, however it ends
"${follow[@]}" 2>/dev/null 8>&- & tail_pid=$!
dotnet "$dll" audit tail --follow --since 1s 8>&- & trail=$! # events, as they arrive in the database
while :; do
  code=0; wait "$app" || code=$?
  [ -n "$again" ] || break
  anew
  ready=yes
done
sleep 0.3
ready=''
die "The application ended by itself (exit code $code): see .local/app.log."
