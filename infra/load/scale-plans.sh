# shellcheck shell=bash disable=SC2154 # sourced by scale.sh, which sets what is used here
# The part of scale.sh that has the plans of all statements written down, and compares them.

as_superuser() {
  PGPASSWORD=$(cat "$state/postgres/password") psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(cat "$state/postgres.port")" -U postgres -d "${DATABASE_URL##*/}" "$@"
}

explaining() { # SET|RESET
  local name value
  while read -r name value; do
    as_superuser -c "ALTER DATABASE ${DATABASE_URL##*/} $1 $name${value:+ = $value}"
  done < <(for value in 'session_preload_libraries auto_explain' 'auto_explain.log_min_duration 0' 'auto_explain.log_analyze on' \
    'auto_explain.log_buffers on' 'auto_explain.log_timing off' 'auto_explain.log_nested_statements on'; do [ "$1" = SET ] && echo "$value" || echo "${value% *}"; done)
}

# planned TITLE COMMAND...: adds the plans of its statements to $work/plans.SIDE.
planned() {
  local log=$state/postgres/server.log seen
  seen=$(wc -c <"$log")
  "${@:2}" >"$work/planned"
  tail -c +"$((seen + 1))" "$log" | awk -v title="$1" -f infra/load/scale-plans.awk >>"$work/plans.$side"
}

part_plans() {
  local what rest
  $own || { say "scale.sh: plans need the private server: leave DATABASE_URL unset, or plans out of --only."; exit 2; }
  export TOKENS=$work/tokens
  : >"$state/postgres/server.log" # what an earlier run has had written down
  for side in $sides; do
    on "$side"
    say "plans, $(title "$side")..."
    : >"$work/plans.$side"
    sql -c 'TRUNCATE outbox_messages' -c 'ANALYZE gpt_authorization_codes, rate_limits, page_sessions'
    explaining SET
    serve "$side"
    planned "a refresh" refreshes_of 1 200 2
    planned "a code exchange" exchanges_of 1 3000 2
    callers 50
    forget
    TOKENS=$work/$side.access planned "a gateway call" calls 1
    planned "a revocation" revocations_of 1 400 2
    sign_in
    while IFS='|' read -r what rest; do planned "page: $what" get -o /dev/null "$(url)$rest"; done < <(pages)
    unserve "$side"
    sql -v numbers="$(take 50 | paste -sd,)" -f infra/load/scale-due.sql
    planned "the purge" program purge 2>/dev/null
    # shellcheck disable=SC2086 # words
    while IFS='|' read -r what rest; do planned "$what" tail_of $rest; done < <(look_ups 1)
    explaining RESET
  done
  awk -v large="$(title large)" -v small="$(title small)" -v found="$work/found" -f infra/load/scale-compare.awk "$work/plans.large" "$work/plans.small" >"$work/plans"
  say "$(cat "$work/found")"
  if $save; then
    { cat "$work/plans"; printf '\n## What stands out\n\n'; cat "$work/found"; } >infra/load/scale-plans.txt
    say "written to infra/load/scale-plans.txt"
  fi
  ! grep -q 'end to end' "$work/found" || exit 1
}
