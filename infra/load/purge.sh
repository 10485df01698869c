#!/usr/bin/env bash
# How fast the purge is beside one plain DELETE of the same rows, and what refreshes notice of it.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/purge.sh [--rows N] [--rounds N] [--rate N] [--connections N] [--save]

Fills a database with N (1,000,000) refresh tokens that are due, and measures in turns: one plain DELETE of them (rolled back), and
GptFunctions purge of the same rows. Then the latency of refreshes at a steady rate, quiet and while a purge of N rows runs. Prints
Markdown tables, which --save writes into infra/load/RESULTS.md. Uses DATABASE_URL when set, else starts a private PostgreSQL
(infra/dev/services.sh). Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
rows=1000000 rounds=3 rate=100 connections=4
options "rows rounds rate connections" "$@"
need wrk
begin gpt_purge --no-rabbitmq
start_app OUTBOX_RELAY=false AzureWebJobs.Purge.Disabled=true

settle() { sql -c 'VACUUM (ANALYZE) gpt_refresh_tokens, gpt_sessions' -c CHECKPOINT; }
fill() {
  sql -v rows="$rows" -v families=10000 -f infra/load/purge-seed.sql
  settle
}
figure() { sql -c "SELECT counts ->> '$1' FROM maintenance_runs ORDER BY id DESC LIMIT 1"; }

plain() { # milliseconds of one DELETE, without its commit
  sql -c '\timing on' -c BEGIN -c "DELETE FROM gpt_refresh_tokens WHERE least(expires_at, revoked_at) < now() - interval '30 days'" -c ROLLBACK |
    sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | sort -n | tail -n 1
}

steady() { refreshes "$connections" "$1" $((1000 * connections / rate)); }

steady 5 >/dev/null

speed="| round | plain DELETE, rows/s | purge, rows/s | share |
| ---: | ---: | ---: | ---: |
"
for round in $(seq "$rounds"); do
  say "Round $round of $rounds: $rows rows..."
  fill
  delete=$(plain)
  settle
  program purge
  took=$(figure duration_ms)
  [ "$(figure revoked_tokens_deleted)" -eq "$rows" ] || { echo "purge.sh: the purge deleted $(figure revoked_tokens_deleted) rows" >&2; exit 1; }
  speed+=$(awk "BEGIN { printf \"| $round | %.0f | %.0f | %.0f %% |\", 1000 * $rows / $delete, 1000 * $rows / $took, 100 * $delete / $took }")$'\n'
done

# As long as the purge is likely to take: what is measured after its end would be quiet.
seconds=$((took / 1000 > 3 ? took / 1000 : 3))
latency="| refreshes | per second | p50 ms | p99 ms | errors |
| --- | ---: | ---: | ---: | ---: |
"
for round in $(seq "$rounds"); do
  say "Round $round of $rounds: latency, $seconds s each way..."
  fill
  read -r rps p50 p99 errors <<<"$(steady "$seconds")"
  echo "$p99" >>"$work/quiet"
  latency+="| quiet | $rps | $p50 | $p99 | $errors |"$'\n'
  program purge &
  purging=$!
  until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH gone AS%'")" -gt 0 ]; do sleep 0.02; done
  read -r rps p50 p99 errors <<<"$(steady "$seconds")"
  kill -0 "$purging" 2>/dev/null && during="during a purge" || during="during a purge, which ended first"
  wait "$purging"
  echo "$p99" >>"$work/busy"
  latency+="| $during ($(figure duration_ms) ms) | $rps | $p50 | $p99 | $errors |"$'\n'
done

result="$speed
$latency
p99, median of $rounds rounds: $(median <"$work/quiet") ms quiet, $(median <"$work/busy") ms during a purge."
echo "$result"
! $save || save purge <<TEXT
$(machine) $rows rows; $connections connections with $rate refreshes a second in all.

$result
TEXT
