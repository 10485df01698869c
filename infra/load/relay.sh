#!/usr/bin/env bash
# How fast events leave the outbox, beside a bare publisher on the same broker, and how soon they are in the audit trail.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/relay.sh [--messages N] [--rounds N] [--seconds N] [--save]

Measures in turns: a bare publisher (publish.cs: N messages of 500 bytes, confirms, 500 in flight), and the relay with N events in the
outbox. Then the time from a refresh to its row in the audit trail at about 10, 100 and 1000 events a second. Prints Markdown tables,
which --save writes into infra/load/RESULTS.md. Uses DATABASE_URL and RABBITMQ_URL (whose audit queue is emptied) when set, else
starts private servers (infra/dev/services.sh). Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
messages=100000 rounds=3 seconds=10
options "messages rounds seconds" "$@"
need wrk
begin gpt_relay
dotnet build infra/load/publish.cs -c Release -v quiet --nologo >&2
publish() { dotnet run -c Release --no-build infra/load/publish.cs -- "$RABBITMQ_URL" "$@"; }

fill() { sql -v messages="$1" -f infra/load/relay-seed.sql; }
# Events per second from the relay's first commit on, until the outbox is empty. Looks at single rows: to count would disturb.
drain() {
  sql <<'SQL'
CREATE TEMP TABLE drained (rate float);
DO $$
DECLARE
    first CONSTANT bigint := (SELECT min(position) FROM outbox_messages);
    last CONSTANT bigint := (SELECT max(position) FROM outbox_messages);
    rest bigint;
    began timestamptz;
BEGIN
    WHILE EXISTS (SELECT FROM outbox_messages WHERE position = first) LOOP
        PERFORM pg_sleep(0.002);
    END LOOP;
    began := clock_timestamp();
    SELECT count(*) INTO rest FROM outbox_messages;
    WHILE EXISTS (SELECT FROM outbox_messages WHERE position = last) LOOP
        PERFORM pg_sleep(0.005);
    END LOOP;
    INSERT INTO drained VALUES (rest / extract(epoch FROM clock_timestamp() - began));
END $$;
SELECT round(rate) FROM drained;
SQL
}

throughput="| round | bare publisher, messages/s | relay, events/s | share |
| ---: | ---: | ---: | ---: |
"
start_app AzureWebJobs.AuditConsumer.Disabled=true
fill $((messages / 4)) # the compiler settles
drain >/dev/null
publish gpt-audit-events 0 0 0
for round in $(seq "$rounds"); do
  say "Throughput, round $round of $rounds..."
  bare=$(publish bench-bare "$messages" 500 500)
  fill "$messages"
  relay=$(drain)
  publish gpt-audit-events 0 0 0
  echo $((100 * relay / bare)) >>"$work/shares"
  throughput+="| $round | $bare | $relay | $((100 * relay / bare)) % |"$'\n'
done
stop_app

latency="| refreshes per second | events | p50 ms | p99 ms | slowest ms |
| ---: | ---: | ---: | ---: | ---: |
"
refreshed() { sql -c "SELECT count(*) FROM gpt_refresh_tokens WHERE generation > 0"; }
recorded() { sql -c "SELECT count(*) FROM gpt_oauth_events WHERE event_type = 'gpt.oauth.token_refreshed'"; }
settled() { # waits until every refresh has its row
  for _ in $(seq 600); do [ "$(recorded)" -ge "$(refreshed)" ] && return; sleep 0.1; done
  say "relay.sh: $(recorded) audit rows of $(refreshed) refreshes"
  exit 1
}
start_app
refreshes 32 5 >/dev/null
settled
for load in "1 100" "4 40" "32 29"; do # connections, milliseconds between one's requests
  read -r connections delay <<<"$load"
  say "Latency, $connections connection(s), $seconds s..."
  before=$(sql -c 'SELECT clock_timestamp()')
  read -r rps _ _ errors <<<"$(refreshes "$connections" "$seconds" "$delay")"
  [ "$errors" = 0 ] || { say "relay.sh: $errors errors"; exit 1; }
  settled
  latency+="| $rps $(sql -F ' | ' -c "SELECT '', count(*), round(1000 * percentile_disc(0.5) WITHIN GROUP (ORDER BY late), 1), round(1000 * percentile_disc(0.99) WITHIN GROUP (ORDER BY late), 1), round(1000 * max(late), 1) FROM (SELECT extract(epoch FROM recorded_at - occurred_at) AS late FROM gpt_oauth_events WHERE event_type = 'gpt.oauth.token_refreshed' AND occurred_at > '$before') lateness") |"$'\n'
done

result="$throughput
Median share: $(median <"$work/shares") %.

$latency"
echo "$result"
! $save || save relay <<TEXT
$(machine) $messages messages of 500 bytes; RabbitMQ as Debian packages it.

$result
TEXT
