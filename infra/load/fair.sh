#!/usr/bin/env bash
# Gateway calls and refreshes at the same time, on processors that are busy with both: does either of them starve?
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/fair.sh [--seconds N] [--rounds N] [--users N] [--save]

Half of the users (200) call GET /gpt/jobs/search, the other half refresh their tokens (POST /oauth/token), each as fast as the answers come,
both with wrk against one process. Prints how long either had to wait; of several rounds the one with the median ratio. --save writes the
table into infra/load/RESULTS.md. Uses DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=10 rounds=3 users=200
options "seconds rounds users" "$@"
need wrk
begin gpt_fair --no-rabbitmq
dotnet build infra/load/peers.cs -c Release -o "$work/peers" -v quiet --nologo >&2

half=$((users / 2)) app=http://127.0.0.1:$PORT upstream=http://127.0.0.1:$((PORT + 1))
start_peer "$upstream" dotnet "$work/peers/peers.dll" upstream $((PORT + 1))
start_gateway "$upstream" "$half" OUTBOX_RELAY=false

# both SECONDS -> of the gateway, then of refreshes: requests per second, p50, p95, p99 ms, errors
both() {
  local run=fair$RANDOM$RANDOM
  sql -v secret="$CLIENT_SECRET" -v sessions=$((half + 4)) -v prefix="$run" -f infra/load/seed.sql
  seq -f "$run-%.0f-0" 0 $((half + 3)) >"$work/refresh"
  TOKENS=$work/access wrk -t 1 -c "$half" -d "${1}s" --latency -s infra/load/gateway.lua "$app" >"$work/gateway.out" &
  THREADS=1 TOKENS=$work/refresh wrk -t 1 -c "$half" -d "${1}s" --latency -s infra/load/refresh.lua "$app" >"$work/refresh.out"
  wait $!
  for out in gateway refresh; do
    awk '/^RESULT / { rps = $2; p50 = $3; p99 = $4; errors = $5 } /^P95 / { printf "%s %s %s %s %s ", rps, p50, $2, p99, errors }' "$work/$out.out"
  done
}

say "Warming up..."
both 5 >/dev/null
for round in $(seq "$rounds"); do
  say "round $round of $rounds, $seconds s..."
  read -r rps1 p50_1 p95_1 p99_1 errors1 rps2 p50_2 p95_2 p99_2 errors2 <<<"$(both "$seconds")"
  [ "$((errors1 + errors2))" = 0 ] || { say "fair.sh: there were errors: $errors1 and $errors2"; exit 1; }
  awk "BEGIN { printf \"%.2f $rps1 $p50_1 $p95_1 $p99_1 $rps2 $p50_2 $p95_2 $p99_2\n\", $p95_1 / $p95_2 }"
done | sort -n >"$work/rounds"
read -r ratio rps1 p50_1 p95_1 p99_1 rps2 p50_2 p95_2 p99_2 <<<"$(sed -n "$(((rounds + 1) / 2))p" "$work/rounds")"
table="| $half users each | requests/s | p50 ms | p95 ms | p99 ms |
| --- | ---: | ---: | ---: | ---: |
| gateway calls | $rps1 | $p50_1 | $p95_1 | $p99_1 |
| refreshes | $rps2 | $p50_2 | $p95_2 | $p99_2 |

A gateway call's 95th percentile is $ratio times a refresh's."
echo "$table"
! $save || save fair <<TEXT
$(machine) $rounds rounds of $seconds s, the one with the median ratio; pool of $DATABASE_POOL_SIZE connections.

$table
TEXT
