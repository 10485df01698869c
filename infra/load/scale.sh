#!/usr/bin/env bash
# The pages of those on call, after years of use: 10 million sessions and 100 million audit rows.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/scale.sh [--sessions N] [--events N] [--months N] [--save]

Fills a database (10,000,000 sessions of a fifth as many people, with three refresh tokens each; 100,000,000 audit rows over 24 months), asks
for each page of /operations as an operator, with the filters that cost most, and prints how long each took, median of five, and its
slowest statement. --save writes the table into infra/load/RESULTS.md and the statements with their plans into
infra/load/operations-plans.txt. Uses DATABASE_URL when set (the role needs to see pg_stat_statements), else starts a private PostgreSQL
that keeps its data for the next run: infra/dev/services.sh clean --name scale removes it. A database that has been filled with the same
numbers is taken as it is. The disk is looked at first; filling in full takes more than an hour on two cores. Plans are shown of the
private server only, because only its superuser may have them written.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
sessions=10000000 events=100000000 months=24
options "sessions events months" "$@"
people=$((sessions / 5)) chunk=500000
[ "$sessions" -ge 1000 ] && [ "$events" -ge 1000 ] || { say "scale.sh: --sessions and --events are 1000 or more."; exit 2; }

if [ -z "${DATABASE_URL:-}" ]; then
  own=true own_name=scale
  eval "$(infra/dev/services.sh up --name scale --no-rabbitmq)"
fi
unset RABBITMQ_URL
server=$DATABASE_URL
export DATABASE_URL=${DATABASE_URL%/*}/gpt_scale DATABASE_POOL_SIZE=15 AZURE_FUNCTIONS_ENVIRONMENT=Development PORT=${BENCH_PORT:-7091} PSQL_PAGER=
filled() { [ "$(sql -c "SELECT sessions || ' ' || events || ' ' || months FROM scale_filled" 2>/dev/null)" = "$sessions $events $months" ]; }
fill() { sql -v what="$1" -v first="$2" -v last="$3" -v total="$4" -v months="$months" -v people_total="$people" -v secret="$(head -c 24 /dev/urandom | base64)" -f infra/load/scale-seed.sql; }
fill_all() { # WHAT TOTAL, in pieces
  local first=0 last
  while [ "$first" -lt "$2" ]; do
    last=$((first + chunk < $2 ? first + chunk : $2))
    fill "$1" "$first" $((last - 1)) "$2"
    first=$last
    [ -t 2 ] && printf '\r%s: %d of %d ' "$1" "$first" "$2" >&2 || [ $((first % 5000000)) -ne 0 ] || say "$1: $first of $2"
  done
  say "$1: $2"
}

say "Building..."
dotnet build GptFunctions/GptFunctions.csproj -c Release -v quiet -nologo >&2
if ! filled; then
  if $own; then
    # Bytes of a row with its indexes, measured: a session with its tokens and its share of a person; an audit row.
    need_kb=$(((sessions * 1300 + events * 850) / 1024)) has_kb=$(df --output=avail -k .local | tail -n 1)
    [ "$need_kb" -lt "$has_kb" ] || { say "scale.sh: this takes $((need_kb / 1048576)) GB of disk, and $((has_kb / 1048576)) GB are free: smaller --sessions or --events."; exit 1; }
  fi
  psql "$server" -qc 'DROP DATABASE IF EXISTS gpt_scale WITH (FORCE)' -c 'CREATE DATABASE gpt_scale'
  program setup
  sql -f infra/load/scale-functions.sql -c "SELECT gpt_create_event_partitions((now() - interval '1 month' * ($months + 1))::date, $months + 4)" >/dev/null
  say "Filling $sessions sessions and $events audit rows..."
  sql -f infra/load/scale-indexes.sql -c 'CALL scale_drop_indexes()'
  for part in $(seq 0 "$chunk" $((people - 1))); do fill people "$part" $((part + chunk < people ? part + chunk - 1 : people - 1)) "$people"; done
  fill_all sessions "$sessions"
  fill_all events "$events"
  say "Indexes..."
  sql -c "SET maintenance_work_mem = '1GB'" -c 'CALL scale_make_indexes()'
  for table in users gpt_consents gpt_sessions gpt_refresh_tokens webhook_events verification_sessions gpt_oauth_events; do sql -c "VACUUM (ANALYZE) $table"; done
  sql -c "CREATE TABLE scale_filled AS SELECT $sessions AS sessions, $events AS events, $months AS months"
else
  program setup
fi

plans() { :; } # of the slowest statement since the last call
if $own; then
  log=.local/services/scale/postgres/server.log state=.local/services/scale
  PGPASSWORD=$(cat "$state/postgres/password") psql -q -h 127.0.0.1 -p "$(cat "$state/postgres.port")" -U postgres -d gpt_scale \
    -c "ALTER DATABASE gpt_scale SET session_preload_libraries = 'auto_explain'" -c 'ALTER DATABASE gpt_scale SET auto_explain.log_min_duration = 1' \
    -c 'ALTER DATABASE gpt_scale SET auto_explain.log_analyze = on' -c 'ALTER DATABASE gpt_scale SET auto_explain.log_buffers = on'
  seen=0
  plans() {
    tail -c +"$((seen + 1))" "$log" | awk '
      /LOG:  duration: .* plan:/ { if (took > most) { most = took; best = text } match($0, /duration: [0-9.]+/); took = substr($0, RSTART + 10, RLENGTH - 10) + 0; text = ""; taking = 1; next }
      taking && /^\t/ { text = text substr($0, 2) "\n"; next }
      { taking = 0 }
      END { if (took > most) best = text; printf "%s", best }'
    seen=$(wc -c <"$log")
  }
fi

start_app OUTBOX_RELAY=false OPERATORS=operator AzureWebJobs.Purge.Disabled=true AzureWebJobs.DispatchCountdowns.Disabled=true
base=http://127.0.0.1:$PORT jar=$work/cookies
get() { curl -sf -b "$jar" -c "$jar" -L "$@"; }
get "$base/operations" >"$work/page"
form=$(LC_ALL=C awk -f infra/dev/form.awk "$work/page")
get -o /dev/null --data "$(sed -n 's/^hidden\t//p' <<<"$form")&user_id=operator" "$base$(sed -n 's/^action\t//p' <<<"$form")"

number=$((people * 7919 / 2 % people))
session=$(sql -c "SELECT scale_session($((number * 5)))")
correlation=$(sql -c "SELECT md5('c' || $((events / 2)))")
cat >"$work/pages" <<TEXT
Overview|/operations
Sign-ins|/operations/sign-ins
Sign-ins of a user|/operations/sign-ins?user=user_scale$number
A person|/operations/people?user=user_scale$number
People, by e-mail|/operations/people?q=PERSON-$number@company-$((number % 5000)).example
People, by order|/operations/people?q=order-$((number / 10 * 10))
Apps|/operations/apps
Apps by name|/operations/apps?q=app%201
One app|/operations/apps?client=scale_0
Webhooks|/operations/webhooks
Webhooks that failed|/operations/webhooks?status=failed
Webhooks of a subject|/operations/webhooks?subject=user_scale$number
Audit|/operations/audit
Audit of a user|/operations/audit?user=user_scale$number
Audit of an app|/operations/audit?app=scale_7
Audit of a session|/operations/audit?session=$session
Audit by type|/operations/audit?type=gpt.oauth.signed_in
Audit by a type that is not there|/operations/audit?type=gpt.oauth.replay_detected
Audit by correlation id|/operations/audit?correlation=$correlation
Audit of a user and a type|/operations/audit?user=user_scale$number&type=gpt.oauth.signed_in
Audit of an app and a type|/operations/audit?app=scale_7&type=gpt.oauth.signed_in
Audit of an app and a type that never meet|/operations/audit?app=scale_7&type=gpt.oauth.token_exchanged
Audit of a day two years ago|/operations/audit?until=$(date -u -d '23 months ago' +%Y-%m-%dT00:00Z)
Messages|/operations/messages
Countdowns|/operations/countdowns
Purge|/operations/purge
TEXT

: >"$work/plans"
table="| page | ms, median of five | slowest statement | ms |
| --- | ---: | --- | ---: |
"
while IFS='|' read -r title path; do
  plans >/dev/null
  sql -c 'SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)' >/dev/null
  for _ in 1 2 3 4 5; do get -o /dev/null -w '%{time_total}\n' "$base$path" || { say "scale.sh: $path was not answered."; exit 1; }; done | awk '{ print $1 * 1000 }' | median >"$work/took"
  slowest=$(sql -F '|' -c "SELECT round(max_exec_time::numeric, 1), queryid FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%pg_stat_statements%' ORDER BY max_exec_time DESC LIMIT 1")
  text=$(sql -c "SELECT query FROM pg_stat_statements WHERE queryid = ${slowest#*|} LIMIT 1")
  printf '## %s: %s ms\n%s\n\n%s\n\n' "$title" "${slowest%|*}" "$path" "$(plans)" >>"$work/plans"
  table+="| $title | $(printf %.0f "$(cat "$work/took")") | $(tr -s ' \n' ' ' <<<"$text" | cut -c1-70 | tr '|' '/') | ${slowest%|*} |"$'\n'
  say "$title: $(cat "$work/took") ms"
done <"$work/pages"
echo "$table"
if $save; then
  # Of each plan the beginning: a month is like the next.
  awk '/^## / { line = 0 } ++line <= 36 { print substr($0, 1, 200) } line == 37 { print "    ...\n" }' "$work/plans" >infra/load/operations-plans.txt
  save operations <<TEXT
$(machine) $sessions sessions of $people people, $events audit rows over $months months.

$table
TEXT
fi
