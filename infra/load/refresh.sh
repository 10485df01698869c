#!/usr/bin/env bash
# Refreshes per second through HTTP, beside pgbench running the very same statement on the same database in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/refresh.sh [--seconds N] [--rounds N] [--connections "1 8 32"] [--save]

Measures POST /oauth/token (grant_type=refresh_token) with wrk, and the statement behind it with pgbench, in turns, on the same
server; of several rounds the one with the median share is shown, because a machine's speed changes by the second. Uses DATABASE_URL
when set, else starts a private PostgreSQL (infra/dev/services.sh). --save writes the table into infra/load/RESULTS.md. Needs wrk and
pgbench.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=5 rounds=3 connections="1 8 32"
options "seconds rounds connections" "$@"
need_pgbench
need wrk
begin gpt_bench --no-rabbitmq
start_app OUTBOX_RELAY=false

declare -A parameter=(
  [client_id]="'bench'" [method]="'client_secret_post'" [secret_hash]="sha256('$CLIENT_SECRET'::bytea)" [now]="statement_timestamp()"
  [presented]="sha256(convert_to(:run || '-' || :client_id || '-' || :n, 'UTF8'))"
  [successor]="sha256(convert_to(:run || '-' || :client_id || '-' || (:n + 1), 'UTF8'))"
  [scopes]="NULL::text[]" [resources]="NULL::text[]" [idle_lifetime]="interval '30 days'"
  [correlation_id]="'0123456789abcdef0123456789abcdef'::text" [address]="'127.0.0.1'::text" [traceparent]="NULL::text"
)

# The statement as the program sends it, caught in the act, with pgbench's values in the places of its parameters.
statement() {
  refreshes 32 20 >"$work/warm-up" & # long enough for the compiler to settle
  local text=""
  while [ -z "$text" ] && kill -0 $! 2>/dev/null; do
    text=$(sql -c "SELECT query FROM pg_stat_activity WHERE query LIKE 'WITH client AS%rotated AS%' LIMIT 1")
  done
  wait $!
  [[ $text == *"FROM rotated" ]] || { say "refresh.sh: the statement is cut off: set track_activity_query_size = 16384 on the server."; exit 1; }
  # In the order in which TokenStore.Refresh names them first.
  local name number=0 values=()
  for name in client_id method secret_hash now presented scopes resources successor idle_lifetime correlation_id address traceparent; do
    values=("s#\\\$$((number += 1))\\b#${parameter[$name]}#g" "${values[@]}") # from behind: $1 is the beginning of $10
  done
  sed <<<"$text" "$(printf '%s;' "${values[@]}")"
  printf ';\n\\set n :n + 1\n'
}

database() { # connections, seconds -> statements per second, mean ms
  local run=$RANDOM$RANDOM
  sql -v secret="$CLIENT_SECRET" -v sessions="$1" -v prefix="$run" -f infra/load/seed.sql
  "$pgbench" "$DATABASE_URL" -n -M prepared -f "$work/refresh.sql" -D n=0 -D run="$run" -c "$1" -j 2 -T "$2" 2>"$work/pgbench.log" >"$work/pgbench.out" || { cat "$work/pgbench.log" >&2; exit 1; }
  sed -n -e 's/^tps = \([0-9.]*\).*/\1/p' -e 's/^latency average = \([0-9.]*\) ms/\1/p' "$work/pgbench.out" | tac | tr '\n' ' '
}

say "Warming up..."
statement >"$work/refresh.sql"

rows=""
for count in $connections; do
  for round in $(seq "$rounds"); do
    say "$count connection(s), round $round of $rounds, $seconds s each way..."
    read -r tps mean <<<"$(database "$count" "$seconds")"
    read -r rps p50 p99 errors <<<"$(refreshes "$count" "$seconds")"
    awk "BEGIN { printf \"%.1f $rps $p50 $p99 $errors %.0f $mean\n\", 100 * $rps / $tps, $tps }"
  done | sort -n >"$work/rounds"
  read -r share rps p50 p99 errors tps mean <<<"$(sed -n "$(((rounds + 1) / 2))p" "$work/rounds")"
  [ "$(awk '{ sum += $5 } END { print sum }' "$work/rounds")" = 0 ] || { say "refresh.sh: there were errors:"; cat "$work/rounds" >&2; exit 1; }
  rows+="| $count | $rps | $p50 | $p99 | $errors | $tps | $mean | ${share%.*} % |"$'\n'
done

table="| connections | HTTP refreshes/s | p50 ms | p99 ms | errors | pgbench statements/s | mean ms | share |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
$rows"
echo "$table"
! $save || save refresh <<TEXT
$(machine) $rounds rounds of $seconds s each way, the one with the median share; pool of $DATABASE_POOL_SIZE connections.

$table
TEXT
