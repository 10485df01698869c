#!/usr/bin/env bash
# Runs the application under Azure Functions Core Tools (the real Functions host).
#
# usage: infra/dev/func.sh [ARGUMENT OF func start...]
#
# Brings PostgreSQL and RabbitMQ, builds with the worker package instead of the
# standalone host, runs setup and calls func start. PORT as for make run (7071).
# Ctrl-C ends the host and the services this started.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in --help | -h) help_of "$0"; exit ;; esac
PORT=${PORT:-7071}
output="$root/GptFunctions/bin/Debug/net10.0"

need_dotnet
have func || die "Azure Functions Core Tools are not on PATH: npm install -g azure-functions-core-tools@4, then make func again (or make run, which does without them)."
check_port_free make func

mkdir -p "$local_dir"
started="$local_dir/func.started"
rm -f "$started"
cleanup() {
  local code=$?
  trap '' INT TERM HUP
  trap - EXIT
  # shellcheck disable=SC2046 # a list of names
  [ ! -s "$started" ] || "$dev_dir/services.sh" down --name dev $(cat "$started")
  rm -f "$started"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

lines=$("$dev_dir/services.sh" up --name dev --started-to "$started") || die "The services did not start: see above."
eval "$lines"
cd "$root"
say "Building (Debug, worker package) ..."
dotnet build GptFunctions/GptFunctions.csproj -c Debug -p:FunctionsWorker=package -v quiet --nologo -tl:off \
  --disable-build-servers >&2 || die "The build failed: see above."
export PORT PUBLIC_BASE_URL="${PUBLIC_BASE_URL:-http://127.0.0.1:$PORT}" AZURE_FUNCTIONS_ENVIRONMENT="${AZURE_FUNCTIONS_ENVIRONMENT:-Development}"
export AzureWebJobsDisableHomepage=true # ours is at /
say "Running setup ..."
dotnet "$output/GptFunctions.dll" setup >&2 || die "setup failed: see above."
[ -f "$output/host.json" ] || die "There is no host.json in $output: the build is not one for the Functions host."
func start --no-build --script-root "$output" --port "$PORT" "$@"
