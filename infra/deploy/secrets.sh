#!/usr/bin/env bash
# Puts secrets to where the pods read them, and refuses what would break them.
#
# usage: infra/deploy/secrets.sh --environment staging|production [--remove KEY]...
#                                [--force] [--dry-run]
#        infra/deploy/secrets.sh --environment staging|production --only KEY
#                                [--github] [--force] [--dry-run]
#        infra/deploy/secrets.sh --environment staging|production
#                                --refresh-key announce|turn|finish [--github] [--dry-run]
#
# Without --only: all of them, from variables, as the Secrets gpt-secrets and gpt-setup.
# Required: GPT_CLIENT_ID, GPT_CLIENT_SECRET, GPT_EC_PRIVATE_KEY, GPT_REFRESH_KEY,
# CLERK_WEBHOOK_SECRET, CLERK_OAUTH_CLIENT_SECRET, STRIPE_WEBHOOK_SECRET, DATABASE_URL
# (role gpt_app), RABBITMQ_URL, DATABASE_OWNER_URL (role gpt_owner); and what the settings
# and routes of the environment ask for. Optional: GPT_EC_PREVIOUS_KEYS,
# ORDERS_WEBHOOK_SECRET, VERIFICATION_WEBHOOK_SECRET, VERIFICATION_CALLBACK_SECRET,
# SERVICE_KEY, DATABASE_LISTEN_URL, OTEL_EXPORTER_OTLP_HEADERS; one that is in the Secret
# already has to be given again.
# With --only: that one (database-url), from standard input.
# With --refresh-key: the next step of a new gpt-refresh-key, made of the value that is there.
#
#   --remove KEY   an optional one is needed no more
#   --github       put it into the GitHub environment as well (gh), whose next deployment
#                  would bring the old one back
#   --force        let tokens end that people use: a stolen key
#   --dry-run      make every check, and change nothing
#
# Settings (environment): KUBE_CONTEXT; SECRETS_SOURCE, kubernetes (default) or keyvault (with
# --only: the vault of the environment's azure.yaml). Values go through pipes, never onto a
# command line, into a file or the output. Exit codes: see deploy.sh.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=secret-checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/secret-checks.sh"

environment='' only='' step='' github='' force='' dry_run=() removed=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help_of "$0"; exit ;;
    --environment) set_environment "${2:-}"; shift 2 ;;
    --only) only=${2:-}; shift; [ $# = 0 ] || shift ;;
    --refresh-key) step=${2:-} only=gpt-refresh-key; shift; [ $# = 0 ] || shift ;;
    --remove) removed+=("${2:-}"); shift; [ $# = 0 ] || shift ;;
    --github) github=1; shift ;;
    --force) force=1; shift ;;
    --dry-run) dry_run=(--dry-run=server); shift ;;
    *) wrong_usage "Unknown argument '$1'." ;;
  esac
done
[ -n "$environment" ] || wrong_usage "--environment is missing."
case $step in '' | announce | turn | finish) ;; *) wrong_usage "--refresh-key is announce, turn or finish." ;; esac
source=${SECRETS_SOURCE:-kubernetes}
case $source in kubernetes | keyvault) ;; *) wrong_usage "SECRETS_SOURCE is kubernetes or keyvault." ;; esac
[ "$source" = kubernetes ] || [ -n "$only" ] || wrong_usage "A vault gets one secret at a time: --only KEY."
[ -z "$github" ] || [ "$source$only" != "kubernetes" ] || wrong_usage "--github goes with --only KEY."
[ -z "$github" ] || [ "$source" = kubernetes ] || wrong_usage "--github: with a vault nothing is deployed from GitHub's secrets."
[ "${#removed[@]}" = 0 ] || [ -z "$only" ] || wrong_usage "--remove goes without --only."

for key in "${removed[@]}"; do
  [[ " ${optional_keys[*]} " = *" $key "* ]] || wrong_usage "--remove takes one of ${optional_keys[*]}."
done

# What the deployed settings and routes ask for, beside what everybody needs.
needed=() reasons=()
while IFS=' ' read -r key why; do
  needed+=("$key")
  reasons+=("$why")
done < <(needed_secrets "$overlay"/settings.env "$overlay"/gateway.json)

# The values of now, by key: present KEY.
present() {
  local number
  for number in "${!present_keys[@]}"; do
    [ "${present_keys[number]}" != "$1" ] || { present_value "$number"; return; }
  done
  return 0
}
present_value() {
  if [ "$source" = kubernetes ]; then printf '%s' "${present_texts[$1]}" | base64 -d
  else az keyvault secret show --vault-name "$vault" --name "${present_keys[$1]}" --query value --output tsv; fi
}
is_present() { [[ " ${present_keys[*]} " = *" $1 "* ]]; }

# read_present: from the Secrets, or the names from the vault.
read_present() {
  local name lines key text
  if [ "$source" = keyvault ]; then
    vault=$(sed -n '/^ *keyvaultName: */{s///p;q}' "$overlay/azure.yaml")
    have az || { problem "az is not installed (https://aka.ms/azure-cli)."; stop_if_problems; }
    lines=$(az keyvault secret list --vault-name "$vault" --query '[?attributes.enabled].name' --output tsv 2>/dev/null) ||
      { problem "Key Vault $vault cannot be read: az login, and the role Key Vault Secrets Officer for you."; stop_if_problems; }
    for key in $lines; do present_keys+=("$key"); done
    return
  fi
  for name in gpt-secrets gpt-setup; do
    # shellcheck disable=SC2016 # a Go template
    lines=$(kube get secret "$name" --ignore-not-found -o 'go-template={{range $key, $value := .data}}{{$key}} {{$value}}{{"\n"}}{{end}}') ||
      { problem "the Secret $name cannot be read: see above."; stop_if_problems; }
    while IFS=' ' read -r key text; do
      [ -z "$key" ] || { present_keys+=("$key"); present_texts+=("$text"); }
    done < <(printf '%s\n' "$lines")
  done
}

# given KEY: the new value; with --only the others stay as they are.
given() {
  local name
  if [ "$1" = "$only" ]; then printf '%s' "$value"
  elif [ -n "$only" ]; then present "$1"
  else name=$(variable_of "$1"); printf '%s' "${!name:-}"; fi
}

# now_of KEY: the value of now, into now; refused when there is one that cannot be read.
now_of() { now=$(present "$1") || { problem "$1 is there and cannot be read: see above."; stop_if_problems; }; }

# next_refresh_key: of the keys in parts; each step is safe once all pods have read the one before.
next_refresh_key() {
  case $step-${#parts[@]} in
    announce-1) printf '%s' "${parts[0]} $(openssl rand -base64 32)" ;;
    turn-2) printf '%s' "${parts[1]} ${parts[0]}" ;;
    finish-[2-9]) printf '%s' "${parts[0]}" ;;
  esac
}

present_keys=() present_texts=() vault='' value=''
[ -z "$only" ] || [ -n "$step" ] || value=$(cat)
have openssl || problem "openssl is not installed: it reads keys."
check_cluster
read_present

if [ -n "$step" ]; then
  now_of gpt-refresh-key
  split "$now"
  value=$(next_refresh_key)
  [ -n "$value" ] || problem "gpt-refresh-key holds ${#parts[@]} keys, which is no time for '$step': announce begins with one, turn takes two, and" \
    "finish leaves the first of them."
  stop_if_problems
fi
if [ -n "$only" ]; then
  [[ " ${secret_keys[*]} ${setup_keys[*]} ${optional_keys[*]} ${needed[*]:-} " = *" $only "* ]] ||
    wrong_usage "There is no secret '$only': it is one of ${secret_keys[*]} ${setup_keys[*]} ${optional_keys[*]}."
  [ "$source" = keyvault ] || is_present gpt-client-id || problem "there is no Secret gpt-secrets in $namespace: make all of them first, without --only."
  check_value "$only" "$value"
else
  for key in "${secret_keys[@]}" "${setup_keys[@]}"; do check_value "$key" "$(given "$key")"; done
  for key in "${optional_keys[@]}"; do
    name=$(variable_of "$key")
    if [ -n "${!name:-}" ]; then
      check_value "$key" "${!name}"
      secret_keys+=("$key")
    elif is_present "$key" && [[ " ${removed[*]:-} " != *" $key "* ]]; then
      problem "$key is in the Secret gpt-secrets, and $name is empty, which would take it away: set it (in GitHub: environment $environment, secret" \
        "$name), or say --remove $key."
    fi
  done
  for number in "${!needed[@]}"; do
    key=${needed[number]} name=$(variable_of "${needed[number]}")
    [ -n "${!name:-}" ] || {
      problem "$name is empty, and ${reasons[number]}: set it (in GitHub: environment $environment, secret $name, and a line for" \
        "it in .github/workflows/deploy-aks.yml)."
      continue
    }
    [[ " ${secret_keys[*]} " = *" $key "* ]] || { check_value "$key" "$(given "$key")"; secret_keys+=("$key"); }
  done
fi
case $only in
  '' | database-url | database-owner-url)
    url=$(given database-url)
    [ -z "${url//[[:space:]]/}" ] || [ "$url" != "$(given database-owner-url)" ] ||
      problem "DATABASE_URL and DATABASE_OWNER_URL are the same: the first is for the role gpt_app, the second for gpt_owner (infra/postgres/roles.sql)." ;;
esac
stop_if_problems # what follows compares good values

if [ -z "$force" ]; then
  case $only in
    '' | gpt-refresh-key)
      now_of gpt-refresh-key
      check_refresh_key "$(given gpt-refresh-key)" "$now" ;;
  esac
  case $only in
    '' | gpt-ec-private-key | gpt-ec-previous-keys)
      now_of gpt-ec-private-key
      private=$now
      now_of gpt-ec-previous-keys
      check_signing_keys "$(given gpt-ec-private-key) $(given gpt-ec-previous-keys)" "$private $now" ;;
  esac
  stop_if_problems
fi

# What has to be read from the environment, or is read once, is read by pods that start anew.
follow() {
  case $1$step in
    gpt-refresh-keyannounce) say "Pods read it within two minutes: wait three, then --refresh-key turn." ;;
    gpt-refresh-keyturn) say "The new key derives tokens from now on: wait a day, then --refresh-key finish." ;;
    gpt-client-id | gpt-client-secret | clerk-oauth-client-secret | database-url | database-listen-url | rabbitmq-url | otel-exporter-otlp-headers)
      say "Pods take it when they start: kubectl --context $KUBE_CONTEXT -n $namespace rollout restart deployment/gpt-functions-http" \
        "deployment/gpt-functions-audit deployment/gpt-functions-timers" ;;
    database-owner-url) say "setup takes it with the next pod." ;;
    *) say "Pods take it over by themselves, within two minutes." ;;
  esac
}

if [ "$source" = keyvault ]; then
  [ "${#dry_run[@]}" -gt 0 ] ||
    printf '%s' "$value" | az keyvault secret set --vault-name "$vault" --name "$only" --file /dev/stdin --encoding utf-8 --output none ||
    { problem "the vault did not take it: see above."; stop_if_problems; }
  say "$only of Key Vault $vault is ${dry_run:+not changed, but would be }as given."
  follow "$only"
  exit
fi

# secret NAME KEY...: a manifest on standard output.
secret() {
  local key
  printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  labels:\n    app.kubernetes.io/name: gpt-functions\ntype: Opaque\ndata:\n' "$1"
  shift
  for key in "$@"; do printf '  %s: %s\n' "$key" "$(given "$key" | one_line)"; done
}

changed=(gpt-secrets gpt-setup)
if [ -n "$only" ]; then
  # The whole Secret again with one value changed: a part of it would take the rest away.
  case $only in database-owner-url) changed=(gpt-setup) ;; *) changed=(gpt-secrets) ;; esac
  all=("${secret_keys[@]}" "${optional_keys[@]}" "${needed[@]}") secret_keys=()
  for key in $(printf '%s\n' "${all[@]}" | sort -u); do
    [ "$key" != "$only" ] && ! is_present "$key" || secret_keys+=("$key")
  done
  if [ -n "$github" ] && [ "${#dry_run[@]}" = 0 ]; then
    have gh || { problem "gh is not installed (https://cli.github.com)."; stop_if_problems; }
    printf '%s' "$value" | gh secret set "$(variable_of "$only")" --env "$environment" || { problem "GitHub did not take it: see above."; stop_if_problems; }
  fi
fi

manifests() {
  local name
  for name in "${changed[@]}"; do
    case $name in gpt-secrets) secret "$name" "${secret_keys[@]}" ;; *) echo ---; secret "$name" "${setup_keys[@]}" ;; esac
  done
}

# Server-side: a client-side apply would keep the values in an annotation as well.
manifests | kube apply --server-side --force-conflicts "${dry_run[@]}" -f - >/dev/null ||
  { problem "the cluster did not take the Secrets: see above."; stop_if_problems; }
if [ -z "$only" ]; then
  say "Secrets gpt-secrets (${#secret_keys[@]} keys) and gpt-setup (${#setup_keys[@]}) of $namespace are ${dry_run:+not changed, but would be }as the" \
    "variables say."
else
  say "$only of $namespace is ${dry_run:+not changed, but would be }as given."
  [ -n "$github" ] || say "In GitHub it has to be the same, or the next deployment brings the old one back:" \
    "gh secret set $(variable_of "$only") --env $environment, or --github here."
  follow "$only"
fi
