# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# The last steps of azure-up.sh: the pipeline's identity and GitHub, the image, the first deployment. Sourced, never run.

github_environments=(build staging production)
pipeline_id() { asks az identity show --resource-group "$GROUP" --name gpt-pipeline --query "$1" --output tsv; }

# pipeline_roles COMMAND: for each role that the pipeline has in this environment. Cluster Admin because the manifests hold a namespace and objects of
# KEDA and the CSI driver; Key Vault Reader sees names, never values.
pipeline_roles() {
  "$1" AcrPush "$REGISTRY_ID" && "$1" "Azure Kubernetes Service Cluster User Role" "$CLUSTER" &&
    "$1" "Azure Kubernetes Service RBAC Cluster Admin" "$CLUSTER" && "$1" "Key Vault Reader" "$VAULT_ID"
}
learn_scopes() {
  learn REGISTRY_ID az acr show --resource-group "$GROUP" --name "$ACR" --query id --output tsv
  learn CLUSTER az aks show --resource-group "$GROUP" --name "$AKS" --query id --output tsv
  learn VAULT_ID az keyvault show --name "$vault" --query id --output tsv
}
pipeline_has() { has_role "$PIPELINE" "$1" "$2"; }
pipeline_gets() { give_role "$PIPELINE" ServicePrincipal "$1" "$2"; }
there_pipeline() {
  local name
  if [ -z "$plan" ]; then PIPELINE=$(pipeline_id principalId) && [ -n "$PIPELINE" ] || { PIPELINE=''; return 1; }; fi
  learn_scopes
  learn PIPELINE az identity show --resource-group "$GROUP" --name gpt-pipeline --query principalId --output tsv
  pipeline_roles pipeline_has || return 1
  for name in "${github_environments[@]}"; do
    holds az identity federated-credential show --resource-group "$GROUP" --identity-name gpt-pipeline --name "$name" || return 1
  done
}
make_pipeline() {
  local name
  if missing az identity show --resource-group "$GROUP" --name gpt-pipeline; then
    does az identity create --resource-group "$GROUP" --name gpt-pipeline --location "$LOCATION" --output none
  fi
  learn PIPELINE az identity show --resource-group "$GROUP" --name gpt-pipeline --query principalId --output tsv
  learn_scopes
  pipeline_roles pipeline_gets
  for name in "${github_environments[@]}"; do
    trusts gpt-pipeline "$name" https://token.actions.githubusercontent.com "repo:$REPO:environment:$name"
  done
}

# variables COMMAND: for each variable of the repository, and of the environment.
variables() {
  "$1" AZURE_CLIENT_ID "$(pipeline_id clientId)" && "$1" AZURE_TENANT_ID "$(asks az account show --query tenantId --output tsv)" &&
    "$1" AZURE_SUBSCRIPTION_ID "$(asks az account show --query id --output tsv)" && "$1" ACR_NAME "$ACR" &&
    "$1" AKS_RESOURCE_GROUP "$GROUP" --env "$environment" && "$1" AKS_CLUSTER "$AKS" --env "$environment" && "$1" SECRETS_SOURCE keyvault --env "$environment"
}
variable_is() { local name=$1 value=$2; shift 2; is "$value" gh variable get "$name" --repo "$REPO" "$@"; }
variable_becomes() {
  local name=$1 value=$2; shift 2
  [ -z "$plan" ] || [ -n "$value" ] || value="\$$name"
  if [ -z "$plan" ] && variable_is "$name" "$value" "$@"; then return; fi
  does gh variable set "$name" --body "$value" --repo "$REPO" "$@"
}
there_github() {
  local name
  for name in "${github_environments[@]}"; do holds gh api "repos/$REPO/environments/$name" || return 1; done
  variables variable_is
}
# Who may approve: GitHub wants ids.
reviewers() {
  local login ids=()
  for login in $REVIEWERS; do ids+=("{\"type\":\"User\",\"id\":$(gh api "users/$login" --jq .id)}"); done
  printf '{"reviewers":[%s]}' "$(IFS=,; printf '%s' "${ids[*]}")"
}
make_github() {
  local name
  for name in "${github_environments[@]}"; do
    if missing gh api "repos/$REPO/environments/$name"; then
      if [ "$name" = production ] && [ -n "$REVIEWERS" ]; then
        feeds "{\"reviewers\": the ids of $REVIEWERS}" reviewers gh api --method PUT "repos/$REPO/environments/$name" --input - --silent
      else
        does gh api --method PUT "repos/$REPO/environments/$name" --silent
      fi
    fi
  done
  variables variable_becomes
}

# --- The image, unless one was named, and the first deployment. Later ones are the pipeline's.

image_tag() { if [ -n "$plan" ]; then printf 'sha-$COMMIT'; else printf 'sha-%s' "$(git rev-parse HEAD)"; fi; }
image_digest() { asks az acr repository show --name "$ACR" --image "gpt-functions:$tag" --query digest --output tsv; }
there_image() {
  local tag digest
  if [ -n "$image" ]; then holds az acr repository show --name "$ACR" --image "${image#*/}"; return; fi
  tag=$(image_tag)
  digest=$(image_digest) || return 1
  [ -z "$plan" ] || { image="$ACR.azurecr.io/gpt-functions@\$DIGEST"; return; }
  [ -n "$digest" ] && image="$ACR.azurecr.io/gpt-functions@$digest"
}
make_image() {
  local tag changed
  [ -n "$plan" ] || [ -z "$image" ] || fail "$image is not in the registry."
  have docker || [ -n "$plan" ] ||
    fail "docker is not installed: it builds the image. Or name one that is in the registry: --image $ACR.azurecr.io/gpt-functions@sha256:..."
  tag=$(image_tag)
  [ -n "$plan" ] ||
    changed=$(git status --porcelain -- GptFunctions host.json infra/hosts.json infra/container Directory.Build.props Directory.Packages.props)
  [ -z "${changed:-}" ] || fail "what the image is built from has changes that no commit holds: commit them, or name an image (--image)."
  does az acr login --name "$ACR"
  does docker build --platform linux/amd64 --file infra/container/Dockerfile --build-arg "VERSION=0.0.0-$tag" \
    --label "org.opencontainers.image.revision=${tag#sha-}" --tag "$ACR.azurecr.io/gpt-functions:$tag" .
  does docker push "$ACR.azurecr.io/gpt-functions:$tag"
}

# deploy.sh records what passed its smoke test.
there_deployment() {
  local recorded
  recorded=$(asks kubectl --context "$AKS" --namespace "$namespace" get configmap gpt-deployed --output 'jsonpath={.data.image}') || return 1
  [ -n "$recorded" ] || [ -n "$plan" ]
}
make_deployment() {
  step image "Image"
  current="First deployment"
  does env KUBE_CONTEXT="$AKS" SECRETS_SOURCE=keyvault infra/deploy/deploy.sh --environment "$environment" --image "$image" --yes
}
