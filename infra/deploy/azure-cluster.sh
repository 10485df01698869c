# shellcheck shell=bash disable=SC2034,SC2154
# The steps of azure-up.sh that staging and production share: from an empty subscription to a cluster with what it needs. Sourced, never run.

providers=(Microsoft.ContainerRegistry Microsoft.ContainerService Microsoft.Compute Microsoft.DBforPostgreSQL Microsoft.KeyVault
  Microsoft.ManagedIdentity Microsoft.Network)

there_providers() {
  local provider
  for provider in "${providers[@]}"; do is Registered az provider show --namespace "$provider" --query registrationState --output tsv || return 1; done
}
make_providers() {
  local provider
  for provider in "${providers[@]}"; do
    [ -z "$plan" ] && is Registered az provider show --namespace "$provider" --query registrationState --output tsv ||
      does az provider register --namespace "$provider" --wait
  done
}

there_group() { is Succeeded az group show --name "$GROUP" --query properties.provisioningState --output tsv; }
make_group() { does az group create --name "$GROUP" --location "$LOCATION" --output none; }

there_registry() { is Succeeded az acr show --resource-group "$GROUP" --name "$ACR" --query provisioningState --output tsv; }
make_registry() {
  is true az acr check-name --name "$ACR" --query nameAvailable --output tsv ||
    fail "the registry's name $ACR is not free (or not one): choose another ACR in infra/deploy/azure.conf."
  does az acr create --resource-group "$GROUP" --name "$ACR" --location "$LOCATION" --sku "$ACR_SIZE" --admin-enabled false --output none
}

# One private zone for the names of all database servers.
dns_zone() { printf '%s' "$GROUP.private.postgres.database.azure.com"; }
there_network() {
  holds az network vnet subnet show --resource-group "$GROUP" --vnet-name "$NETWORK" --name cluster &&
    holds az network private-dns zone show --resource-group "$GROUP" --name "$(dns_zone)" &&
    is Completed az network private-dns link vnet show --resource-group "$GROUP" --zone-name "$(dns_zone)" --name "$NETWORK" \
      --query virtualNetworkLinkState --output tsv
}
make_network() {
  if missing az network vnet show --resource-group "$GROUP" --name "$NETWORK"; then
    does az network vnet create --resource-group "$GROUP" --name "$NETWORK" --location "$LOCATION" --address-prefixes "$NETWORK_PREFIX" --output none
  fi
  if missing az network vnet subnet show --resource-group "$GROUP" --vnet-name "$NETWORK" --name cluster; then
    does az network vnet subnet create --resource-group "$GROUP" --vnet-name "$NETWORK" --name cluster --address-prefixes "$CLUSTER_PREFIX" --output none
  fi
  if missing az network private-dns zone show --resource-group "$GROUP" --name "$(dns_zone)"; then
    does az network private-dns zone create --resource-group "$GROUP" --name "$(dns_zone)" --output none
  fi
  if missing az network private-dns link vnet show --resource-group "$GROUP" --zone-name "$(dns_zone)" --name "$NETWORK"; then
    does az network private-dns link vnet create --resource-group "$GROUP" --zone-name "$(dns_zone)" --name "$NETWORK" --virtual-network "$NETWORK" \
      --registration-enabled false --output none
  fi
  comes 300 "the private DNS zone is to be linked to the network" there_network
}

# One node in each zone: a zone that fails takes a third. NetworkPolicies are enforced (cilium), pods have identities (workload identity), KEDA and the
# Key Vault driver are Azure's own.
there_cluster() { is Succeeded az aks show --resource-group "$GROUP" --name "$AKS" --query provisioningState --output tsv; }
make_cluster() {
  if missing az aks show --resource-group "$GROUP" --name "$AKS"; then
    learn SUBNET az network vnet subnet show --resource-group "$GROUP" --vnet-name "$NETWORK" --name cluster --query id --output tsv
    # An identity of its own, because az asks a question where there is none and the subnet is ours.
    if missing az identity show --resource-group "$GROUP" --name gpt-cluster; then
      does az identity create --resource-group "$GROUP" --name gpt-cluster --location "$LOCATION" --output none
    fi
    learn CLUSTER_WHO az identity show --resource-group "$GROUP" --name gpt-cluster --query principalId --output tsv
    learn CLUSTER_IDENTITY az identity show --resource-group "$GROUP" --name gpt-cluster --query id --output tsv
    give_role "$CLUSTER_WHO" ServicePrincipal "Network Contributor" "$SUBNET"
    does az aks create --resource-group "$GROUP" --name "$AKS" --location "$LOCATION" --tier standard \
      --node-count "$NODES" --zones 1 2 3 --node-vm-size "$NODE_SIZE" --no-ssh-key --attach-acr "$ACR" \
      --assign-identity "$CLUSTER_IDENTITY" --vnet-subnet-id "$SUBNET" --skip-subnet-role-assignment --network-plugin azure --network-plugin-mode overlay \
      --network-dataplane cilium --pod-cidr "$POD_PREFIX" \
      --enable-aad --enable-azure-rbac --disable-local-accounts --enable-oidc-issuer --enable-workload-identity \
      --enable-keda --enable-addons azure-keyvault-secrets-provider --enable-secret-rotation --auto-upgrade-channel patch --yes --output none
  elif is Failed az aks show --resource-group "$GROUP" --name "$AKS" --query provisioningState --output tsv; then
    does az aks update --resource-group "$GROUP" --name "$AKS" --yes --output none # once more, as it was asked for
  fi
  does az aks wait --resource-group "$GROUP" --name "$AKS" --custom "provisioningState=='Succeeded'" --interval 15 --timeout 1800
}

may_everything() { is yes kubectl --context "$AKS" auth can-i '*' '*' --all-namespaces; }
there_access() { is "$AKS" kubectl config current-context && may_everything; }
make_access() {
  learn CLUSTER az aks show --resource-group "$GROUP" --name "$AKS" --query id --output tsv
  learn ME az ad signed-in-user show --query id --output tsv
  give_role "$ME" User "Azure Kubernetes Service RBAC Cluster Admin" "$CLUSTER"
  does az aks get-credentials --resource-group "$GROUP" --name "$AKS" --context "$AKS" --overwrite-existing
  does kubelogin convert-kubeconfig -l azurecli --context "$AKS"
  comes 900 "your role in the cluster is to count" may_everything
}

# has_chart RELEASE NAMESPACE CHART-VERSION
has_chart() {
  local said
  said=$(asks helm list --kube-context "$AKS" --namespace "$2" --filter "^$1\$" --deployed --output yaml) || return 1
  [ -n "$plan" ] || grep -qE "chart: \"?$3\"?\$" <<<"$said"
}
# Applied as it stands in this file?
has_file() { holds kubectl --context "$AKS" diff -f "$1"; }

there_gateway_class() { has_chart envoy-gateway envoy-gateway-system "gateway-helm-$ENVOY_GATEWAY_VERSION" && has_file infra/k8s/cluster/gateway-class.yaml; }
make_gateway_class() {
  does helm upgrade --install envoy-gateway oci://docker.io/envoyproxy/gateway-helm --version "$ENVOY_GATEWAY_VERSION" \
    --kube-context "$AKS" --namespace envoy-gateway-system --create-namespace --wait --timeout 10m
  does kubectl --context "$AKS" apply -f infra/k8s/cluster/gateway-class.yaml
}

there_issuer() {
  has_chart cert-manager cert-manager "cert-manager-$CERT_MANAGER_VERSION" && has_file infra/k8s/cluster/issuer.yaml && issuer_is_ready
}
issuer_is_ready() { is True kubectl --context "$AKS" get clusterissuer letsencrypt --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'; }
# After the Gateway's kinds, which it looks for when it starts.
make_issuer() {
  does helm upgrade --install cert-manager oci://quay.io/jetstack/charts/cert-manager --version "$CERT_MANAGER_VERSION" \
    --kube-context "$AKS" --namespace cert-manager --create-namespace --wait --timeout 10m --set crds.enabled=true --set config.gatewayAPI.enabled=true
  does kubectl --context "$AKS" apply -f infra/k8s/cluster/issuer.yaml
  comes 300 "the issuer of certificates is to be ready" issuer_is_ready
}

broker_is_ready() {
  is True kubectl --context "$AKS" --namespace rabbitmq get rabbitmqcluster gpt --output 'jsonpath={.status.conditions[?(@.type=="AllReplicasReady")].status}'
}
there_broker() {
  local image
  image=$(asks kubectl --context "$AKS" --namespace rabbitmq-system get deployment rabbitmq-cluster-operator \
    --output 'jsonpath={.spec.template.spec.containers[0].image}') || return 1
  { [ -n "$plan" ] || [[ "$image" =~ :v?${RABBITMQ_OPERATOR_VERSION#v}(@|$) ]]; } && has_file infra/k8s/cluster/broker.yaml && broker_is_ready
}
make_broker() {
  does kubectl --context "$AKS" apply -f "https://github.com/rabbitmq/cluster-operator/releases/download/$RABBITMQ_OPERATOR_VERSION/cluster-operator.yml"
  does kubectl --context "$AKS" --namespace rabbitmq-system rollout status deployment/rabbitmq-cluster-operator --timeout=300s
  does kubectl --context "$AKS" apply -f infra/k8s/cluster/broker.yaml
  comes 900 "the broker's nodes are to be ready" broker_is_ready
}
