#!/usr/bin/env bash
# Calls per second of a tool, beside the plain HTTP call of the same route, in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/mcp.sh [--seconds N] [--rounds N] [--connections "1 8 32"] [--save]

Measures with wrk, in turns: GET /gpt/jobs/search, and tools/call of searchJobs at /gpt/mcp, both through the program with everything on, to an
upstream that answers at once (peers.cs). Of several rounds the one with the median share is shown. Prints a Markdown table, which --save writes
into infra/load/RESULTS.md. Uses DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=4 rounds=3 connections="1 8 32" users=64
options "seconds rounds connections" "$@"
need wrk
begin gpt_mcp --no-rabbitmq
dotnet build infra/load/peers.cs -c Release -o "$work/peers" -v quiet --nologo >&2

gateway=http://127.0.0.1:$PORT upstream=http://127.0.0.1:$((PORT + 1))
export DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1 # the program sets it for itself; its peers get it too
start_peer "$upstream" dotnet "$work/peers/peers.dll" upstream $((PORT + 1))
start_gateway "$upstream" "$users"
export TOKENS=$work/access

calls() { # gateway|mcp CONNECTIONS SECONDS -> requests per second, p50 ms, p99 ms, errors, requests
  wrk -t $(($2 > 1 ? 2 : 1)) -c "$2" -d "${3}s" --latency -s "infra/load/$1.lua" "$gateway" | sed -n 's/^RESULT //p'
}

say "Warming up..."
for way in gateway mcp gateway mcp; do calls "$way" 32 4 >/dev/null; done

result="| connections | HTTP call, req/s | p50 ms | p99 ms | tools/call, req/s | p50 ms | p99 ms | share |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"
for count in $connections; do
  for round in $(seq "$rounds"); do
    say "$count connection(s), round $round of $rounds, $seconds s each way..."
    read -r rps1 p50_1 p99_1 errors1 _ <<<"$(calls gateway "$count" "$seconds")"
    read -r rps2 p50_2 p99_2 errors2 _ <<<"$(calls mcp "$count" "$seconds")"
    [ "$((errors1 + errors2))" = 0 ] || { say "mcp.sh: there were errors"; exit 1; }
    echo "$((100 * rps2 / rps1)) | $count | $rps1 | $p50_1 | $p99_1 | $rps2 | $p50_2 | $p99_2 | $((100 * rps2 / rps1)) % |"
  done | sort -n | sed -n "$(((rounds + 1) / 2))s/^[0-9]* //p" >"$work/row"
  result+=$(cat "$work/row")$'\n'
done
echo "$result"
! $save || save mcp <<TEXT
$(machine) $rounds rounds of $seconds s each way, the one with the median share; $users users take turns.

$result
TEXT
