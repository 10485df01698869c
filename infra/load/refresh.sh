#!/usr/bin/env bash
# Refreshes per second through HTTP, beside pgbench with an ideal statement and beside the shortest way in C#, in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/refresh.sh [--seconds N] [--rounds N] [--connections "1 8 32"] [--save]

Measures POST /oauth/token (grant_type=refresh_token) with wrk, in turns with its limits on the same server: pgbench running a single
statement that makes the same four changes and checks nothing (ideal-refresh.sql), and that statement behind the shortest way in C# (a
form, one ES256 signature, JSON: ideal.cs). Of several rounds the median is shown, for each of the ratios too, because a machine's
speed changes by the second. Uses DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). --save writes the
tables into infra/load/RESULTS.md. Needs wrk and pgbench.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=5 rounds=5 connections="1 8 32"
options "seconds rounds connections" "$@"
need_pgbench
need wrk
begin gpt_bench --no-rabbitmq
for part in ideal allocations; do dotnet build "infra/load/$part.cs" -c Release -o "$work/$part" -v quiet --nologo >&2; done

ours=$PORT ideal=$((PORT + 1))
# shellcheck disable=SC2046 # settings
start_app OUTBOX_RELAY=false $(counted ours)
# shellcheck disable=SC2046
start_peer "http://127.0.0.1:$ideal/ready" $(counted ideal) dotnet "$work/ideal/ideal.dll" "$ideal" "$DATABASE_URL" infra/load/ideal-refresh.sql

of() { PORT=$1 refreshes "$2" "$3"; }

sed -e "s#\$1#sha256(convert_to(:run || '-' || :client_id || '-' || :n, 'UTF8'))#" \
  -e "s#\$2#sha256(convert_to(:run || '-' || :client_id || '-' || (:n + 1), 'UTF8'))#g" \
  infra/load/ideal-refresh.sql >"$work/refresh.sql"
printf ';\n\\set n :n + 1\n' >>"$work/refresh.sql"
database() { # connections, seconds -> statements per second, mean ms
  local run=$RANDOM$RANDOM
  sql -v secret="$CLIENT_SECRET" -v sessions="$1" -v prefix="$run" -f infra/load/seed.sql
  "$pgbench" "$DATABASE_URL" -n -M prepared -f "$work/refresh.sql" -D n=0 -D run="$run" -c "$1" -j 2 -T "$2" 2>"$work/pgbench.log" >"$work/pgbench.out" || { cat "$work/pgbench.log" >&2; exit 1; }
  sed -n -e 's/^tps = \([0-9.]*\).*/\1/p' -e 's/^latency average = \([0-9.]*\) ms/\1/p' "$work/pgbench.out" | tac | tr '\n' ' '
}

say "Warming up..."
for port in "$ours" "$ideal" "$ours"; do of "$port" 32 8 >/dev/null; done # long enough for the compiler to settle

rows="" faults=0
for count in $connections; do
  for round in $(seq "$rounds"); do
    say "$count connection(s), round $round of $rounds, $seconds s each way..."
    sql -c 'TRUNCATE outbox_messages' -c 'VACUUM gpt_sessions, gpt_refresh_tokens'
    read -r tps mean <<<"$(database "$count" "$seconds")"
    read -r rps p50 p99 errors <<<"$(of "$ours" "$count" "$seconds")"
    read -r least l50 l99 wrong <<<"$(of "$ideal" "$count" "$seconds")"
    awk "BEGIN { printf \"%d %.2f %.2f %d %.2f %.2f %.0f %.3f %.3f %.3f %d\\n\", $rps, $p50, $p99, $least, $l50, $l99, $tps, $mean,
      $rps / $tps, $rps / $least, $errors + $wrong }"
  done >"$work/rounds"
  faults=$((faults + $(awk '{ sum += $11 } END { print sum }' "$work/rounds")))
  row="| $count |"
  for column in 1 2 3 4 5 6 7 8 9 10; do row+=" $(cut -d' ' -f$column "$work/rounds" | median) |"; done
  rows+="$row"$'\n'
done
[ "$faults" = 0 ] || { say "refresh.sh: there were $faults errors."; exit 1; }

cost() { # NAME PID PORT: KiB allocated and microseconds of processor for each refresh at 32 connections
  local before requests after
  before=$(spent "$1" "$2")
  requests=$(of "$3" 32 "$seconds" | cut -d' ' -f1)
  after=$(spent "$1" "$2")
  per_request "$before" "$after" $((requests * seconds))
}

table="| connections | refreshes/s | p50 ms | p99 ms | shortest way, /s | p50 ms | p99 ms | pgbench, /s | mean ms | of pgbench | of the shortest way |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
$rows
| at 32 connections | KiB allocated per refresh | CPU per refresh, us of its process |
| --- | ---: | ---: |
| the shortest way in C# | $(cost ideal "${peers[0]}" "$ideal") |
| the program | $(cost ours "$pid" "$ours") |
"
echo "$table"
! $save || save refresh <<TEXT
$(machine) Median of $rounds rounds of $seconds s each way, zero errors; pool of $DATABASE_POOL_SIZE connections.

$table
TEXT
