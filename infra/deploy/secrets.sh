#!/usr/bin/env bash
# Makes the Secrets gpt-secrets and gpt-setup of an environment from environment variables.
#
# usage: infra/deploy/secrets.sh --environment staging|production [--dry-run]
#
# Variables, all required: GPT_CLIENT_ID, GPT_CLIENT_SECRET, GPT_EC_PRIVATE_KEY,
# GPT_REFRESH_KEY, CLERK_WEBHOOK_SECRET, CLERK_OAUTH_CLIENT_SECRET, STRIPE_WEBHOOK_SECRET,
# DATABASE_URL (role gpt_app), RABBITMQ_URL, DATABASE_OWNER_URL (role gpt_owner), and
# KUBE_CONTEXT. Refuses when one is empty. Optional: GPT_EC_PREVIOUS_KEYS,
# ORDERS_WEBHOOK_SECRET, VERIFICATION_WEBHOOK_SECRET, VERIFICATION_CALLBACK_SECRET, SERVICE_KEY. Values go to the cluster through a pipe, never
# onto a command line, into a file or the output. Exit codes: see deploy.sh.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment='' dry_run=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help_of "$0"; exit ;;
    --environment) set_environment "${2:-}"; shift 2 ;;
    --dry-run) dry_run=(--dry-run=server); shift ;;
    *) wrong_usage "Unknown argument '$1'." ;;
  esac
done
[ -n "$environment" ] || wrong_usage "--environment is missing."

# variable_of KEY: database-url is DATABASE_URL.
variable_of() { tr 'a-z-' 'A-Z_' <<<"$1"; }

for key in "${secret_keys[@]}" "${setup_keys[@]}"; do
  name=$(variable_of "$key")
  value=${!name:-}
  [ -n "${value//[[:space:]]/}" ] || problem "$name is empty: set it (in GitHub: environment $environment, secret $name)."
done
[ "${DATABASE_URL:-}" != "${DATABASE_OWNER_URL:-}" ] || [ -z "${DATABASE_URL:-}" ] ||
  problem "DATABASE_URL and DATABASE_OWNER_URL are the same: the first is for the role gpt_app, the second for gpt_owner (infra/postgres/roles.sql)."
for key in "${optional_keys[@]}"; do
  name=$(variable_of "$key")
  [ -z "${!name:-}" ] || secret_keys+=("$key")
done
check_cluster

# secret NAME KEY...: a manifest on standard output.
secret() {
  local key name
  printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  labels:\n    app.kubernetes.io/name: gpt-functions\ntype: Opaque\ndata:\n' "$1"
  shift
  for key in "$@"; do
    name=$(variable_of "$key")
    printf '  %s: %s\n' "$key" "$(printf '%s' "${!name}" | base64 | tr -d '\n')"
  done
}

# Server-side: a client-side apply would keep the values in an annotation as well.
{ secret gpt-secrets "${secret_keys[@]}"; echo ---; secret gpt-setup "${setup_keys[@]}"; } |
  kube apply --server-side --force-conflicts "${dry_run[@]}" -f - >/dev/null || { problem "the cluster did not take the Secrets: see above."; stop_if_problems; }
say "Secrets gpt-secrets (${#secret_keys[@]} keys) and gpt-setup (${#setup_keys[@]}) of $namespace are ${dry_run:+not changed, but would be }as the variables say."
