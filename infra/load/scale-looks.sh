# shellcheck shell=bash disable=SC2154,SC2034 # sourced by scale.sh, which sets what is used here
# The parts of scale.sh that look things up: audit tail and the pages of /operations. Figures are milliseconds: less is better.

# somebody ROUND: a person of this side, another one each round, of those whose events are refreshes; sets number and person.
somebody() { number=$(((people * 7919 / 2 + $1 * 611953) % people / 10 * 10)) person=user_scale$number; }

# look_ups ROUND: TITLE|ARGUMENTS of audit tail. Filters that find much look back so far that each finds about 300 events.
look_ups() {
  local back="SELECT to_char(max(occurred_at) AT TIME ZONE 'UTC' - interval '1 month' * $months * 300 / $events" form="'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM gpt_oauth_events"
  somebody "$1"
  cat <<TEXT
audit tail|--since $(sql -c "$back, $form")
audit tail of a user|--since 700d --user $person
audit tail of a session|--since 700d --session $(sql -c "SELECT scale_session($((number * 5)))")
audit tail by correlation id|--since 700d --correlation $(printf c%d $((events / 2 + $1)) | md5sum | cut -d' ' -f1)
audit tail of an app|--since $(sql -c "$back * 200, $form") --client scale_$((7 + $1))
audit tail by type|--since $(sql -c "$back * 10, $form") --type gpt.oauth.signed_in
audit tail by a type that is not there|--since 700d --type gpt.oauth.replay_detected
audit tail of a user and a type|--since 700d --user $person --type gpt.oauth.token_refreshed
audit tail of an app and a type|--since $(sql -c "$back * 200, $form") --client scale_$((2 + 10 * $1)) --type gpt.oauth.signed_in
TEXT
}

forget_statements() { sql -c 'SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)' >/dev/null; }
# statements COLUMNS REST: of what this database was asked since then.
statements() {
  sql -F '|' -c "SELECT $1 FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query NOT LIKE '%pg_stat_statements%' $2"
}

part_lookups() {
  local round what arguments
  : >"$work/lookups"
  for side in $sides; do on "$side"; planning on; done
  for round in $(seq "$rounds"); do
    for side in $(in_turns "$round"); do
      on "$side"
      say "round $round of $rounds, look-ups, $(title "$side")..."
      while IFS='|' read -r what arguments; do
        forget_statements
        # shellcheck disable=SC2086 # words
        tail_of $arguments >"$work/found"
        statements "'$what|$side|$round|' || round(sum(total_plan_time + total_exec_time)::numeric, 2) || '|$(wc -l <"$work/found")'" \
          "AND query LIKE '%FROM gpt_oauth_events%'" >>"$work/lookups"
      done < <(look_ups "$round")
    done
  done
  for side in $sides; do on "$side"; planning off; done
  table="$(cat <<TEXT
| | $(title large): ms | events found | $(title small): ms | events found | ratio |
| --- | ---: | ---: | ---: | ---: | ---: |
$(compared "$work/lookups" less)
TEXT
)"
  publish scale-lookups "Looking things up in the audit trail: the time of the statements, their planning included; another person, app and request each round."
}
tail_of() { (cd "$work" && dotnet "$built/GptFunctions.dll" audit tail "$@"); }
planning() { # on|off: whether the server measures that, too
  ! $own || as_superuser -c "ALTER DATABASE ${DATABASE_URL##*/} SET pg_stat_statements.track_planning = $1"
}

get() { curl -sf -b "$work/$side/cookies" -c "$work/$side/cookies" -L "$@"; }
sign_in() {
  rm -f "$work/$side/cookies"
  get "$(url)/operations" >"$work/page"
  LC_ALL=C awk -f infra/dev/form.awk "$work/page" >"$work/form"
  get -o /dev/null --data "$(sed -n 's/^hidden\t//p' "$work/form")&user_id=operator" "$(url)$(sed -n 's/^action\t//p' "$work/form")"
}

pages() { # TITLE|PATH
  somebody 1
  cat <<TEXT
Overview|/operations
Sign-ins|/operations/sign-ins
Sign-ins of a user|/operations/sign-ins?user=$person
A person|/operations/people?user=$person
People, by e-mail|/operations/people?q=PERSON-$number@company-$((number % 5000)).example
People, by order|/operations/people?q=order-$((number / 10 * 10))
Apps|/operations/apps
Apps by name|/operations/apps?q=app%201
One app|/operations/apps?client=scale_0
Webhooks|/operations/webhooks
Webhooks that failed|/operations/webhooks?status=failed
Webhooks of a subject|/operations/webhooks?subject=$person
Audit|/operations/audit
Audit of a user|/operations/audit?user=$person
Audit of an app|/operations/audit?app=scale_7
Audit of a session|/operations/audit?session=$(sql -c "SELECT scale_session($((number * 5)))")
Audit by type|/operations/audit?type=gpt.oauth.signed_in
Audit by a type that is not there|/operations/audit?type=gpt.oauth.replay_detected
Audit by correlation id|/operations/audit?correlation=$(printf c%d $((events / 2)) | md5sum | cut -d' ' -f1)
Audit of a user and a type|/operations/audit?user=$person&type=gpt.oauth.token_refreshed
Audit of an app and a type|/operations/audit?app=scale_2&type=gpt.oauth.signed_in
Audit of an app and a type that never meet|/operations/audit?app=scale_7&type=gpt.oauth.token_exchanged
Audit of a day two years ago|/operations/audit?until=$(date -u -d '23 months ago' +%Y-%m-%dT00:00Z)
Messages|/operations/messages
Countdowns|/operations/countdowns
Purge|/operations/purge
TEXT
}

part_pages() {
  local round what path slowest
  serve_both
  for side in $sides; do on "$side"; sign_in; pages >"$work/$side/pages"; done
  : >"$work/pages"
  : >"$work/slowest"
  while IFS='|' read -r what _; do
    say "$what..."
    for round in $(seq 0 "$rounds"); do # the first time for nothing: both programs have then shown the page
      for side in $(in_turns "$round"); do
        on "$side"
        path=$(sed -n "s/^$what|//p" "$work/$side/pages")
        [ "$round$side" != 0large ] || forget_statements
        get -o /dev/null -w "$what|$side|$round|%{time_total}\n" "$(url)$path" >>"$work/pages" || { say "scale.sh: $path was not answered."; exit 1; }
      done
    done
    on large
    slowest=$(statements "round(max_exec_time::numeric, 1), left(regexp_replace(translate(query, '|', '/'), '\s+', ' ', 'g'), 70)" "ORDER BY max_exec_time DESC LIMIT 1")
    echo "$what|${slowest#*|} | ${slowest%%|*}" >>"$work/slowest"
  done <"$work/large/pages"
  unserve_both
  awk -F'|' -v OFS='|' '$3 > 0 { $4 = sprintf("%.1f", 1000 * $4); print }' "$work/pages" >"$work/pages.ms"
  table="$(cat <<TEXT
| page | $(title large): ms | $(title small): ms | ratio | slowest statement of the large one | ms |
| --- | ---: | ---: | ---: | --- | ---: |
$(compared "$work/pages.ms" less | awk -F'|' -v slowest="$work/slowest" 'BEGIN { while ((getline line < slowest) > 0) { at = index(line, "|"); of[substr(line, 1, at - 1)] = substr(line, at + 1) } }
  { title = $2; gsub(/^ | $/, "", title); print $0 " " of[title] " |" }')
TEXT
)"
  publish operations "What is measured is the whole answer, as curl gets it."
}
