#!/usr/bin/env bash
# Runs all tests; the last line is "N passed, N failed".
#
# usage: infra/dev/test.sh
#
# Brings its own PostgreSQL and RabbitMQ (services.sh --name test), so that the data of
# make run stays as it is and both can run at once. Servers that run already (make services)
# are used and left running; RabbitMQ of a filtered run starts with the first test that needs it.
# A filtered run builds without the analyzers, and with a compiler that stays for its next ten
# minutes; the whole run analyzes whatever was built without them.
# What this machine lacks is named and then installed. Settings (environment):
#   FILTER=...                             a dotnet test --filter expression
#   TEST_DATABASE_URL, TEST_RABBITMQ_URL   services to use (then DATABASE_URL, RABBITMQ_URL)
# Files: .local/test.log (all output), .local/test-results/*.trx.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '') ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/dev/test.sh --help." ;;
esac

results="$local_dir/test-results"
log="$local_dir/test.log"
analyzed="$local_dir/build-Debug.stamp"
quick="$local_dir/build-Debug-quick.stamp"
restored="$local_dir/restore-Debug.stamp"
tests="$root/GptFunctions.Tests/bin/Debug/net10.0/GptFunctions.Tests.dll"

# need TEXT PACKAGES CHECK...: remembers what has to be installed.
lacking=() packages=() checks=()
need() {
  local text=$1 list=$2; shift 2
  "$@" && return
  # shellcheck disable=SC2206 # a list of packages
  lacking+=("$text") packages+=($list) checks+=("$*")
}
# install_lacking: says what it is going to do to this machine, or what to install; a test
# that needs what is still missing then fails or is counted as skipped.
install_lacking() {
  local i
  [ ${#lacking[@]} -gt 0 ] || return 0
  say "This machine lacks $(printf '%s, ' "${lacking[@]}" | sed 's/, $//')."
  if can_install; then apt_install "${packages[@]}" || true; fi
  for i in "${!lacking[@]}"; do
    ${checks[i]} || say "${lacking[i]} could not be installed: install it (Debian, Ubuntu: apt-get install ${packages[*]}), or the tests that use it fail."
  done
}
node_there() { have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]; }
browser_there() {
  local program
  [ -z "${CHROMIUM:-}" ] || return 0
  for program in chromium chromium-browser google-chrome google-chrome-stable; do
    # Ubuntu's chromium-browser is a stub that asks for a snap.
    if have "$program" && timeout 20 "$program" --version >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

# progress: copies its input; says every 30 s of silence that it is still at it.
progress() {
  local part line='' code t0=$SECONDS
  while :; do
    code=0
    IFS= read -r -t 30 part || code=$?
    line+=$part
    if [ "$code" = 0 ]; then printf '%s\n' "$line"; line=''
    elif [ "$code" -gt 128 ]; then say "... still running ($((SECONDS - t0)) s)"
    else [ -z "$line" ] || printf '%s\n' "$line"; return 0; fi
  done
}

# logged COMMAND...: to .local/test.log and the terminal; a signal to this script ends it.
child=''
logged() {
  local fifo="$local_dir/test.fifo.$$" output code=0
  rm -f "$fifo"
  mkfifo "$fifo"
  tee -a "$log" <"$fifo" | progress & output=$!
  "$@" >"$fifo" 2>&1 </dev/null & child=$!
  wait "$child" || code=$?
  child=''
  wait "$output" || true
  rm -f "$fifo"
  return "$code"
}

# counter NAME: its sum over all result files.
counter() {
  cat "$results"/*.trx 2>/dev/null | sed -n "s/.*<Counters.* $1=\"\([0-9]*\)\".*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}

# failures: the failed tests again, with their messages, because they are far up by then.
failures() {
  printf '\nFailed:\n'
  awk '/^[0-9][0-9]:[0-9:.]* / { next } # the app'"'"'s log
    /^  (Passed|Skipped) / { shown = 0 } /^  Failed / { shown = 1; lines = 0 } shown && lines++ < 25' "$log" | cut -c 1-400 | head -n 300
}

# is_restored: did nothing that a restore reads change since the last build that began with one?
is_restored() {
  local stamp
  [ -f GptFunctions/obj/project.assets.json ] && [ -f GptFunctions.Tests/obj/project.assets.json ] || return 1
  for stamp in "$restored" "$analyzed"; do
    [ -f "$stamp" ] && [ -z "$(find ./*.props ./*.targets ./*.json ./*.config GptFunctions*/*.csproj \
      GptFunctions/Hosting/*.targets -newer "$stamp" -print 2>/dev/null)" ] && return 0
  done
  return 1
}

cleanup() {
  local code=$?
  trap '' INT TERM HUP
  trap - EXIT
  [ -z "$child" ] || { kill -TERM "$child" 2>/dev/null; wait "$child" 2>/dev/null || true; }
  # shellcheck disable=SC2086 # a list of names
  [ -z "$ours" ] || "$dev_dir/services.sh" down --name test $ours
  rm -f "$local_dir/test.fifo.$$"
  [ -z "${summary:-}" ] || printf '%s\n' "$summary"
  exit "$code"
}

ours=''
need_dotnet
cd "$root"
[ -f Functions.sln ] || die "There is no Functions.sln in $root: run this in a checkout of the project."
mkdir -p "$local_dir"
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

need curl "curl ca-certificates" have curl
need "psql 15 or newer" "postgresql-client" have psql
need "Node.js 18 or newer with npm" "nodejs npm" node_there
need "Chromium" "chromium fonts-dejavu-core" browser_there
install_lacking

for service in postgres rabbitmq; do # what runs before us stays when we go
  "$dev_dir/services.sh" status --name test "$service" >/dev/null 2>&1 || ours="$ours $service"
done
# shellcheck disable=SC2086 # an option or nothing
lines=$("$dev_dir/services.sh" up --name test ${FILTER:+--no-rabbitmq}) || die "The services did not start: see above."
TEST_RABBITMQ_URL=${TEST_RABBITMQ_URL:-${RABBITMQ_URL:-}}
eval "$lines"
export TEST_DATABASE_URL="$DATABASE_URL" TEST_RABBITMQ_URL="${TEST_RABBITMQ_URL:-${RABBITMQ_URL:-}}"
unset DATABASE_URL RABBITMQ_URL # no test shall find the developer's by accident

: >"$log"
is_built() { [ -f "$tests" ] && ! build_needed "$1" GptFunctions GptFunctions.Tests; }
if ! is_built "$analyzed" && { [ -z "${FILTER:-}" ] || ! is_built "$quick"; }; then
  t0=$(now)
  say "Building (Debug${FILTER:+, without analyzers}) ..."
  mkdir -p GptFunctions/{bin,obj} GptFunctions.Tests/{bin,obj} # or the projects' directories would look changed
  build=(dotnet build -c Debug -v minimal --nologo -tl:off -clp:NoSummary)
  if [ -n "${FILTER:-}" ]; then
    stamp=$quick
    build+=(GptFunctions.Tests -p:RunAnalyzers=false -p:UseSharedCompilation=true)
    if is_restored; then build+=(--no-restore); else : >"$restored.new"; fi
  else
    stamp=$analyzed
    build+=(Functions.sln --disable-build-servers)
  fi
  : >"$stamp.new"
  logged "${build[@]}" || die "The build failed: see above, or .local/test.log."
  mv "$stamp.new" "$stamp"
  [ ! -f "$restored.new" ] || mv "$restored.new" "$restored"
  say "Built ($(seconds_since "$t0") s)."
else
  say "Nothing changed since the last build: not building."
fi
say "Testing${FILTER:+ ($FILTER)} ..."

t0=$(now)
rm -rf "$results"
arguments=("$tests" --nologo --results-directory "$results"
  --logger "trx;LogFilePrefix=tests" --logger "console;verbosity=normal")
[ -z "${FILTER:-}" ] || arguments+=(--filter "$FILTER")
code=0
logged dotnet test "${arguments[@]}" || code=$?

passed=$(counter passed)
failed=$(($(counter failed) + $(counter error) + $(counter timeout) + $(counter aborted)))
skipped=$(($(counter total) - passed - failed))
[ "$failed" = 0 ] || failures
say "Tested ($(seconds_since "$t0") s); results in .local/test-results, output in .local/test.log."
if [ "$code" != 0 ] && [ "$failed" = 0 ]; then
  say "dotnet test ended with $code although no test failed (a crash of the test process?): counted as one failure, see .local/test.log."
  failed=1
elif [ $((passed + failed)) = 0 ]; then
  say "No test ran${FILTER:+: does anything match FILTER=$FILTER?}"
  code=1
fi
[ "$failed" = 0 ] || code=1
summary="$passed passed, $failed failed"
[ "$skipped" -le 0 ] || summary="$summary, $skipped skipped"
exit "$code"
