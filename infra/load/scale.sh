#!/usr/bin/env bash
# Everything after years of use, beside the same with a hundredth of the sessions: requests, purge, look-ups, pages, and the plans of their statements.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/scale.sh [--scale N] [--events N] [--only "fill plans requests purge lookups pages"]
         [--requests "refreshes exchanges revocations calls first_calls"] [--rounds N] [--seconds N] [--connections N] [--save]

Fills two databases on one server: 10,000,000 sessions of a fifth as many people, with three refresh tokens each, and 100,000,000 audit rows
over 24 months, times --scale (1); and 100,000 sessions with as large a share of audit rows. Measures with both, in turns, several rounds (5):

  requests  refreshes, code exchanges, calls through the gateway and revocations, with wrk, for people spread over all that there are
  purge     what one day leaves, so many sessions with their tokens
  lookups   GptFunctions audit tail with each filter
  pages     each page of /operations, with the filters that cost most
  plans     asks a few times for all of these, and writes the plans of their statements, those of both databases compared, into
            infra/load/scale-plans.txt; ends with an error when one reads a large table from end to end

and prints a table of each, of medians, with the ratio of the large database to the small one; --save writes them into infra/load/RESULTS.md.
--only and --requests do some of it. Filling in full takes more than an hour on two cores; the disk is looked at first, and a database that has been
filled with the same numbers is taken as it is, as long as it has sessions that no run before has taken.
Uses DATABASE_URL when set (a server, whose role needs to see pg_stat_statements), else starts a private PostgreSQL that keeps its data for
the next run: infra/dev/services.sh clean --name scale removes it. Plans need the private one, because only a superuser has them written.
Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
# shellcheck source=scale-fill.sh
. infra/load/scale-fill.sh
# shellcheck source=scale-parts.sh
. infra/load/scale-parts.sh
# shellcheck source=scale-looks.sh
. infra/load/scale-looks.sh
# shellcheck source=scale-plans.sh
. infra/load/scale-plans.sh
scale=1 events=0 only="fill plans requests purge lookups pages" requests="refreshes exchanges revocations calls first_calls" rounds=5 seconds=4 connections=32
options "scale events only requests rounds seconds connections" "$@"
sessions=$(awk -v scale="$scale" 'BEGIN { printf "%d", 10000000 * scale }') events=$((events > 0 ? events : 10 * sessions))
[ "$sessions" -ge 10000 ] && [ "$events" -ge 1000 ] || { say "scale.sh: --scale is 0.001 or more, --events 1000 or more."; exit 2; }
! is_func || { say "scale.sh: HOST=func cannot be measured here: this starts the standalone host by itself."; exit 1; }
need wrk

state=.local/services/scale
if [ -z "${DATABASE_URL:-}" ]; then
  own=true own_name=scale
  eval "$(infra/dev/services.sh up --name scale --no-rabbitmq)"
fi
unset RABBITMQ_URL
server=$DATABASE_URL
name_sides "$server" "$sessions" "$events"
CLIENT_SECRET=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
export CLIENT_ID=scale_0 CLIENT_SECRET DATABASE_POOL_SIZE=15 AZURE_FUNCTIONS_ENVIRONMENT=Development PSQL_PAGER='' THREADS=2 \
  PUBLIC_BASE_URL=http://127.0.0.1 GPT_REFRESH_LIMIT=1000000 GPT_MAX_SESSIONS_PER_USER=1000 GPT_MAX_SESSIONS_IN_ALL=10000 \
  GPT_ACCESS_TOKEN_EXPIRY=86400 GATEWAY_READ_LIMIT=1000000 OPERATORS=operator OUTBOX_RELAY=false
port=${BENCH_PORT:-7091}

say "Building..."
dotnet build GptFunctions/GptFunctions.csproj -c Release -v quiet -nologo >&2
dotnet build infra/load/peers.cs -c Release -o "$work/peers" -v quiet --nologo >&2
start_peer "http://127.0.0.1:$((port + 2))" dotnet "$work/peers/peers.dll" upstream $((port + 2))
cat >"$work/gateway.json" <<JSON
{ "openapi": "$PWD/infra/config/openapi.json",
  "routes": [{ "name": "searchJobs", "methods": ["GET"], "path": "/gpt/jobs/search", "upstream": "http://127.0.0.1:$((port + 2))", "scope": "jobs:read", "tier": "read" }] }
JSON

for part in $only; do
  for side in $sides; do
    on "$side"
    room "$(taken "$part")"
  done
  say "--- $part"
  [ "$part" = fill ] || "part_$part"
done
