#!/usr/bin/env bash
# Connects an API to this checkout: writes routes, scopes and a client from its OpenAPI document,
# lets a running make run start anew with them, and says what to paste where.
#
# usage: make connect OPENAPI=file-or-url UPSTREAM=http://127.0.0.1:5000 [GPT=g-ID] [PLAN=1] [ARGS=...]
#        infra/dev/connect.sh --openapi FILE-OR-URL --upstream URL [OPTION...]
#
#   PLAN=1  says what would change, and changes nothing
#   ARGS    further options: infra/dev/cli.sh connect --help lists them; what none says is asked
#           for at a terminal, where Enter takes the default
#
# Writes infra/config/api: gateway.json and settings.env are yours to edit and to commit. Run it
# again when the document has changed: what you edited stays, the difference is shown.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=environment.sh
. "$dev_dir/environment.sh"

case ${1:-} in --help | -h) help_of "$0"; exit ;; esac
if [ -n "${OPENAPI:-}${UPSTREAM:-}" ]; then
  [ -n "${OPENAPI:-}" ] && [ -n "${UPSTREAM:-}" ] || die "Give both: make connect OPENAPI=file-or-url UPSTREAM=http://127.0.0.1:5000."
  set -- --openapi "$OPENAPI" --upstream "$UPSTREAM" "$@"
fi
[ $# -gt 0 ] || die "Which API? make connect OPENAPI=file-or-url UPSTREAM=http://127.0.0.1:5000."
[ -z "${GPT:-}" ] || set -- "$@" --gpt "$GPT"
[ -z "${PLAN:-}" ] || set -- "$@" --plan
if grep -qE '^(GATEWAY_CONFIG|GPT_SCOPES)=' "$given" 2>/dev/null; then
  die "make run was started with GATEWAY_CONFIG or GPT_SCOPES, which count before what this writes: start it without them first."
fi

state() { { cat "$api_dir"/* 2>/dev/null || true; } | cksum; }
before=$(state)
"$dev_dir/cli.sh" connect --directory infra/config/api "$@"
if [ "$(state)" != "$before" ]; then echo; "$dev_dir/run.sh" restart; fi
