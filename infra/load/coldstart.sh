#!/usr/bin/env bash
# How long a new process takes until it answers, and how much memory it needs: compiled just in time, and ahead of time as in the image.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/coldstart.sh [--rounds N] [--requests N] [--save]

Starts the program again and again on a database that is ready, in turns as built (JIT) and as the image has it (ReadyToRun), and takes
the time from the start of the process to the first 200 of /health and to the first access token (a refresh); its resident memory after
that, and after --requests refreshes (10,000). Prints medians of --rounds (10), which --save writes into infra/load/RESULTS.md. This is
the standalone host: in a pod the Functions host stands beside it with time and memory of its own. Uses DATABASE_URL when set, else
starts a private PostgreSQL (infra/dev/services.sh). Needs wrk.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
rounds=10 requests=10000
standalone_only
options "rounds requests" "$@"
need wrk
begin gpt_coldstart --no-rabbitmq
say "Publishing with ReadyToRun..."
dotnet publish GptFunctions/GptFunctions.csproj -c Release -r linux-x64 --no-self-contained -p:PublishReadyToRun=true -p:RunAnalyzers=false \
  --artifacts-path "$work/artifacts" -o "$work/ahead" -v quiet -nologo >&2
cp -r GptFunctions/bin/Release/net10.0 "$work/jit"

url=http://127.0.0.1:$PORT
sql -v secret="$CLIENT_SECRET" -v sessions=$((2 * (rounds + 1))) -v prefix=cold -f infra/load/seed.sql
number=0
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
mebibytes() { awk -v key="$1:" '$1 == key { printf "%.0f", $2 / 1024 }' "/proc/$pid/status"; }
since() { echo $(($(milliseconds) - $1)); }

round() { # jit or ahead -> ms to /health, ms to a token, MiB then, MiB after the requests, MiB at most
  local start health token rest=$requests rps memory
  start=$(milliseconds)
  (cd "$work" && OUTBOX_RELAY=false exec dotnet "$work/$1/GptFunctions.dll" >app.log 2>&1) &
  pid=$!
  # A look at the port costs nearly nothing; curl itself would take the processor away from what is measured.
  until (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || { tail "$work/app.log" >&2; exit 1; }
    sleep 0.003
  done
  curl -sf -o /dev/null "$url/health"
  health=$(since "$start")
  curl -sf -o /dev/null "$url/oauth/token" -d "grant_type=refresh_token&refresh_token=cold-$number-0&client_id=$CLIENT_ID" --data-urlencode "client_secret=$CLIENT_SECRET" ||
    { tail "$work/app.log" >&2; exit 1; }
  token=$(since "$start")
  memory=$(mebibytes VmRSS)
  while [ "$rest" -gt 0 ]; do
    read -r rps _ _ errors <<<"$(refreshes 8 2)"
    [ "$errors" = 0 ] || { say "coldstart.sh: there were errors"; exit 1; }
    rest=$((rest - 2 * rps))
  done
  echo "$health $token $memory $(mebibytes VmRSS) $(mebibytes VmHWM)" >>"$work/$1.rounds"
  stop_app
}

say "Warming up (the machine's file cache)..."
for way in jit ahead; do round "$way"; number=$((number + 1)); rm "$work/$way.rounds"; done
for count in $(seq "$rounds"); do
  say "round $count of $rounds..."
  for way in jit ahead; do round "$way"; number=$((number + 1)); done
done

row() { # TITLE WAY
  local column line="| $1 |"
  for column in 1 2 3 4 5; do line+=" $(cut -d ' ' -f "$column" "$work/$2.rounds" | median) |"; done
  echo "$line"
}
(cd "$work" && exec dotnet "$work/ahead/GptFunctions.dll" setup >&2) & pid=$!
setup=0
while kill -0 "$pid" 2>/dev/null; do
  peak=$(mebibytes VmHWM 2>/dev/null || true)
  [ "${peak:-0}" -le "$setup" ] || setup=$peak
  sleep 0.01
done
wait "$pid"
pid=""

table="| | ms to \`/health\` | ms to the first token | MiB then | MiB after $requests requests | MiB at most |
| --- | ---: | ---: | ---: | ---: | ---: |
$(row "compiled just in time" jit)
$(row "ReadyToRun, as in the image" ahead)

\`GptFunctions setup\` needs $setup MiB at most."
echo "$table"
! $save || save coldstart <<TEXT
$(machine) $rounds rounds, each way in turns, medians; resident memory of the process, runtime included.

$table
TEXT
