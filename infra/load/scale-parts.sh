# shellcheck shell=bash disable=SC2154,SC2034 # sourced by scale.sh, which sets what is used here
# What scale.sh measures. Each part stands by itself: it starts programs, measures with both databases in turns, prints its table, and ends them.

declare -A pid_of port_of=([large]=0 [small]=1)

serve() { # SIDE [NAME=VALUE...]: the program on that database
  local home=$work/$1
  on "$1"
  mkdir -p "$home" # keys that it makes for itself stay, also when it is started again
  PORT=$((port + port_of[$1]))
  (cd "$home" && exec env PORT="$PORT" GATEWAY_CONFIG="$work/gateway.json" AzureWebJobs.Purge.Disabled=true AzureWebJobs.DispatchCountdowns.Disabled=true \
    "${@:2}" dotnet "$built/GptFunctions.dll" >app.log 2>&1) &
  pid_of[$1]=$! peers+=($!)
  answers "http://127.0.0.1:$PORT/ready" || { tail "$home/app.log" >&2; exit 1; }
  sql -c "UPDATE gpt_clients SET secret_hashes = ARRAY[sha256('$CLIENT_SECRET')] WHERE client_id = '$CLIENT_ID'"
}
url() { echo "http://127.0.0.1:$((port + port_of[$side]))"; }
unserve() { kill "${pid_of[$1]}" && wait "${pid_of[$1]}" || true; } 2>/dev/null
serve_both() { for side in $sides; do serve "$side"; warm; done; }
unserve_both() { for side in $sides; do unserve "$side"; done; }
in_turns() { [ $((${1:-0} % 2)) = 0 ] && echo large small || echo small large; } # ROUND

# again: whether this side has too few sessions for each round to refresh others: then each goes on with the tokens of the one before.
again() { [ $((3000 * seconds * (rounds + 1))) -gt $((sessions / 8)) ]; }
# listed WHAT: how many sessions of this side a round takes: what the seconds can use, or what half of all suffices for.
listed() {
  awk -v what="$1" -v half=$((sessions / 2)) -v rounds=$((rounds + 1)) -v seconds="$seconds" 'BEGIN {
    most["refreshes"] = 3000 * seconds; share["refreshes"] = 0.25
    most["revocations"] = 2500 * seconds / 2; share["revocations"] = 0.6 / rounds
    most["callers"] = 6000; share["callers"] = 0.1
    most["due"] = 5000; share["due"] = 0.9 / rounds
    printf "%d", most[what] < share[what] * half ? most[what] : share[what] * half }'
}
# taken PART: how many sessions of this side it uses up.
taken() {
  case $1 in
    requests) echo $(($(again && echo 1 || echo $((rounds + 1))) * $(listed refreshes) + (rounds + 1) * $(listed revocations) + $(listed callers))) ;;
    purge) echo $(((rounds + 1) * $(listed due))) ;;
    plans) echo 700 ;;
    *) echo 0 ;;
  esac
}

take() { sql -v count="$1" -f infra/load/scale-take.sql; }
posts() { # PATH FORM SECONDS [CONNECTIONS] -> requests per second, p50 ms, p99 ms, errors, requests
  FORM=$2 wrk -t 2 -c "${4:-$connections}" -d "${3}s" --latency -s infra/load/scale.lua "$(url)/oauth/$1" | sed -n 's/^RESULT //p'
}
calls() { # SECONDS [THREADS], each of which goes through the whole list
  wrk -t "${2:-2}" -c "$connections" -d "${1}s" --latency -s infra/load/gateway.lua "$(url)" | sed -n 's/^RESULT //p'
}

# The lists of a round: what nobody has asked for before.
list_tokens() { take "$1" | sed 's/.*/scale-&-2/' >"$TOKENS"; }
list_codes() { sql -v count="$1" -v prefix="code$RANDOM$RANDOM" -v people="$people" -f infra/load/scale-codes.sql >"$TOKENS"; }
refreshes_of() {
  if again && [ -s "$work/$side.next" ]; then mv "$work/$side.next" "$TOKENS"; else list_tokens "${2:-$(listed refreshes)}"; fi
  NEXT=$work/next posts token 'grant_type=refresh_token&refresh_token=' "$1" "${3:-}"
  cat "$work"/next.? >"$work/$side.next"
}
exchanges_of() { list_codes "${2:-$(($1 * 3000))}"; posts token 'grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp-0.example%2Fcallback&code=' "$1" "${3:-}"; }
revocations_of() { list_tokens "${2:-$(listed revocations)}"; posts revoke 'token=' "$1" "${3:-}"; }
callers() { # NUMBER: their access tokens, into $work/SIDE.access
  list_tokens "$1"
  KEEP=$work/kept posts token 'grant_type=refresh_token&refresh_token=' $(($1 / 1500 + 1)) >/dev/null
  head -qn "$1" "$work"/kept.? >"$work/$side.first" # each of another session, as long as the list has not been gone through once
  head -n 500 "$work/$side.first" >"$work/$side.access"
  rm "$work"/kept.?
}

wal() { sql -c "SELECT pg_current_wal_lsn() - '0/0'"; }
# measure ROUND WHAT COMMAND...: writes down what that side does, and how much it wrote into the write-ahead log for each.
measure() {
  local before figures
  before=$(wal)
  read -ra figures <<<"$("${@:3}")"
  [ "${figures[3]}" = 0 ] || { say "scale.sh: $2 with $(title "$side"): ${figures[3]} errors."; exit 1; }
  awk -v round="$1" -v what="$2" -v side="$side" -v f="${figures[*]}" -v wal=$(($(wal) - before)) \
    'BEGIN { split(f, figure, " "); printf "%s|%s|%s|%s|%s|%s|%.1f\n", what, side, round, figure[1], figure[2], figure[3], wal / figure[5] / 1024 }' >>"$work/requests"
}

forget() { sql -c "NOTIFY gpt_changes, 'session'" -c "NOTIFY gpt_changes, 'user'"; } # whatever the program has in memory
first_calls() { # of sessions that the program has not heard of, or has forgotten
  forget
  sleep 0.2
  TOKENS=$work/$side.first calls 1 1
}

part_requests() {
  local round what
  export TOKENS=$work/tokens
  serve_both
  say "Warming up..."
  for side in $sides; do
    on "$side"
    callers "$(listed callers)"
    refreshes_of 4 >/dev/null
    exchanges_of 3 >/dev/null
    revocations_of 1 >/dev/null
    TOKENS=$work/$side.access calls 3 >/dev/null
  done
  : >"$work/requests"
  for round in $(seq "$rounds"); do
    for what in $requests; do
      for side in $(in_turns "$round"); do
        on "$side"
        say "round $round of $rounds, $what, $(title "$side")..."
        sql -c 'TRUNCATE outbox_messages'
        case $what in
          calls) TOKENS=$work/$side.access measure "$round" "gateway calls" calls "$seconds" ;;
          first_calls) measure "$round" "first gateway call of a session" first_calls ;;
          exchanges) measure "$round" "code exchanges" exchanges_of "$seconds" ;;
          revocations) measure "$round" revocations revocations_of $((seconds > 1 ? seconds / 2 : 1)) ;;
          *) measure "$round" refreshes refreshes_of "$seconds" ;;
        esac
      done
    done
  done
  unserve_both
  table="$(cat <<TEXT
| | $(title large): a second | p50 ms | p99 ms | KiB of WAL each | $(title small): a second | p50 ms | p99 ms | KiB of WAL each | ratio |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
$(compared "$work/requests" more)
TEXT
)"
  publish scale-requests "$seconds s each way at $connections connections (1 s for first calls, half for revocations), zero errors; pool of $DATABASE_POOL_SIZE connections."
}

# compared FILE: of lines WHAT|SIDE|ROUND|FIGURE..., for each WHAT in the order of their coming the medians of both sides' figures, and the ratio of
# the first one: the median of the rounds. GREATER: what is better of it, more or less.
compared() {
  local what column row
  while read -r what; do
    row="| $what |"
    for side in $sides; do
      for column in $(seq 4 "$(head -n 1 "$1" | tr '|' '\n' | wc -l)"); do
        row+=" $(awk -F'|' -v what="$what" -v side="$side" -v column="$column" '$1 == what && $2 == side { print $column }' "$1" | median) |"
      done
    done
    echo "$row $(awk -F'|' -v what="$what" -v better="$2" '$1 == what { figure[$2, $3] = $4; rounds = $3 > rounds ? $3 : rounds }
      END { for (round = 1; round <= rounds; round++) { l = figure["large", round]; s = figure["small", round]; print better == "more" ? l / s : s / l } }' "$1" |
      median | xargs printf %.2f) |"
  done < <(cut -d'|' -f1 "$1" | awk '!seen[$0]++')
}

publish() { # NAME SENTENCE: the table
  echo "$table"
  ! $save || grep -qx "<!-- $1 -->" infra/load/RESULTS.md ||
    sed -i "s|^<!-- /scale-requests -->\$|&\n\n<!-- $1 -->\n\n<!-- /$1 -->|" infra/load/RESULTS.md
  ! $save || save "$1" <<TEXT
$(machine) shared_buffers of $(sql -c 'SHOW shared_buffers'). $(title large) and ${events_of[large]} audit rows beside $(title small) and ${events_of[small]}, in turns, medians of $rounds rounds. $2

$table
TEXT
}

part_purge() {
  local round number deleted # sessions
  number=$(on small; listed due)
  for side in $sides; do on "$side"; warm; program purge 2>/dev/null; done
  : >"$work/purge"
  for round in $(seq "$rounds"); do
    for side in $(in_turns "$round"); do
      on "$side"
      say "round $round of $rounds, purge, $(title "$side")..."
      sql -v numbers="$(take "$number" | paste -sd,)" -f infra/load/scale-due.sql
      program purge 2>"$work/purged" || { cat "$work/purged" >&2; exit 1; }
      # The tokens of a session that goes as a whole are not counted.
      deleted=$(sql -c "SELECT counts ->> 'expired_sessions_deleted' FROM maintenance_runs ORDER BY id DESC LIMIT 1")
      [ "$deleted" = "$number" ] || { say "scale.sh: the purge deleted $deleted sessions, not $number."; exit 1; }
      sql -c "SELECT 'purge|$side|$round|' || round(1000 * 4 * $number / (counts ->> 'duration_ms')::numeric) || '|' || (counts ->> 'duration_ms')
        FROM maintenance_runs ORDER BY id DESC LIMIT 1" >>"$work/purge"
    done
  done
  for side in $sides; do
    on "$side"
    sql -c '\timing on' -c 'VACUUM gpt_sessions, gpt_refresh_tokens' | awk '{ printf "%.1f", $2 / 1000 }' >"$work/vacuum.$side"
  done
  table="$(cat <<TEXT
| | $(title large): rows a second | ms | $(title small): rows a second | ms | ratio |
| --- | ---: | ---: | ---: | ---: | ---: |
$(compared "$work/purge" more)
TEXT
)"
  publish scale-purge "A purge of what one day leaves, while nobody else uses the database: $number sessions that ended at different times of one day, three tokens each, of all that there are. VACUUM of both tables afterwards: $(cat "$work/vacuum.large") s and $(cat "$work/vacuum.small") s."
}
