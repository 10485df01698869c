#!/usr/bin/env bash
# Distinct signed webhook events per second, beside pgbench inserting the same rows into the same database in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/webhooks.sh [--seconds N] [--rounds N] [--connections "1 8 32"] [--save]

Measures POST /webhooks/clerk (user.created, each event new and signed for itself) with wrk, and one plain statement that inserts the
four rows that such an event leaves with pgbench, in turns, on the same server; of several rounds the one with the median share is
shown. Counts afterwards: every event that was answered has its rows. Uses DATABASE_URL when set, else starts a private PostgreSQL
(infra/dev/services.sh). --save writes the table into infra/load/RESULTS.md. Needs wrk, pgbench and OpenSSL's libcrypto.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=5 rounds=3 connections="1 8 32"
options "seconds rounds connections" "$@"
need_pgbench
need wrk
secret=$(head -c 24 /dev/urandom | base64)
WEBHOOK_KEY=$(base64 -d <<<"$secret" | od -An -tx1 | tr -d ' \n')
export WEBHOOK_KEY
begin gpt_bench --no-rabbitmq
start_app OUTBOX_RELAY=false "CLERK_WEBHOOK_SECRET=whsec_$secret"

events() { # connections, seconds -> events per second, p50 ms, p99 ms, errors
  export RUN=http$RANDOM$RANDOM
  THREADS=$(($1 > 1 ? 2 : 1))
  wrk -t "$THREADS" -c "$1" -d "${2}s" --latency -s infra/load/webhooks.lua "http://127.0.0.1:$PORT" | sed -n 's/^RESULT //p'
}

cat >"$work/insert.sql" <<'SQL'
\set n :n + 1
WITH event AS (
    INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at)
    VALUES ('clerk', 'msg_' || :run || '_' || :client_id || '_' || :n, 'user.created', 'user_' || :run || '_' || :client_id || '_' || :n, 'completed', 1, to_timestamp(1654012591.835), now(), now())
), subject AS (
    INSERT INTO webhook_subjects (source, subject, last_event_at) VALUES ('clerk', 'user_' || :run || '_' || :client_id || '_' || :n, to_timestamp(1654012591.835))
), person AS (
    INSERT INTO users (id, clerk_user_id, email, name, source_updated_at, created_at)
    VALUES (uuid_v7(now()), 'user_' || :run || '_' || :client_id || '_' || :n, :run || '_' || :client_id || '_' || :n || '@example.com', 'Example Example', to_timestamp(1654012591.835), now())
)
INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
SELECT id, 'gpt.webhook.user_updated', now(), event_envelope(id, 'gpt.webhook.user_updated', now(), '0123456789abcdef0123456789abcdef',
    jsonb_build_object('clerk_user_id', 'user_' || :run || '_' || :client_id || '_' || :n, 'ip_address', '127.0.0.1')) FROM (SELECT uuid_v7(now()) AS id OFFSET 0) new;
SQL
inserts() { # connections, seconds -> statements per second, mean ms
  "$pgbench" "$DATABASE_URL" -n -M prepared -f "$work/insert.sql" -D n=0 -D run="$RANDOM$RANDOM" -c "$1" -j 2 -T "$2" 2>"$work/pgbench.log" >"$work/pgbench.out" || { cat "$work/pgbench.log" >&2; exit 1; }
  sed -n -e 's/^tps = \([0-9.]*\).*/\1/p' -e 's/^latency average = \([0-9.]*\) ms/\1/p' "$work/pgbench.out" | tac | tr '\n' ' '
}

say "Warming up..."
events 32 15 >/dev/null # long enough for the compiler to settle
sql -c ANALYZE # as the server does by itself within a minute: what is planned for empty tables reads them by the wrong index

rows=""
for count in $connections; do
  for round in $(seq "$rounds"); do
    say "$count connection(s), round $round of $rounds, $seconds s each way..."
    read -r tps mean <<<"$(inserts "$count" "$seconds")"
    read -r eps p50 p99 errors <<<"$(events "$count" "$seconds")"
    awk "BEGIN { printf \"%.1f $eps $p50 $p99 $errors %.0f $mean\n\", 100 * $eps / $tps, $tps }"
  done | sort -n >"$work/rounds"
  read -r share eps p50 p99 errors tps mean <<<"$(sed -n "$(((rounds + 1) / 2))p" "$work/rounds")"
  [ "$(awk '{ sum += $5 } END { print sum }' "$work/rounds")" = 0 ] || { say "webhooks.sh: there were errors:"; cat "$work/rounds" >&2; exit 1; }
  rows+="| $count | $eps | $p50 | $p99 | $errors | $tps | $mean | ${share%.*} % |"$'\n'
done
whole=$(sql -c "SELECT count(*) = count(users.id) AND count(*) = count(subject.subject) AND count(*) = (SELECT count(*) FROM outbox_messages WHERE routing_key = 'gpt.webhook.user_updated') FROM webhook_events event
  LEFT JOIN users ON clerk_user_id = event.subject LEFT JOIN webhook_subjects subject ON subject.subject = event.subject WHERE status = 'completed'")
[ "$whole" = t ] || { say "webhooks.sh: events and their rows do not match"; exit 1; }

table="| connections | events/s | p50 ms | p99 ms | errors | pgbench inserts/s | mean ms | share |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
$rows"
echo "$table"
if $save; then
  {
    echo "$(machine) $rounds rounds of $seconds s each way, the one with the median share; pool of $DATABASE_POOL_SIZE connections."
    echo
    echo "$table"
  } | save webhooks
fi
