#!/usr/bin/env bash
# Signs a webhook as its sender does, posts it to a running application and prints the answer.
#
# usage: infra/dev/webhook.sh TYPE [NAME]
#
#   TYPE  user.created, user.updated, user.banned (a user.updated that says so), user.deleted,
#         session.ended, checkout.session.completed, customer.subscription.created|updated|deleted,
#         invoice.paid, invoice.payment_failed, order.created, verification.approved|declined
#   NAME  the user, for example user_123 (default alice, who signs in by make demo); for orders
#         and verifications the order (default order_1)
#
# Settings (environment): BASE_URL (default: where make run of this checkout started, else
# http://127.0.0.1:PORT, PORT 7071); the application's CLERK_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET,
# ORDERS_WEBHOOK_SECRET, VERIFICATION_WEBHOOK_SECRET (the first of several is used; an application
# in Development that has none takes any); PLAN (pro); EVENT_ID (a new one each time), to send
# the same event again. Needs curl and openssl.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '') die "Which event? For example TYPE=user.deleted USER=user_123: see infra/dev/webhook.sh --help." ;;
  --help | -h) help_of "$0"; exit ;;
esac
have curl || die "curl is missing: install it."
have openssl || die "openssl is missing: install it."

type=$1 name=${2:-} now=$(date +%s)
id=${EVENT_ID:-evt_$now$RANDOM$RANDOM}
base=${BASE_URL:-}
[ -n "$base" ] || [ -n "${PORT:-}" ] || base=$(cat "$local_dir/run.url" 2>/dev/null || true)
base=${base:-http://127.0.0.1:${PORT:-7071}}

case $type in
  user.* | session.*) source=clerk secret=${CLERK_WEBHOOK_SECRET:-${CLERK_WEBHOOK_SIGNING_SECRET:-whsec_bm8gc2VjcmV0IGF0IGFsbA==}} name=${name:-alice} ;;
  checkout.* | customer.* | invoice.*) source=stripe secret=${STRIPE_WEBHOOK_SECRET:-none} name=${name:-alice} ;;
  order.*) source=orders secret=${ORDERS_WEBHOOK_SECRET:-none} name=${name:-order_1} ;;
  verification.*) source=verification secret=${VERIFICATION_WEBHOOK_SECRET:-none} name=${name:-order_1} ;;
  *) die "Nobody sends '$type': see infra/dev/webhook.sh --help." ;;
esac
[[ $name =~ ^[A-Za-z0-9_.@-]+$ ]] || die "The name '$name' must be letters, digits and _ . @ - only."
secret=${secret%% *}

profile="\"id\":\"$name\",\"object\":\"user\",\"first_name\":\"$name\",\"email_addresses\":[{\"id\":\"idn_1\",\"email_address\":\"$name@example.com\"}],\"primary_email_address_id\":\"idn_1\",\"updated_at\":${now}000"
clerk() { printf '{"data":%s,"object":"event","timestamp":%s000,"type":"%s"}' "$2" "$now" "$1"; }
stripe() { printf '{"id":"%s","object":"event","created":%s,"type":"%s","data":{"object":%s}}' "$id" "$now" "$type" "$1"; }
subscription="\"id\":\"sub_$name\",\"customer\":\"cus_$name\""
case $type in
  user.created | user.updated) body=$(clerk "$type" "{$profile,\"banned\":false}") ;;
  user.banned) body=$(clerk user.updated "{$profile,\"banned\":true}") ;;
  user.deleted) body=$(clerk "$type" "{\"id\":\"$name\",\"object\":\"user\",\"deleted\":true}") ;;
  session.*) body=$(clerk "$type" "{\"id\":\"sess_$now\",\"user_id\":\"$name\"}") ;;
  checkout.*) body=$(stripe "{\"id\":\"cs_$now\",\"customer\":\"cus_$name\",\"subscription\":\"sub_$name\",\"client_reference_id\":\"$name\",\"payment_status\":\"paid\",\"metadata\":{\"plan\":\"${PLAN:-pro}\"}}") ;;
  customer.subscription.*) body=$(stripe "{$subscription,\"status\":\"active\",\"metadata\":{\"clerk_user_id\":\"$name\",\"plan\":\"${PLAN:-pro}\"}}") ;;
  invoice.*) body=$(stripe "{\"id\":\"in_$now\",\"customer\":\"cus_$name\",\"subscription\":\"sub_$name\"}") ;;
  order.*) body="{\"id\":\"$id\",\"event\":\"$type\",\"orderId\":\"$name\",\"customerEmail\":\"buyer@example.com\",\"orderTotal\":129.90}" ;;
  verification.*) body="{\"id\":\"$id\",\"event\":\"verification.updated\",\"status\":\"${type#verification.}\",\"orderId\":\"$name\"}" ;;
  *) die "Nobody sends '$type': see infra/dev/webhook.sh --help." ;;
esac

hex() { printf '%s' "$2" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" | sed 's/.* //'; } # KEY-IN-HEX TEXT
key() { od -An -tx1 | tr -d ' \n'; }
case $source in
  clerk)
    signature=$(printf '%s' "$id.$now.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(base64 -d <<<"${secret#whsec_}" | key)" -binary | base64)
    headers=(-H "svix-id: $id" -H "svix-timestamp: $now" -H "svix-signature: v1,$signature") ;;
  stripe) headers=(-H "Stripe-Signature: t=$now,v1=$(hex "$(printf '%s' "$secret" | key)" "$now.$body")") ;;
  *) headers=(-H "X-Signature: $(hex "$(printf '%s' "$secret" | key)" "$body")") ;;
esac

answer=$(curl -sS -m 30 -i "${headers[@]}" -H 'Content-Type: application/json' --data-binary "$body" "${base%/}/webhooks/$source") || die "Nothing answers at $base: start it with make run (or set BASE_URL)."
say "POST $base/webhooks/$source  $type $name ($id)"
awk 'NR == 1 || tolower($1) ~ /^(retry-after|x-webhook-unverified|x-correlation-id):/ || body { print } /^$/ { body = 1 }' <<<"${answer//$'\r'/}"
[[ $answer == *" 200 "* ]]
