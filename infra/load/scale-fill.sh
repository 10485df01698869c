# shellcheck shell=bash disable=SC2154,SC2034 # sourced by scale.sh, which sets what is used here and uses what is set here
# The two databases of scale.sh: filled once, and again when their sessions are used up.

sides="large small" months=24 chunk=500000
declare -A sessions_of events_of url_of

name_sides() { # SERVER SESSIONS EVENTS: the small one has 100,000 sessions and 1,000,000 audit rows, or fewer when the large one has
  sessions_of=([large]=$2 [small]=$(($2 < 100000 ? $2 : 100000)))
  events_of=([large]=$3 [small]=$(($3 / 100 > 10 * sessions_of[small] ? 1000000 : $3 * sessions_of[small] / $2)))
  # Filling takes so long that no run throws away what another size has filled.
  url_of=([large]=${1%/*}/gpt_scale_$2_$3 [small]=${1%/*}/gpt_scale_small_${sessions_of[small]}_${events_of[small]})
}

on() { # SIDE: from here on sql, program and what they need are for that database
  side=$1 sessions=${sessions_of[$1]} events=${events_of[$1]} people=$((sessions_of[$1] / 5))
  export DATABASE_URL=${url_of[$1]}
}

title() { echo "$(sed ':again; s/\B[0-9]\{3\}\>/,&/; t again' <<<"${sessions_of[$1]}") sessions"; }

filled() { [ "$(sql -c "SELECT sessions || ' ' || events || ' ' || months FROM scale_filled" 2>/dev/null)" = "$sessions $events $months" ]; }

rows() { # WHAT FIRST LAST TOTAL
  sql -v what="$1" -v first="$2" -v last="$3" -v total="$4" -v months="$months" -v people_total="$people" -v secret="$CLIENT_SECRET" \
    -f infra/load/scale-seed.sql
}

all_rows() { # WHAT TOTAL, in pieces
  local first=0 last
  while [ "$first" -lt "$2" ]; do
    last=$((first + chunk < $2 ? first + chunk : $2))
    rows "$1" "$first" $((last - 1)) "$2"
    first=$last
    if [ -t 2 ]; then printf '\r%s: %d of %d ' "$1" "$first" "$2" >&2; elif [ $((first % 5000000)) -eq 0 ]; then say "$1: $first of $2"; fi
  done
  say "$1: $2"
}

fill() {
  local table need_kb has_kb
  # Bytes of a row with its indexes, measured: a session with its tokens and its share of a person; an audit row.
  need_kb=$(((sessions * 1450 + events * 850) / 1024)) has_kb=$(df --output=avail -k "$state" | tail -n 1)
  if $own && [ "$need_kb" -gt "$has_kb" ]; then
    say "scale.sh: this takes $((need_kb / 1048576)) GB of disk, and $((has_kb / 1048576)) GB are free: take a smaller --scale or fewer --events."
    exit 1
  fi
  psql "$server" -qc "DROP DATABASE IF EXISTS ${DATABASE_URL##*/} WITH (FORCE)" -c "CREATE DATABASE ${DATABASE_URL##*/}"
  program setup 2>"$work/setup" || { cat "$work/setup" >&2; exit 1; }
  sql -f infra/load/scale-functions.sql \
    -c "SELECT gpt_create_event_partitions((now() - interval '1 month' * ($months + 1))::date, $months + 4)" >/dev/null
  say "Filling $sessions sessions and $events audit rows..."
  sql -f infra/load/scale-indexes.sql -c 'CALL scale_drop_indexes()'
  all_rows people "$people"
  all_rows sessions "$sessions"
  all_rows events "$events"
  say "Indexes..."
  sql -c "SET maintenance_work_mem = '1GB'" -c 'CALL scale_make_indexes()'
  for table in users gpt_consents gpt_sessions gpt_refresh_tokens webhook_events verification_sessions gpt_oauth_events; do sql -c "VACUUM (ANALYZE) $table"; done
  sql -c "CREATE TABLE scale_filled AS SELECT $sessions AS sessions, $events AS events, $months AS months, 0::bigint AS used, now() AS at"
}

# room SESSIONS: the database, filled, with so many sessions that no measurement has taken yet (scale-take.sql), and ready.
room() {
  local left
  if filled; then
    program setup 2>"$work/setup" || { cat "$work/setup" >&2; exit 1; }
    # Its tokens expire 27 days after it was filled.
    sql -c 'SET client_min_messages = warning' -c "ALTER TABLE scale_filled ADD COLUMN IF NOT EXISTS used bigint NOT NULL DEFAULT 0, ADD COLUMN IF NOT EXISTS at timestamptz NOT NULL DEFAULT now()"
    left=$(sql -c "SELECT CASE WHEN at > now() - interval '20 days' THEN sessions - used ELSE 0 END FROM scale_filled")
    [ "$left" -lt $((2 * $1)) ] || return 0
    say "$(title "$side"): $left are left, and $((2 * $1)) needed: filling again..."
  fi
  fill
}

# warm: all but the trail has been read lately, as it has on a server that has run for months; into PostgreSQL's own memory when that is large enough.
warm() {
  ! $own || as_superuser -c 'SET client_min_messages = warning' -c 'CREATE EXTENSION IF NOT EXISTS pg_prewarm'
  sql -c "WITH read AS MATERIALIZED (
      SELECT oid, pg_relation_size(oid) AS bytes FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
        AND relname ~ '^(users|gpt_sessions|gpt_refresh_tokens)')
    SELECT pg_prewarm(oid, CASE WHEN (SELECT sum(bytes) < pg_size_bytes(current_setting('shared_buffers')) FROM read) THEN 'buffer' ELSE 'read' END)
    FROM read WHERE bytes > 0" >/dev/null 2>&1 ||
    say "scale.sh: without the extension pg_prewarm the first figures are of a server that has just been started."
}
