#!/usr/bin/env bash
# Brings an environment to Azure, from an empty subscription to the first deployment.
#
# usage: infra/deploy/azure-up.sh --environment staging|production [--plan]
#                                 [--image REGISTRY/gpt-functions@sha256:...] [--yes]
#
#   --plan    print every command, and run none: ? before a question, + before a change
#   --image   deploy this one, instead of building one of this commit with docker
#   --yes     do not ask before production
#
# Names and sizes are in infra/deploy/azure.conf, settings in infra/k8s/overlays/ENVIRONMENT.
# Each step asks first whether it is done, and again when it was made: run it again after an
# interruption or an error, and it goes on; run it when all is there, and it changes nothing.
# Secrets are made or asked for (or taken from CLERK_WEBHOOK_SECRET,
# CLERK_OAUTH_CLIENT_SECRET, STRIPE_WEBHOOK_SECRET; RABBITMQ_URL with a broker of your own),
# and go to Key Vault through pipes, never onto a command line, into a file or the output.
# Settings (environment): AZURE_UP_WAIT, seconds to wait instead of each step's own;
# AZURE_UP_POLL, seconds between two questions (10).
# Exit codes: 0 all is there; 1 refused, nothing changed; 2 wrong usage; 3 it is your turn
# (an A record); 4 failed, and running it again goes on.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment='' plan='' image='' yes=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help_of "$0"; exit ;;
    --environment) set_environment "${2:-}"; shift 2 ;;
    --image) image=${2:-}; shift; [ $# = 0 ] || shift ;;
    --plan) plan=1; shift ;;
    --yes) yes=1; shift ;;
    *) wrong_usage "Unknown argument '$1'." ;;
  esac
done
[ -n "$environment" ] || wrong_usage "--environment is missing."
[[ "$image" =~ ^([a-z0-9.-]+/gpt-functions@sha256:[0-9a-f]{64})?$ ]] || wrong_usage "--image must name a digest: REGISTRY/gpt-functions@sha256:..."
cd "$root"
# shellcheck source=azure.conf
. infra/deploy/azure.conf
for name in CLIENT_ID POSTGRES_PREFIX POSTGRES_TIER POSTGRES_SIZE POSTGRES_STORAGE; do
  chosen=${name}_$environment
  printf -v "$name" '%s' "${!chosen:-}"
done
chosen=VAULT_$environment vault=${!chosen:-}
chosen=POSTGRES_$environment postgres=${!chosen:-}
for file in azure-lib azure-cluster azure-environment azure-database azure-pipeline; do
  # shellcheck source=/dev/null
  . "infra/deploy/$file.sh"
done

[ "$BROKER_NODES" != 0 ] || asked_secrets+=(rabbitmq-url)

# --- Before anything is changed: what is missing, all at once.

check_names() {
  local name chosen
  for name in LOCATION GROUP ACR AKS REPO NETWORK NODES NODE_SIZE "VAULT_$environment" "POSTGRES_$environment" "CLIENT_ID_$environment"; do
    chosen=${!name:-}
    case $chosen in '' | *REPLACE-ME*) problem "infra/deploy/azure.conf: $name is '${chosen}': choose one." ;; esac
  done
  [[ "$ACR" =~ ^[a-z0-9]{5,50}$ || "$ACR" = *REPLACE-ME* ]] || problem "infra/deploy/azure.conf: ACR is 5 to 50 lower-case letters and digits."
  [[ "$vault" =~ ^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$ || "$vault" = *REPLACE-ME* ]] ||
    problem "infra/deploy/azure.conf: VAULT_$environment is 3 to 24 letters, digits and hyphens, and begins with a letter."
  [[ "$postgres" =~ ^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$ || "$postgres" = *REPLACE-ME* ]] ||
    problem "infra/deploy/azure.conf: POSTGRES_$environment is 3 to 63 lower-case letters, digits and hyphens."
  [[ "$REPO" =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ || "$REPO" = *REPLACE-ME* ]] || problem "infra/deploy/azure.conf: REPO is OWNER/NAME."
}
check_overlay() {
  local line
  while IFS= read -r line; do problem "still a placeholder: ${line#"$root"/}"; done < <(
    grep -rnE 'example\.com|REPLACE-ME' "$overlay" | grep -vE ':[0-9]+: *(#|//)|/azure\.yaml:' | sort)
  host=$(sed -nE 's#^PUBLIC_BASE_URL=https://([A-Za-z0-9.-]+)/?$#\1#p' "$overlay/settings.env")
  [ -n "$host" ] || problem "$overlay/settings.env: PUBLIC_BASE_URL is https:// and a host name, and nothing else."
  [ "$BROKER_NODES" = 0 ] || grep -q '^AUDIT_QUEUE_TYPE=quorum$' "$overlay/settings.env" ||
    problem "${overlay#"$root"/}/settings.env: set AUDIT_QUEUE_TYPE=quorum (the broker has three nodes), before the first deployment: a queue keeps its type."
}
# What only you know: in the vault, in a variable, or typed by somebody who is there.
check_secrets() {
  local key name
  [ ! -t 0 ] || return 0
  for key in "${asked_secrets[@]}"; do
    name=$(tr 'a-z-' 'A-Z_' <<<"$key")
    [ -n "${!name:-}" ] || in_vault "$key" ||
      problem "$name is not set, and nobody can be asked for it here (infra/runbook.md, \"Before you begin\", says where it comes from)."
  done
}
check_tools() {
  local tool
  for tool in az kubectl helm gh kubelogin openssl git curl; do
    have "$tool" || problem "$tool is not installed (infra/runbook.md, \"Before you begin\")."
  done
  stop_if_problems
  holds az account show --query id --output tsv || problem "az is not signed in: az login, and az account set --subscription ID."
  holds az ad signed-in-user show --query id --output tsv || problem "az has to be signed in as a person, who gets the roles that the set-up needs."
  holds gh auth status || problem "gh is not signed in: gh auth login."
  holds gh api "repos/$REPO" || problem "gh does not see the repository $REPO (REPO in infra/deploy/azure.conf)."
}

current='checks'
trap 'say "Interrupted at: $current. Run the same command again: it goes on here."; exit "$broken"' INT TERM
check_names
check_overlay
if [ -n "$plan" ]; then
  for name in "${problems[@]}"; do say "would be refused: $name"; done
  problems=()
else
  stop_if_problems
  check_tools
  check_secrets
  stop_if_problems
  say "$environment: $host, resource group $GROUP in $LOCATION, subscription $(az account show --query name --output tsv </dev/null)"
  confirm "This makes what is missing, and some of it costs money."
fi

step providers "Resource providers of the subscription"
step group "Resource group $GROUP"
step registry "Registry $ACR"
step network "Network $NETWORK"
step cluster "Cluster $AKS (some minutes)"
step access "Your way to the cluster"
step vault "Key Vault $vault"
step secrets "Secrets"
step identity "Identity of the pods"
step overlay "Vault and identity in infra/k8s/overlays/$environment/azure.yaml"
step server "Database server $postgres (some minutes)"
step roles "Database roles and their URLs"
step namespace "Namespace $namespace"
step gateway_class "Envoy Gateway"
step issuer "cert-manager and the issuer of certificates"
if [ "$BROKER_NODES" != 0 ]; then
  step broker "RabbitMQ"
  step broker_user "User of the broker, and its URL"
fi
step gateway "Gateway and its address"
step name "Name $host"
step certificate "Certificate of $host"
step pipeline "Identity of the pipeline"
step github "GitHub: environments and variables"
step deployment "First deployment"
step rights "Rights on the tables"

[ -z "$plan" ] || exit 0
say ""
say "$environment is there: https://$host/ready"
say "commit        infra/deploy/azure.conf and infra/k8s/overlays/$environment, or the pipeline does not know of them"
say "GPT builder   https://$host/oauth/authorize, https://$host/oauth/token, client id $CLIENT_ID, schema https://$host/gpt/openapi.json"
say "its secret    az keyvault secret show --vault-name $vault --name gpt-client-secret --query value --output tsv"
say "from now on   a tag v* deploys; infra/runbook.md, \"After the first deployment\", says what is left"
