#!/usr/bin/env bash
# Brings an image to a cluster, and back again when it does not work there.
#
# usage: infra/deploy/deploy.sh --environment staging|production
#                               --image REGISTRY/gpt-functions@sha256:... [--yes] [--dry-run]
#
#   --yes       do not ask before production
#   --dry-run   make every check, the server's own dry run included, and change nothing
#
# Steps: checks (tools, kubectl context, image, manifests, secrets, migrations), confirmation,
# kubectl apply -k, start of pods that were stopped, rollout status, smoke test from outside,
# record. When rollout or smoke test fail, the manifests recorded before are applied again.
# Settings (environment):
#   KUBE_CONTEXT       the kubectl context that this environment is in (required)
#   SECRETS_SOURCE     kubernetes (default): Secrets gpt-secrets and gpt-setup, which
#                      secrets.sh makes; keyvault: as the manifests say
#   ROLLOUT_TIMEOUT    seconds for each deployment (300)
#   SMOKE_TIMEOUT      seconds until /ready must answer (60)
# Exit codes: 0 deployed; 1 refused, nothing changed; 2 wrong usage; 3 failed, and what
# ran before runs again; 4 failed, and somebody has to look.
# Files: .local/deploy/ENVIRONMENT/.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment='' image='' yes='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help_of "$0"; exit ;;
    --environment) set_environment "${2:-}"; shift 2 ;;
    --image) image=${2:-}; shift; [ $# = 0 ] || shift ;;
    --yes) yes=1; shift ;;
    --dry-run) dry_run=1; shift ;;
    *) wrong_usage "Unknown argument '$1'." ;;
  esac
done
[ -n "$environment" ] || wrong_usage "--environment is missing."
[[ "$image" =~ ^([a-z0-9.:-]+(/[a-z0-9._-]+)+)@(sha256:[0-9a-f]{64})$ ]] || wrong_usage "--image must name a repository and a digest: REGISTRY/gpt-functions@sha256:... (a tag may change, a digest cannot)."
repository=${BASH_REMATCH[1]} digest=${BASH_REMATCH[3]}
secrets_source=${SECRETS_SOURCE:-kubernetes}
case $secrets_source in kubernetes | keyvault) ;; *) wrong_usage "SECRETS_SOURCE is kubernetes or keyvault." ;; esac
t0=$(now)
cd "$root"
mkdir -p "$work"
rendered="$work/manifests.yaml"

check_image() {
  local registry=${repository%%/*}
  if [[ "$registry" = *.azurecr.io ]]; then
    have az || { problem "az is not installed (https://aka.ms/azure-cli): it looks the image up."; return; }
    az acr repository show --name "${registry%.azurecr.io}" --image "${repository#*/}@$digest" --output none >/dev/null 2>&1 ||
      problem "$image is not in its registry, or you may not read it: az acr login --name ${registry%.azurecr.io}."
  else
    have docker || { problem "docker is not installed: it looks the image up."; return; }
    docker manifest inspect "$image" >/dev/null 2>&1 || problem "$image is not in its registry, or you may not read it: docker login $registry."
  fi
}

# What is applied: the overlay, this image, and where secrets come from. Nothing of the checkout is edited.
render() {
  {
    printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n'
    printf 'resources: [../../../infra/k8s/overlays/%s]\n' "$environment"
    [ "$secrets_source" = keyvault ] || printf 'components: [../../../infra/k8s/overlays/plain-secrets]\n'
    printf 'images:\n  - name: gpt-functions\n    newName: %s\n    digest: %s\n' "$repository" "$digest"
  } >"$work/kustomization.yaml"
  kubectl kustomize "$work" >"$rendered" || { problem "infra/k8s/overlays/$environment does not render: see above."; stop_if_problems; }
  public_url=$(setting_of "$rendered" PUBLIC_BASE_URL)
  [ -n "$public_url" ] || problem "infra/k8s/overlays/$environment/settings.env has no PUBLIC_BASE_URL."
}

# What a company must replace, by file and line; comments do not count.
check_placeholders() {
  local pattern='example\.com|REPLACE-ME|00000000-0000-0000-0000-000000000000' found line
  found=$(grep -E "$pattern" "$rendered" | grep -vE '^ *(#|//)') || return 0
  while IFS= read -r line; do
    [ "$secrets_source" = kubernetes ] && [[ "$line" = */azure.yaml:* ]] && continue # of no effect
    problem "still a placeholder: ${line#"$root"/}"
  done < <(grep -rnE "$pattern" "$overlay" | grep -vE ':[0-9]+: *(#|//)' | sort)
  [ "${#problems[@]}" -gt 0 ] || problem "still a placeholder in what would be applied: $(awk '{ $1 = $1; print; exit }' <<<"$found")"
}

# check_secret NAME KEY...: each key there and not empty; lengths are asked for, never values.
check_secret() {
  local name=$1 sizes key; shift
  # shellcheck disable=SC2016 # a Go template
  sizes=$(kube get secret "$name" -o 'go-template={{range $key, $value := .data}}{{$key}} {{len $value}}{{"\n"}}{{end}}' 2>/dev/null) ||
    { problem "there is no Secret $name in $namespace: infra/deploy/secrets.sh --environment $environment makes it."; return; }
  for key in "$@"; do
    grep -qE "^$key [1-9][0-9]*$" <<<"$sizes" || problem "Secret $name: $key is missing or empty."
  done
  [ "$name" != gpt-secrets ] || check_needed "$sizes" "Secret $name"
}

# What the rendered settings and routes ask for is there, too.
check_needed() {
  local key why
  while IFS=' ' read -r key why; do
    grep -qxE "$key( [1-9][0-9]*)?" <<<"$1" || problem "$2 lacks $key, and $why."
  done < <(needed_secrets "$rendered")
}

check_vault() {
  local vault names key mounted
  vault=$(sed -n '/^ *keyvaultName: */{s///p;q}' "$rendered")
  have az || { problem "az is not installed (https://aka.ms/azure-cli): it looks secrets up in $vault."; return; }
  names=$(az keyvault secret list --vault-name "$vault" --query '[?attributes.enabled].name' --output tsv 2>/dev/null) ||
    { problem "Key Vault $vault cannot be read: az login, and the role Key Vault Reader for you."; return; }
  # What the manifests mount: a pod with one that the vault has not does not start.
  mounted=$(sed -nE 's/^[^#]*objectName: ([a-z0-9-]+).*/\1/p' "$rendered" | sort -u)
  for key in $mounted "${secret_keys[@]}" "${setup_keys[@]}"; do
    grep -qx "$key" <<<"$names" || problem "Key Vault $vault: $key is missing or disabled."
  done
  check_needed "$mounted" "infra/k8s/overlays/$environment/secrets.yaml"
}

# The init container applies what is missing; here it is said before, as far as the history of this checkout tells.
check_migrations() {
  local migrations=GptFunctions/Data/Migrations before changed
  commit=$(git rev-parse HEAD 2>/dev/null) || commit=unknown
  before=$(record_field "$record" commit) || before=''
  if [ -z "$before" ]; then
    migrations_said="first recorded deployment: setup applies what is missing"
  elif ! git cat-file -e "$before^{commit}" 2>/dev/null; then
    migrations_said="not known (commit $before is not in this checkout): setup applies what is missing and says it"
  else
    changed=$(git diff --name-only --diff-filter=MDR "$before" HEAD -- "$migrations")
    [ -z "$changed" ] || problem "a migration that is applied already was changed: $changed. Put the change into a new one."
    migrations_said=$(git diff --name-only --diff-filter=A "$before" HEAD -- "$migrations" | sed "s#.*/##; s#\.sql##" | paste -sd' ' -)
    migrations_said=${migrations_said:-none}
  fi
}

# give_up WHY: back to what was recorded.
give_up() {
  say "FAILED: $1"
  if [ ! -s "$work/before.yaml" ]; then
    say "Nothing is recorded that could be brought back. The pods stay as they are: kubectl --context $KUBE_CONTEXT -n $namespace get pods; infra/runbook.md, \"When something is wrong\"."
    exit "$broken"
  fi
  say "Bringing back $before_image ..."
  if restore "$work/before.yaml"; then
    say "Back: $before_image runs in $environment again. What setup applied to the database stays; the older program runs on it."
    exit "$undone"
  fi
  say "Bringing it back failed too: kubectl --context $KUBE_CONTEXT -n $namespace get pods; then infra/deploy/rollback.sh --environment $environment."
  exit "$broken"
}

have curl || problem "curl is not installed: the smoke test needs it."
have git || problem "git is not installed: it tells which migrations are new."
check_cluster
check_image
render
check_placeholders
if [ "$secrets_source" = kubernetes ]; then
  check_secret gpt-secrets "${secret_keys[@]}"
  check_secret gpt-setup "${setup_keys[@]}"
else
  check_vault
fi
check_migrations
stop_if_problems
kube apply -k "$work" --dry-run=server >"$work/dry-run.txt" || { problem "the cluster would not accept the manifests: see above."; stop_if_problems; }

running=$(running_image)
say "environment  $environment: $public_url (namespace $namespace, context $KUBE_CONTEXT)"
say "runs now     ${running:-nothing}$(if is_stopped; then printf ', stopped (0 replicas): it will be started'; fi)"
say "to deploy    $image"
say "secrets      from $secrets_source, all there"
say "migrations   $migrations_said"
say "objects      $(grep -c . "$work/dry-run.txt"), accepted by the cluster's dry run"
if [ -n "$dry_run" ]; then say "Nothing was changed (--dry-run)."; exit; fi
confirm "Deploy to $environment?"

# Recorded before anything changes: what to go back to.
rm -f "$work/before.yaml"
before_image=''
if read_record "$record" "$work/before.yaml"; then before_image=$(record_field "$record" image)
elif [ -n "$running" ]; then say "Note: $running runs without a record, so a failure cannot be undone."; fi

trap 'say "Interrupted: the rollout goes on in the cluster. infra/deploy/rollback.sh --environment $environment --to current brings back the last good one."; exit "$broken"' INT TERM
kube apply -k "$work" || give_up "kubectl apply"
start_pods "$rendered" || give_up "starting the pods"
wait_for_rollout || give_up "the rollout"
smoke_test || give_up "the smoke test"

# It works: from now on this is what a failed deployment goes back to, and what was before is what rollback.sh goes back to.
if [ -s "$work/before.yaml" ] && [ "$before_image" != "$image" ]; then
  write_record "$record_before" "$work/before.yaml" "$before_image" "$(record_field "$record" commit)" "$(record_field "$record" when)"
fi
when=$(date -u +%Y-%m-%dT%H:%M:%SZ)
write_record "$record" "$rendered" "$image" "$commit" "$when"
setup_said=$(kube logs deployment/gpt-functions-http -c setup --tail=20 2>/dev/null | grep '^database:' | paste -sd'; ' -) || setup_said=''

say ""
say "Deployed to $environment: $image"
say "since        $when, in $(seconds_since "$t0") s"
say "before it    ${before_image:-nothing recorded}"
[ -z "$setup_said" ] || say "setup        $setup_said"
say "roll back    make rollback ENVIRONMENT=$environment"
