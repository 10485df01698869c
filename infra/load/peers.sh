#!/usr/bin/env bash
# Refreshes and webhooks per second, beside what one could pick instead: node-oidc-provider, and a Node receiver that verifies with svix.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: infra/load/peers.sh [--seconds N] [--rounds N] [--connections "1 8 32"] [--save]

Measures with wrk, in turns, on one PostgreSQL server and with pools of one size:
  POST /oauth/token (grant_type=refresh_token) of the program, and of node-oidc-provider with rotation on, its tokens in PostgreSQL, access
    tokens that are ES256 JWTs (infra/load/node/provider.mjs);
  POST /webhooks/clerk of the program, and of a Node receiver that verifies with svix and does one INSERT (infra/load/node/receiver.mjs).
Each peer runs as one process and as one for each core (node:cluster), and the better of the two is shown. Before anything is measured,
a client of its own refreshes and delivers at each of them and checks the answers; errors end the run; afterwards each answer must have
its row. Shows medians of --rounds (5) rounds of --seconds (3) each way. --save writes the tables into infra/load/RESULTS.md.
The peers and their Node.js come from npm, pinned in infra/load/node/package-lock.json, and are installed when they are missing. Uses
DATABASE_URL when set, else starts a private PostgreSQL (infra/dev/services.sh). Needs npm, wrk and OpenSSL's libcrypto.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=lib.sh
. infra/load/lib.sh
seconds=3 rounds=5 connections="1 8 32"
options "seconds rounds connections" "$@"
need wrk
need npm

# A copy, so that nothing is installed among the sources.
packages=.local/peers
mkdir -p "$packages"
cp infra/load/node/*.mjs infra/load/node/package*.json "$packages"
if ! cmp -s "$packages/package-lock.json" "$packages/node_modules/.installed-lock.json"; then
  say "Installing the peers..."
  npm ci --prefix "$packages" --no-audit --no-fund >&2
  cp "$packages/package-lock.json" "$packages/node_modules/.installed-lock.json"
fi
node=$root/$packages/node_modules/.bin/node
[ -x "$node" ] || { need node nodejs; node=node; } # on a machine for which npm has none
version() { "$node" -p "require('./$packages/node_modules/$1/package.json').version"; }

secret=$(head -c 24 /dev/urandom | base64)
WEBHOOK_KEY=$(base64 -d <<<"$secret" | od -An -tx1 | tr -d ' \n')
export WEBHOOK_KEY CLERK_WEBHOOK_SECRET=whsec_$secret NODE_ENV=production
begin gpt_peers --no-rabbitmq
start_app OUTBOX_RELAY=false

cores=$(nproc)
ours=http://127.0.0.1:$PORT next=$PORT
declare -A provider=() receiver=() # by processes
for processes in $(printf '%s\n' 1 "$cores" | sort -nu); do
  provider[$processes]=http://127.0.0.1:$((next += 1)) receiver[$processes]=http://127.0.0.1:$((next += 1))
done
for part in provider receiver; do "$node" "$packages/$part.mjs" create; done
for processes in "${!provider[@]}"; do
  start_peer "${provider[$processes]}/.well-known/openid-configuration" PROCESSES="$processes" "$node" "$packages/provider.mjs" "${provider[$processes]##*:}"
  start_peer "${receiver[$processes]}/ready" PROCESSES="$processes" "$node" "$packages/receiver.mjs" "${receiver[$processes]##*:}"
done

tokens() { # URL COUNT: in $TOKENS as many live refresh tokens
  local run=peers$RANDOM$RANDOM
  if [ "$1" != "$ours" ]; then "$node" "$packages/provider.mjs" seed "$2"; return; fi
  sql -v secret="$CLIENT_SECRET" -v sessions="$2" -v prefix="$run" -f infra/load/seed.sql
  seq -f "$run-%.0f-0" 0 $(($2 - 1))
}
drive() { # LUA URL CONNECTIONS SECONDS -> requests per second, p50 ms, p99 ms, errors
  export THREADS=$(($3 > 1 ? 2 : 1)) TOKENS=$work/tokens RUN=peers$RANDOM$RANDOM
  [ "$1" != refresh ] || tokens "$2" $(($3 + 4)) >"$TOKENS"
  wrk -t "$THREADS" -c "$3" -d "${4}s" --latency -s "infra/load/$1.lua" "$2" | sed -n 's/^RESULT //p'
}

say "Checking what they answer..."
check() { "$node" "$packages/check.mjs" "$@" || { say "peers.sh: $2 does not answer $1 as it should"; exit 1; }; }
for url in "$ours" "${provider[@]}"; do check refresh "$url" "$(tokens "$url" 1)"; done
for url in "$ours" "${receiver[@]}"; do check webhook "$url"; done

say "Warming up..."
for url in "$ours" "${provider[@]}"; do drive refresh "$url" 32 6 >/dev/null; done # long enough for the compilers to settle
for url in "$ours" "${receiver[@]}"; do drive webhooks "$url" 32 6 >/dev/null; done
sql -c ANALYZE # as the server does by itself within a minute: what is planned for empty tables reads them by the wrong index
written() { # what each answer must have left in the database
  sql -c "SELECT (SELECT count(*) FROM gpt_refresh_tokens), (SELECT count(*) FROM oidc_models WHERE model = 'RefreshToken'),
    (SELECT count(*) FROM webhook_events), (SELECT count(*) FROM webhook_inbox)" | tr '|' '\n'
}
written >"$work/before"

measure() { # LUA NAME URL CONNECTIONS: a line of figures into the file of that name
  drive "$1" "$3" "$4" "$seconds" | tee -a "$work/$1.$2.$4"
}
total=$(((2 + 2 * ${#provider[@]}) * rounds * seconds * $(wc -w <<<"$connections")))
say "Measuring for $((total / 60 + 1)) minutes..."
for count in $connections; do
  for round in $(seq "$rounds"); do
    say "$count connection(s), round $round of $rounds, $seconds s each way..."
    sql -c 'TRUNCATE outbox_messages' -c 'VACUUM gpt_sessions, gpt_refresh_tokens, oidc_models'
    {
      measure refresh ours "$ours" "$count"
      for processes in "${!provider[@]}"; do measure refresh "$processes" "${provider[$processes]}" "$count"; done
      measure webhooks ours "$ours" "$count"
      for processes in "${!receiver[@]}"; do measure webhooks "$processes" "${receiver[$processes]}" "$count"; done
    } >"$work/round"
    [ "$(awk '{ sum += $4 } END { print sum }' "$work/round")" = 0 ] || { say "peers.sh: there were errors:"; cat "$work/round" >&2; exit 1; }
  done
done

answered() { cat "$@" | awk -v seconds="$seconds" '{ sum += ($1 - 1) * seconds } END { print sum + 0 }'; } # at least, as rates are rounded
{
  answered "$work"/refresh.ours.*
  answered "$work"/refresh.[0-9]*
  answered "$work"/webhooks.ours.*
  answered "$work"/webhooks.[0-9]*
} >"$work/answered"
written | paste -d ' ' - "$work/before" "$work/answered" >"$work/whole"
awk '$1 - $2 < $3 { exit 1 }' "$work/whole" || { say "peers.sh: answers and rows do not match:"; cat "$work/whole" >&2; exit 1; }

figures() { # FILE -> medians of requests per second, p50 ms, p99 ms
  local column
  for column in 1 2 3; do cut -d ' ' -f $column "$1" | median; done | tr '\n' ' '
}
table() { # LUA WHAT PEER
  local count processes best rps p50 p99 rps2 p50_2 p99_2
  echo "| connections | GptFunctions, $2/s | p50 ms | p99 ms | $3, $2/s | p50 ms | p99 ms | its processes | times |"
  echo "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
  for count in $connections; do
    read -r rps p50 p99 <<<"$(figures "$work/$1.ours.$count")"
    best=$(for processes in "${!provider[@]}"; do echo "$(figures "$work/$1.$processes.$count")$processes"; done | sort -n | tail -n 1)
    read -r rps2 p50_2 p99_2 processes <<<"$best"
    echo "| $count | $rps | $p50 | $p99 | $rps2 | $p50_2 | $p99_2 | $processes | $(awk "BEGIN { printf \"%.2f\", $rps / $rps2 }") |"
  done
}
result="$(table refresh refreshes "node-oidc-provider")

$(table webhooks events "Node.js with svix")"
echo "$result"
! $save || save peers <<TEXT
$(machine) Medians of $rounds rounds of $seconds s each way, zero errors; pool of $DATABASE_POOL_SIZE connections. oidc-provider $(version oidc-provider), svix $(version svix), pg $(version pg), Node.js $("$node" -p process.versions.node).

$result
TEXT
