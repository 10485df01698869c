#!/usr/bin/env bash
# Calls per second through the gateway, beside the same upstream called directly and a bare forwarding proxy, in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/gateway.sh [--seconds N] [--rounds N] [--connections "1 8 32 64"] [--save]

Measures GET /gpt/jobs/search with wrk, in turns: straight at an upstream that answers at once, through a forwarding proxy of a few lines
on Kestrel that checks nothing (both peers.cs), and through the gateway with everything on; and the statement of the limit alone with
pgbench. Of several rounds the one with the median share is shown. Prints Markdown tables, which --save writes into infra/load/RESULTS.md.
Uses DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). Needs wrk and pgbench.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=4 rounds=3 connections="1 8 32 64" users=64
options "seconds rounds connections" "$@"
need wrk
need_pgbench
begin gpt_gateway --no-rabbitmq
for part in peers allocations; do dotnet build "infra/load/$part.cs" -c Release -o "$work/$part" -v quiet --nologo >&2; done

gateway=http://127.0.0.1:$PORT upstream=http://127.0.0.1:$((PORT + 1)) bare=http://127.0.0.1:$((PORT + 2))
export DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1 # the program sets it for itself; its peers get it too
start_peer "$upstream" dotnet "$work/peers/peers.dll" upstream $((PORT + 1))
# shellcheck disable=SC2046 # settings
start_peer "$bare" $(counted bare) dotnet "$work/peers/peers.dll" forward $((PORT + 2)) "$upstream"
# shellcheck disable=SC2046
start_gateway "$upstream" "$users" $(counted gateway)
export TOKENS=$work/access

calls() { # URL CONNECTIONS SECONDS -> requests per second, p50 ms, p99 ms, errors, requests
  wrk -t $(($2 > 1 ? 2 : 1)) -c "$2" -d "${3}s" --latency -s infra/load/gateway.lua "$1" | sed -n 's/^RESULT //p'
}

cat >"$work/limit.sql" <<SQL
\\set user random(1, $users)
INSERT INTO rate_limits AS bucket (key, tat) VALUES (sha256(('read|user_bench_' || :user)::bytea), clock_timestamp() + interval '60 us')
ON CONFLICT (key) DO UPDATE SET tat = greatest(bucket.tat, clock_timestamp()) + interval '60 us'
WHERE greatest(bucket.tat, clock_timestamp()) + interval '60 us' <= clock_timestamp() + interval '1 minute'
RETURNING key, extract(epoch FROM tat - clock_timestamp())::double precision;
SQL
limits() { # CONNECTIONS SECONDS -> statements per second
  "$pgbench" "$DATABASE_URL" -n -M prepared -f "$work/limit.sql" -c "$1" -j 2 -T "$2" 2>&1 | sed -n 's/^tps = \([0-9]*\).*/\1/p'
}

say "Warming up..."
for url in "$upstream" "$bare" "$gateway" "$gateway" "$bare" "$gateway"; do calls "$url" 32 4 >/dev/null; done

throughput="| connections | upstream, req/s | p50 ms | p99 ms | bare forwarder, req/s | p50 ms | p99 ms | gateway, req/s | p50 ms | p99 ms | share | limits/s by pgbench |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"
for count in $connections; do
  for round in $(seq "$rounds"); do
    say "$count connection(s), round $round of $rounds, $seconds s each way..."
    read -r rps1 p50_1 p99_1 errors1 _ <<<"$(calls "$upstream" "$count" "$seconds")"
    read -r rps2 p50_2 p99_2 errors2 _ <<<"$(calls "$bare" "$count" "$seconds")"
    read -r rps3 p50_3 p99_3 errors3 _ <<<"$(calls "$gateway" "$count" "$seconds")"
    [ "$((errors1 + errors2 + errors3))" = 0 ] || { say "gateway.sh: there were errors"; exit 1; }
    echo "$((100 * rps3 / rps2)) | $count | $rps1 | $p50_1 | $p99_1 | $rps2 | $p50_2 | $p99_2 | $rps3 | $p50_3 | $p99_3 | $((100 * rps3 / rps2)) % | $(limits "$count" 2) |"
  done | sort -n | sed -n "$(((rounds + 1) / 2))s/^[0-9]* //p" >"$work/row"
  throughput+=$(cat "$work/row")$'\n'
done

cost() { # TITLE NAME PID URL
  local before after requests
  before=$(spent "$2" "$3")
  requests=$(calls "$4" 32 "$seconds" | cut -d ' ' -f 5)
  after=$(spent "$2" "$3")
  echo "| $1 | $(per_request "$before" "$after" "$requests") |"
}
result="$throughput
| at 32 connections | KiB allocated per request | CPU per request, us of its process |
| --- | ---: | ---: |
$(cost "bare forwarder" bare "${peers[1]}" "$bare")
$(cost gateway gateway "$pid" "$gateway")"
echo "$result"
! $save || save gateway <<TEXT
$(machine) $rounds rounds of $seconds s each way, the one with the median share; $users users take turns.

$result
TEXT
