#!/usr/bin/env bash
# Runs a command of the application with the environment of make run, beside it or without it.
#
# usage: infra/dev/cli.sh COMMAND [ARGUMENT...]
#        make cli ARGS="clients list"
#
# --help lists the commands. File names are relative to the checkout. Settings (environment):
# what is set here counts before what make run was started with, PORT among them. The servers
# have to run: make run brings them and ends them, make services leaves them running.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=environment.sh
. "$dev_dir/environment.sh"

[ $# -gt 0 ] || { help_of "$0" >&2; exit 2; }
need_dotnet
dll="$root/GptFunctions/bin/Release/net10.0/GptFunctions.dll"
[ -f "$given" ] && [ -f "$dll" ] || die "Nothing was set up in this checkout yet: make run first (or make setup, which starts nothing)."
take_settings "$given"
check_port make cli ARGS=...
lines=$("$dev_dir/services.sh" env --name dev 2>/dev/null) ||
  die "The servers of this checkout do not run: make run in another terminal, or make services."
eval "$lines"
app_environment
cd "$root"
exec dotnet "$dll" "$@"
