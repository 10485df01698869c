#!/usr/bin/env bash
# Walks the whole flow against a running application and prints each step:
# sign-in, consent, code, tokens, refresh, introspection, sessions, actions through the
# gateway, their limit, the quota of a plan, revocation, and an order from purchase to refund.
#
# usage: infra/dev/demo.sh
#
# Needs curl and awk. Settings (environment): BASE_URL (default: where make run of this
# checkout started, else http://127.0.0.1:PORT, PORT 7071); GPT_CLIENT_ID,
# GPT_CLIENT_SECRET, GPT_REDIRECT_URI (default: .local/demo-client.env, which setup
# writes); USER_ID (alice); SCOPE (jobs:read applications:read applications:write, or all that the
# application has instead of these); SERVICE_KEY (default: .local/demo.env, which make run writes);
# the secrets of webhooks, see webhook.sh. Actions are called where the sample's routes are there.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '') ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/dev/demo.sh --help." ;;
esac

have curl || die "curl is missing: install it."
base=${BASE_URL:-}
[ -n "$base" ] || [ -n "${PORT:-}" ] || base=$(cat "$local_dir/run.url" 2>/dev/null || true)
base=${base:-http://127.0.0.1:${PORT:-7071}}
base=${base%/}

client() { { sed -n "s/^\(export \)\{0,1\}GPT_$1=//p" "$local_dir/demo-client.env" 2>/dev/null || true; } | tr -d "\"'\r" | head -n 1; }
id=${GPT_CLIENT_ID:-$(client CLIENT_ID)}
secret=${GPT_CLIENT_SECRET:-$(client CLIENT_SECRET)}
redirect=${GPT_REDIRECT_URI:-$(client REDIRECT_URI)}
[ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' "$base/ready")" = 200 ] || die "Nothing is ready at $base: start it with make run (or set BASE_URL)."
[ -n "$id" ] && [ -n "$secret" ] && [ -n "$redirect" ] || die "No demo client in .local/demo-client.env: make setup writes it (or set GPT_CLIENT_ID, GPT_CLIENT_SECRET and GPT_REDIRECT_URI)."

user=${USER_ID:-alice}
scope=${SCOPE:-}
if [ -z "$scope" ]; then
  scopes=" $(scopes_of "$base") "
  for name in jobs:read applications:read applications:write; do [[ $scopes != *" $name "* ]] || scope="$scope $name"; done
  scope=${scope:-$scopes}
  scope=$(xargs <<<"$scope")
fi
routes=$(curl -s -m 5 "$base/gpt/openapi.json" || true)
has_route() { [[ $routes == *"\"$1\""* ]]; } # PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0

# ---- helpers
# Printed values: tokens lose all but their beginning, other long values their end.
short() {
  sed -E 's/("(access_token|refresh_token|id_token|x-gpt-assertion)" *: *"[^"]{12})[^"]*/\1…/g
    s/((^|[?& ])(code|token|refresh_token)=[^& ]{12})[^& ]*/\1…/g
    s/(X-Service-Key: .{6}).*/\1…/
    s/([?& ][A-Za-z_.-]+=[^& ]{48})[^& ]{8,}/\1…/g'
}
decode() { local text=${1//+/ }; printf '%b' "${text//%/\\x}"; }
parameter() { sed -n "s/^[^?]*?\(.*&\)\{0,1\}$2=\([^&#]*\).*/\2/p" <<<"$1"; } # URL NAME
json() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" "$work/body" | head -n 1; }
absolute() { # URL BASE
  case $1 in
    http://* | https://*) printf '%s' "$1" ;;
    /*) printf '%s' "$base$1" ;;
    '') printf '%s' "$2" ;;
    '?'*) printf '%s' "${2%%\?*}$1" ;;
    *) local path=${2%%\?*}; printf '%s' "${path%/*}/$1" ;;
  esac
}
step() { n=$((n + 1)); printf '\n%d. %s\n' "$n" "$1"; }
fail() {
  printf '\n   The answer was:\n' >&2
  { head -c 1500 "$work/body" | short | sed 's/^/   /'; echo; } >&2
  die "Step $n failed: $1"
}
show() { printf '   <- %s\n' "$1" | short; }
interesting() { { head -c "${1:-4000}" "$work/body" | tr -d '\r\n'; echo; } | short | sed 's/^/      /'; }

# request METHOD URL [BODY] [USER:SECRET | bearer TOKEN] [HEADER]: sets status and location.
# What is secret goes to curl on its standard input, not into the list of processes.
request() {
  local method=$1 target=$2 body=${3-} auth=${4-} header=${5-}
  printf '   -> %s %s\n' "$method" "${target#"$base"}" | short
  [ -z "$body" ] || printf '      %s\n' "$body" | short
  case $auth in
    '') ;;
    'bearer '*) printf '      Authorization: Bearer %.12s…\n' "${auth#bearer }" ;;
    *) printf '      Authorization: Basic %s and its secret\n' "$id" ;;
  esac
  [ -z "$header" ] || printf '      %s\n' "$header" | short
  status=$({
    printf 'url = "%s"\nrequest = "%s"\n' "$target" "$method"
    [ -z "$header" ] || printf 'header = "%s"\n' "$header"
    [ "$method" = GET ] || printf 'header = "Origin: %s"\n' "$base"
    [ -z "$body" ] || printf 'data-raw = "%s"\n' "${body//\"/\\\"}"
    case $auth in
      '') ;;
      'bearer '*) printf 'header = "Authorization: Bearer %s"\n' "${auth#bearer }" ;;
      *) auth=${auth//\\/\\\\}; printf 'user = "%s"\n' "${auth//\"/\\\"}" ;;
    esac
  } | curl -sS -m 30 -K - -b "$work/cookies" -c "$work/cookies" -D "$work/head" -o "$work/body" -w '%{http_code}') ||
    { : >"$work/body"; fail "$target does not answer."; }
  location=$(tr -d '\r' <"$work/head" | sed -n 's/^[Ll]ocation: *//p' | tail -n 1)
  [ -z "$location" ] || location=$(absolute "$location" "$target")
  current=$target
  [ -n "$location" ] && show "$status, redirect to ${location#"$base"}" || show "$status"
}
expect() { [ "$status" = "$1" ] || fail "expected $1, got $status."; }
# form FIELD: of the current page; sets action and hidden.
form() {
  LC_ALL=C awk -v field="$1" -f "$dev_dir/form.awk" "$work/body" >"$work/form" || return 1
  action=$(absolute "$(grep '^action' "$work/form" | cut -f2-)" "$current")
  hidden=$(grep '^hidden' "$work/form" | cut -f2-)
}
title() { { LC_ALL=C awk -v field="$1" -f "$dev_dir/form.awk" "$work/body" || true; } | sed -n '/^title/{s/^title./      page: /;p;}'; }

# webhook TYPE NAME: what its sender sends, signed as it does.
webhook() {
  BASE_URL=$base "$dev_dir/webhook.sh" "$1" "$2" >"$work/webhook" 2>&1 || { cp "$work/webhook" "$work/body"; fail "the webhook $1 was not taken."; }
  printf '   -> %s\n   <- %s\n' "$(sed -n 1p "$work/webhook" | sed "s|$base||")" "$(tail -n 1 "$work/webhook")"
}
# apply: one application for a job; waits where the limit of the minute asks for it.
apply() {
  request POST "$base/gpt/applications/submit" 'job=job-1' "bearer $access" >/dev/null
  if [ "$status" = 429 ] && [ "$(json code)" != QUOTA_USED_UP ]; then
    pause=$(tr -d '\r' <"$work/head" | sed -n 's/^[Rr]etry-[Aa]fter: *//p')
    echo "      (the limit of the minute: waiting the $pause s that the answer asks for)"
    sleep "$pause"
    apply
  fi
}

is() { grep -q "^[^[]*\"status\":\"$1\"" "$work/body"; } # the order's status

# ---- the flow
echo "The whole flow against $base, as the user $user, for the client $id."
state="demo-$RANDOM$RANDOM"

step "The GPT sends the user's browser to the authorization endpoint."
request GET "$base/oauth/authorize?response_type=code&client_id=$(encode "$id")&redirect_uri=$(encode "$redirect")&scope=$(encode "$scope")&state=$state"

hops=0 consented=''
while [[ $location != "$redirect"[?\&]* ]]; do
  [ $((hops += 1)) -le 10 ] || fail "ten answers and no redirect to the GPT."
  if [ -n "$location" ]; then
    step "The browser follows the redirect."
    request GET "$location"
    title ''
  elif [ "$status" != 200 ]; then
    fail "expected a page or a redirect, got $status."
  elif form decision; then
    step "The consent page asks whether the GPT may act for $user; the user approves."
    request POST "$action" "${hidden:+$hidden&}decision=approve"
    consented=yes
  elif form user_id; then
    step "The sign-in page of the development mode asks who it is: $user."
    request POST "$action" "${hidden:+$hidden&}user_id=$(encode "$user")"
  else
    fail "the page is neither the sign-in nor the consent page."
  fi
done
[ -n "$consented" ] || echo "      (no consent page: $user has approved this GPT before, and that is remembered)"
code=$(parameter "$location" code)
[ -n "$code" ] || fail "the redirect carries no code but: $(decode "${location#*\?}")."
[ "$(parameter "$location" state)" = "$state" ] || fail "the redirect carries another state than the GPT's."
echo "      the GPT gets a code, its own state back, and the issuer $(decode "$(parameter "$location" iss)")"

step "The GPT exchanges the code for tokens."
request POST "$base/oauth/token" "grant_type=authorization_code&code=$code&redirect_uri=$(encode "$redirect")" "$id:$secret"
expect 200
interesting
access=$(json access_token) refresh=$(json refresh_token)
[ -n "$access" ] && [ -n "$refresh" ] || fail "the answer lacks an access token or a refresh token."

step "Later the GPT exchanges the refresh token for new tokens."
request POST "$base/oauth/token" "grant_type=refresh_token&refresh_token=$(encode "$refresh")" "$id:$secret"
expect 200
interesting
[ "$(json access_token)" != "$access" ] || fail "the access token is the old one."
access=$(json access_token)
[ -n "$access" ] || fail "the answer lacks an access token."

step "An API asks whether the access token is good."
request POST "$base/oauth/introspect" "token=$(encode "$access")" "$id:$secret"
expect 200
interesting
[ "$(json active)" = true ] || fail "the token is not active."

step "The user's sessions, read with the access token."
request GET "$base/oauth/sessions" '' "bearer $access"
expect 200
interesting 1000

search="$base/gpt/jobs/search?query=baker"
if has_route /gpt/jobs/search && [[ " $scope " == *' jobs:read '* ]]; then
  step "The GPT calls an action of the company's API through the gateway. That it calls itself somebody else changes nothing."
  request GET "$search" '' "bearer $access" "x-internal-id: somebody-else"
  if [ "$status" = 429 ]; then # this demo ran a moment ago
    pause=$(tr -d '\r' <"$work/head" | sed -n 's/^[Rr]etry-[Aa]fter: *//p')
    echo "      (the calls of the last demo used up $user's quota: waiting the $pause s that the answer asks for)"
    sleep "$pause"
    request GET "$search" '' "bearer $access" "x-internal-id: somebody-else"
  fi
  expect 200
  interesting 2000
  case $(json x-internal-id) in '' | somebody-else) fail "the API was told a forged identity, or none." ;; esac
  echo "      the API was told x-internal-id: $(json x-internal-id), x-gpt-scopes: $(json x-gpt-scopes)"

  step "An MCP host calls the same action as a tool: one list of routes, two worlds."
  request POST "$base/gpt/mcp" '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"searchJobs","arguments":{"query":"baker"}}}' "bearer $access" "Content-Type: application/json"
  expect 200
  grep -q '"structuredContent"' "$work/body" || fail "the tool did not answer."
  interesting 400

  step "The GPT calls it again and again, until the user's quota of the minute is used up."
  calls=0
  while [ "$status" != 429 ]; do
    [ $((calls += 1)) -le 200 ] || fail "200 calls, and no end."
    request GET "$search" '' "bearer $access" >/dev/null
  done
  echo "      $calls more calls, then 429:"
  interesting
else
  search="$base/gpt/usage"
  step "The GPT asks what the user's plan has left (the sample's actions are not among the routes here: no action is called)."
  request GET "$search" '' "bearer $access"
  expect 200
  interesting
fi

if has_route /gpt/applications/submit && [[ " $scope " == *' applications:write '* ]]; then
  step "The user's plan is free: it gives five applications a month. The GPT sends them, until the month's quota is used up."
  PLAN=free webhook customer.subscription.updated "$user"
  calls=0
  apply
  while [ "$status" != 429 ]; do
    expect 200
    [ $((calls += 1)) -le 10 ] || fail "ten applications, and no end."
    apply
  done
  if [ "$calls" = 0 ]; then echo "      all were used by an earlier demo:"; else echo "      $calls applications, then 429:"; fi
  interesting

  step "The user buys the larger plan. Stripe says so, and the next call passes."
  PLAN=pro webhook customer.subscription.updated "$user"
  apply
  expect 200
  request GET "$base/gpt/usage" '' "bearer $access"
  expect 200
  interesting
fi

step "The GPT revokes the access token."
request POST "$base/oauth/revoke" "token=$(encode "$access")" "$id:$secret"
expect 200

step "The API asks again: the token is dead."
request POST "$base/oauth/introspect" "token=$(encode "$access")" "$id:$secret"
expect 200
interesting
[ "$(json active)" = false ] || fail "the token is still active."

step "The GPT calls the action once more: it is refused, on every replica."
request GET "$search" '' "bearer $access"
expect 401
interesting

order="order_$RANDOM$RANDOM"
step "A shop sells something that the buyer's identity has to be verified for."
webhook order.created "$order"

step "Another buyer is verified in time: that is the end of it."
webhook order.created "$order-verified"
webhook verification.approved "$order-verified"

key=${SERVICE_KEY:-$(sed -n 's/^SERVICE_KEY=//p' "$local_dir/demo.env" 2>/dev/null)}
if [ -n "$key" ]; then
  step "Nobody decides about the first one. The company's systems ask how it stands, until its time is over."
  request GET "$base/verifications/$order" '' '' "X-Service-Key: $key"
  expect 200
  interesting
  is_short=$(awk -v hours="$(json hoursRemaining)" 'BEGIN { print hours < 0.01 ? "yes" : "" }')
  for ((waited = 0; waited < 40; waited++)); do
    [ -n "$is_short" ] && is pending_verification || break
    sleep 1
    request GET "$base/verifications/$order" '' '' "X-Service-Key: $key" >/dev/null
  done
  interesting
  [ -n "$is_short" ] || echo "      (its time is not over for hours: make run sets VERIFICATION_DEADLINE_HOURS=0.002)"
fi

if is refund_due; then
  step "The system that pays refunds is told, signed and once: here it is this program's own page."
  for ((waited = 0; waited < 30; waited++)); do
    request GET "$base/dev/callbacks" >/dev/null
    ! grep -q "$order" "$work/body" || break
    sleep 1
  done
  grep "$order" "$work/body" | sed 's/^\[*/      /; s/,$//; s/\]$//'
fi

printf '\nAll %d steps did what they should.\n' "$n"
