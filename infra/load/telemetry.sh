#!/usr/bin/env bash
# Refreshes per second with and without telemetry, beside each other on the same database in the same run.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/telemetry.sh [--seconds N] [--rounds N] [--connections N] [--before DLL] [--save]

Measures POST /oauth/token (grant_type=refresh_token) with wrk against processes of the program that differ in their telemetry only, in turns: without,
with a share of 10 % of the traces, and with all of them, metrics and logs included; the collector takes everything and keeps nothing. --before names
the GptFunctions.dll of another build, which joins them without telemetry. Of each ratio the median of all rounds counts, because a machine's speed
changes by the second. Uses DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). --save writes the table into
infra/load/RESULTS.md. Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=4 rounds=11 connections=32 before=""
standalone_only
options "seconds rounds connections before" "$@"
need wrk
begin gpt_telemetry --no-rabbitmq
dotnet build infra/load/allocations.cs -c Release -o "$work/allocations" -v quiet --nologo >&2
dotnet build infra/dev/telemetry/telemetry.csproj -c Release -o "$work/telemetry" -v quiet --nologo >&2

dotnet "$work/telemetry/telemetry.dll" "$work" --discard >&2 & peers+=($!)
until [ -s "$work/telemetry.url" ]; do sleep 0.1; done
collector=$(cat "$work/telemetry.url")
dll=$root/GptFunctions/bin/Release/net10.0/GptFunctions.dll first=$PORT
export PUBLIC_BASE_URL=http://127.0.0.1:$PORT OUTBOX_RELAY=false

declare -A port=() pids=()
names=(off share all)
declare -A title=([off]="none" [share]="10 % of the traces" [all]="every trace" [before]="none, the build before")
[ -z "$before" ] || names+=(before)
run() { # NAME DLL [NAME=VALUE...]: in the same directory, so that they have the same keys
  port[$1]=$((first + ${#port[@]}))
  (cd "$work" && exec env PORT="${port[$1]}" ALLOCATIONS_FILE="$work/$1.allocated" DOTNET_STARTUP_HOOKS="$work/allocations/allocations.dll" "${@:3}" \
    dotnet "$2" >"$1.log" 2>&1) &
  pids[$1]=$! peers+=($!)
  answers "http://127.0.0.1:${port[$1]}/ready" || { tail "$work/$1.log" >&2; exit 1; }
}
exported=("OTEL_EXPORTER_OTLP_ENDPOINT=$collector" OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)
run off "$dll"
run share "$dll" "${exported[@]}" OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.1
run all "$dll" "${exported[@]}"
[ -z "$before" ] || run before "$(realpath "$before")"

spent() { # NAME -> bytes allocated, milliseconds of CPU, so far
  rm -f "$work/$1.allocated"
  kill -CONT "${pids[$1]}"
  until [ -s "$work/$1.allocated" ]; do sleep 0.02; done
  cat "$work/$1.allocated"
}
measure() { # NAME -> requests per second, p99 ms, KiB allocated and us of CPU per request
  local before after rps p50 p99 errors
  PORT=${port[$1]}
  before=$(spent "$1")
  read -r rps p50 p99 errors <<<"$(refreshes "$connections" "$seconds")"
  after=$(spent "$1")
  [ "$errors" = 0 ] || { say "telemetry.sh: $errors errors ($p50 ms)"; exit 1; }
  awk -v before="$before" -v after="$after" -v rps="$rps" -v p99="$p99" -v requests=$((rps * seconds)) 'BEGIN {
    split(before, b, " "); split(after, a, " ")
    printf "%s %s %.2f %.0f\n", rps, p99, (a[1] - b[1]) / requests / 1024, 1000 * (a[2] - b[2]) / requests }'
}

say "Warming up..."
for name in "${names[@]}" "${names[@]}"; do measure "$name" >/dev/null; done
for round in $(seq "$rounds"); do
  say "round $round of $rounds, $seconds s each way..."
  order=("${names[@]}")
  [ $((round % 2)) = 1 ] || mapfile -t order < <(printf '%s\n' "${names[@]}" | tac)
  for name in "${order[@]}"; do measure "$name" | tee -a "$work/$name.rounds" >"$work/$name.now"; done
  for name in "${names[@]}"; do awk -v off="$(cut -d ' ' -f 1 "$work/off.now")" '{ print $1 / off }' "$work/$name.now" >>"$work/$name.ratios"; done
done

table="| telemetry | refreshes/s | of those without | p99 ms | KiB allocated per request | CPU per request, us |
| --- | ---: | ---: | ---: | ---: | ---: |"
for name in "${names[@]}"; do
  column() { cut -d ' ' -f "$1" "$work/$name.rounds" | median; }
  table+=$'\n'"| ${title[$name]} | $(column 1) | $(median <"$work/$name.ratios" | awk '{ printf "%.2f", $1 }') | $(column 2) | $(column 3) | $(column 4) |"
done
echo "$table"
! $save || save telemetry <<TEXT
$(machine) $rounds rounds of $seconds s each way at $connections connections, medians; pool of $DATABASE_POOL_SIZE connections; metrics every 60 s.

$table
TEXT
