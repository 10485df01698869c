#!/usr/bin/env bash
# Stands for az, kubectl, helm, gh, docker, kubelogin, curl, git and deploy.sh in AzureUpTests: what was made is there, and answers as those programs do.
# $FAKE/calls has every call, $FAKE/done every change that succeeded, $FAKE/vault the secrets. BREAK=N: the Nth change of this run fails.
# Files of a test: refuse (words of a call that fails), taken (names are), deleted (a vault is), failed (the cluster has), record and name (the A record),
# dirty, pushed.
line="${0##*/} $*"
printf '%s\n' "$line" >>"$FAKE/calls"
[ ! -f "$FAKE/done" ] || made=$(<"$FAKE/done")

# The options by name: --vault-name is o_vault_name. Each has one value that matters here.
before=''
for word in "$@"; do
  case $before in --*) printf -v "o_${before//[!a-z]/_}" '%s' "$word" ;; esac
  before=${word%%=*}
done
query=${o___query:-} name=${o___name:-}

# was WORDS: was a change made whose line has these?
was() { [[ "${made:-}" = *"$1"* ]]; }
# there WORDS [ANSWER]
there() { was "$1" || exit 3; [ $# = 1 ] || printf '%s\n' "$2"; exit 0; }
says() { printf '%s\n' "$1"; exit 0; }
# change: writes this call down; the one that shall fail does.
change() {
  local count=0
  [ ! -f "$FAKE/changes" ] || count=$(<"$FAKE/changes")
  echo "$((count + 1))" >"$FAKE/changes"
  if [ "${BREAK:-}" = "$((count + 1))" ]; then echo "stand-in: broken" >&2; exit 1; fi
  printf '%s\n' "$line" >>"$FAKE/done"
}
makes() { change; exit 0; }
[ ! -f "$FAKE/refuse" ] || [[ "$line" != *"$(<"$FAKE/refuse")"* ]] || exit 1

case $line in
  'az account show --query id'*) says subscription-1 ;;
  'az account show --query tenantId'*) says tenant-1 ;;
  'az account show --query name'*) says Contoso ;;
  'az ad signed-in-user show '*) says me-1 ;;
  'az provider show '*) was "az provider register --namespace ${o___namespace:-} " && says Registered; says NotRegistered ;;
  'az group show '*) there 'az group create ' Succeeded ;;
  'az acr check-name '*) [ -f "$FAKE/taken" ] && says false; says true ;;
  'az keyvault show-deleted '*) [ -f "$FAKE/deleted" ] || exit 3; exit 0 ;;
  'az acr show '*' id '*) there 'az acr create ' /id/registry ;;
  'az acr show '*) there 'az acr create ' Succeeded ;;
  'az network vnet show '*) there 'az network vnet create ' ;;
  'az network vnet subnet show '*) there "az network vnet subnet create --resource-group gpt --vnet-name gpt --name $name " "/id/subnet/$name" ;;
  'az network private-dns zone show '*) there 'az network private-dns zone create ' /id/zone ;;
  'az network private-dns link vnet show '*) there 'az network private-dns link vnet create ' Completed ;;
  'az aks show '*' provisioningState '*) [ ! -f "$FAKE/failed" ] || was 'az aks update ' || says Failed; there 'az aks create ' Succeeded ;;
  'az aks show '*' oidcIssuerProfile.issuerUrl '*) there 'az aks create ' https://issuer.test/ ;;
  'az aks show '*) there 'az aks create ' /id/cluster ;;
  'az role assignment list '*)
    kind=ServicePrincipal
    [[ "${o___assignee:-}" != me-1 ]] || kind=User
    there "create --assignee-object-id ${o___assignee:-} --assignee-principal-type $kind --role ${o___role:-} --scope ${o___scope:-} " role-1 ;;
  'az identity show '*' id '*) there "az identity create --resource-group gpt --name $name " "/id/of-$name" ;;
  'az identity show '*) there "az identity create --resource-group gpt --name $name " "${query%Id}-of-$name" ;;
  'az identity federated-credential show '*) there \
    "az identity federated-credential create --resource-group gpt --identity-name ${o___identity_name:-} --name $name " ;;
  'az keyvault show '*' id '*) there 'az keyvault create ' /id/vault ;;
  'az keyvault show '*) there 'az keyvault create ' Succeeded ;;
  'az keyvault secret list '*) was '--role Key Vault Secrets Officer' || exit 3; mkdir -p "$FAKE/vault"; ls "$FAKE/vault"; exit 0 ;;
  'az keyvault secret show '*' value '*) [ -f "$FAKE/vault/$name" ] || exit 3; says "$(<"$FAKE/vault/$name")" ;;
  'az keyvault secret show '*) [ -f "$FAKE/vault/$name" ] || exit 3; says true ;;
  'az keyvault secret set '*) cat >"$FAKE/new"; change; mkdir -p "$FAKE/vault"; mv "$FAKE/new" "$FAKE/vault/$name"; exit 0 ;;
  'az postgres flexible-server create '*) cat >"$FAKE/admin"; makes ;;
  'az postgres flexible-server show '*) there 'az postgres flexible-server create ' Ready ;;
  'az postgres flexible-server db show '*) there 'az postgres flexible-server db create ' ;;
  'az network dns record-set a show '*) [ ! -f "$FAKE/record" ] || says "$(cat "$FAKE/record")"; there 'az network dns record-set a add-record ' 20.1.2.3 ;;
  'az acr repository show '*'@sha256:'*) [ -f "$FAKE/pushed" ] || exit 3; exit 0 ;;
  'az acr repository show '*) there 'docker push ' "sha256:$(printf '3%.0s' {1..64})" ;;
  'curl '*) [ -f "$FAKE/name" ] || was 'az network dns record-set a add-record ' || exit 6; says 20.1.2.3 ;;
  'kubectl config current-context') there 'az aks get-credentials ' gpt ;;
  'kubectl --context gpt auth can-i '*) there '--role Azure Kubernetes Service RBAC Cluster Admin' yes ;;
  'kubectl --context gpt get namespace '*'gpt-functions/roles}') was annotate ||
    exit 0; says "$(sed -n 's#.* gpt-functions/roles=##p' "$FAKE/done" | tail -n 1)" ;;
  'kubectl --context gpt get namespace '*) there "kubectl --context gpt create namespace $5" ;;
  'kubectl --context gpt diff -f '*) there "kubectl --context gpt apply -f $5" ;;
  'kubectl --context gpt get clusterissuer '*) there 'apply -f infra/k8s/cluster/issuer.yaml' True ;;
  *' get deployment rabbitmq-cluster-operator '*) there '/cluster-operator.yml' \
    "rabbitmqoperator/cluster-operator:$(sed -n 's#.*/download/v\(.*\)/cluster-operator.yml#\1#p' "$FAKE/done" | tail -n 1)" ;;
  *' get rabbitmqcluster '*) there 'apply -f infra/k8s/cluster/broker.yaml' True ;;
  *' list_queues '*) there " add_vhost ${o___vhost:-}" ;;
  *' list_users '*) printf 'default_user_1\t[administrator]\n'; was " add_user gpt-" && printf 'gpt-production\t[]\n'; exit 0 ;;
  *' add_user '*) cat >"$FAKE/broker"; makes ;;
  *' exec -i gpt-psql '*) cat >>"$FAKE/sql"; makes ;;
  'kubectl kustomize '*)
    printf 'kind: ConfigMap\nmetadata:\n  name: a\n---\n'
    printf 'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: gpt-functions\n---\nkind: HTTPRoute\n'
    exit 0 ;;
  *' get gateway gpt-functions '*) there 'kubectl --context gpt apply -f -' 20.1.2.3 ;;
  *' apply -f -') cat >"$FAKE/applied"; makes ;;
  *' get certificate '*) there 'kubectl --context gpt apply -f -' True ;;
  *' get configmap gpt-deployed '*) there 'deploy.sh ' "contoso.azurecr.io/gpt-functions@sha256:1" ;;
  'helm list '*)
    chart=$(sed -n "s#^helm upgrade --install $(tr -d '^$' <<<"${o___filter:-}") oci://.*/\([a-z-]*\) --version \([^ ]*\) .*#\1-\2#p" \
      "$FAKE/done" 2>/dev/null | tail -n 1)
    says "${chart:+- chart: $chart}" ;;
  'gh auth status' | 'gh api repos/contoso/gpt') exit 0 ;;
  'gh api users/'*) says 42 ;;
  'gh api --method PUT '*' --input -'*) cat >"$FAKE/reviewers"; makes ;;
  'gh api --method PUT '*) makes ;;
  'gh api repos/'*) there "gh api --method PUT $2 " ;;
  'gh variable get '*) was "gh variable set $3 --body" ||
    exit 1; says "$(sed -n "s/^gh variable set $3 --body \([^ ]*\) .*/\1/p" "$FAKE/done" | tail -n 1)" ;;
  'git rev-parse HEAD') says 0123456789abcdef0123456789abcdef01234567 ;;
  'git status '*) [ ! -f "$FAKE/dirty" ] || says ' M GptFunctions/Program.cs'; exit 0 ;;
  'az '* | 'kubectl '* | 'helm upgrade '* | 'gh variable set '* | 'docker '* | 'kubelogin '* | 'deploy.sh '*) makes ;;
esac
echo "stand-in: no answer to: $line" >&2
exit 99
