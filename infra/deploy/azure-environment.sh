# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# The steps of azure-up.sh that each environment has for itself: secrets, database, broker, names. Sourced, never run.

# --- Vault and secrets. Generated ones are made once; a name that is in the vault is left alone.

there_vault() { is Succeeded az keyvault show --name "$vault" --query properties.provisioningState --output tsv && vault_answers; }
vault_answers() { holds az keyvault secret list --vault-name "$vault" --query '[].name' --output tsv; }
make_vault() {
  if missing az keyvault show --name "$vault"; then
    if [ -z "$plan" ] && holds az keyvault show-deleted --name "$vault"; then
      fail "the vault $vault was deleted and can come back: az keyvault recover --name $vault; or choose another name in infra/deploy/azure.conf."
    fi
    does az keyvault create --resource-group "$GROUP" --name "$vault" --location "$LOCATION" --enable-rbac-authorization true \
      --enable-purge-protection true --output none
  fi
  learn VAULT_ID az keyvault show --name "$vault" --query id --output tsv
  learn ME az ad signed-in-user show --query id --output tsv
  give_role "$ME" User "Key Vault Secrets Officer" "$VAULT_ID"
  comes 900 "your role in the vault is to count" vault_answers
}

client_id() { printf '%s' "$CLIENT_ID"; }
random_48() { openssl rand -base64 48 | tr -d '\n'; }
random_32() { openssl rand -base64 32 | tr -d '\n'; }
random_hex() { openssl rand -hex 24 | tr -d '\n'; }
# Azure wants three kinds of characters.
random_admin() { printf 'Gpt-%s' "$(random_hex)"; }
private_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | base64 | tr -d '\n'; }
answered() { printf '%s' "$answer"; }

asked_secrets=(clerk-webhook-secret clerk-oauth-client-secret stripe-webhook-secret)
made_secrets=(gpt-client-id gpt-client-secret gpt-ec-private-key gpt-refresh-key database-admin-password)
there_secrets() {
  local key names
  names=$(asks az keyvault secret list --vault-name "$vault" --query '[?attributes.enabled].name' --output tsv) || return 1
  [ -z "$plan" ] || return 0
  for key in "${made_secrets[@]}" "${asked_secrets[@]}"; do grep -qx "$key" <<<"$names" || return 1; done
}
# absent KEY: to be put there now.
absent() { if in_vault "$1"; then [ -n "$plan" ]; fi; }
make_secrets() {
  local key
  if absent gpt-client-id; then puts gpt-client-id "printf '%s' $CLIENT_ID" client_id; fi
  if absent gpt-client-secret; then puts gpt-client-secret "openssl rand -base64 48" random_48; fi
  if absent gpt-ec-private-key; then puts gpt-ec-private-key "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | base64" private_key; fi
  if absent gpt-refresh-key; then puts gpt-refresh-key "openssl rand -base64 32" random_32; fi
  if absent database-admin-password; then puts database-admin-password "printf 'Gpt-%s' \"\$(openssl rand -hex 24)\"" random_admin; fi
  for key in "${asked_secrets[@]}"; do
    if absent "$key"; then ask_for "$key"; fi
  done
}
# ask_for KEY: from the variable of that name, else typed without an echo.
ask_for() {
  local name answer=''
  name=$(tr 'a-z-' 'A-Z_' <<<"$1")
  if [ -n "$plan" ]; then answer=planned
  elif [ -n "${!name:-}" ]; then answer=${!name}
  elif [ -t 0 ]; then IFS= read -rsp "$1: " answer; say ""; fi
  [ -n "${answer//[[:space:]]/}" ] || fail "$1 is empty: set $name, or type it when asked."
  puts "$1" "the value of $name" answered
}

# --- Whom the pods are to Azure.

# trusts IDENTITY NAME ISSUER SUBJECT
trusts() {
  if missing az identity federated-credential show --resource-group "$GROUP" --identity-name "$1" --name "$2"; then
    does az identity federated-credential create --resource-group "$GROUP" --identity-name "$1" --name "$2" --issuer "$3" --subject "$4" \
      --audiences api://AzureADTokenExchange --output none
  fi
}
there_identity() {
  local who
  who=$(asks az identity show --resource-group "$GROUP" --name "gpt-functions-$environment" --query principalId --output tsv) || return 1
  has_role "${who:-WHO}" "Key Vault Secrets User" "$(asks az keyvault show --name "$vault" --query id --output tsv)" &&
    holds az identity federated-credential show --resource-group "$GROUP" --identity-name "gpt-functions-$environment" --name "$namespace"
}
make_identity() {
  if missing az identity show --resource-group "$GROUP" --name "gpt-functions-$environment"; then
    does az identity create --resource-group "$GROUP" --name "gpt-functions-$environment" --location "$LOCATION" --output none
  fi
  learn PODS az identity show --resource-group "$GROUP" --name "gpt-functions-$environment" --query principalId --output tsv
  learn VAULT_ID az keyvault show --name "$vault" --query id --output tsv
  give_role "$PODS" ServicePrincipal "Key Vault Secrets User" "$VAULT_ID"
  learn ISSUER az aks show --resource-group "$GROUP" --name "$AKS" --query oidcIssuerProfile.issuerUrl --output tsv
  trusts "gpt-functions-$environment" "$namespace" "$ISSUER" "system:serviceaccount:$namespace:gpt-functions"
}

# The overlay says which vault, and as whom: a file of your repository, for you to commit.
overlay_names() { sed -nE 's/^ *(keyvaultName|tenantId|clientID): *//p' "$overlay/azure.yaml" | paste -sd' ' -; }
there_overlay() {
  local tenant client
  tenant=$(asks az account show --query tenantId --output tsv) &&
    client=$(asks az identity show --resource-group "$GROUP" --name "gpt-functions-$environment" --query clientId --output tsv) || return 1
  [ "$(overlay_names)" = "$vault $tenant $client" ]
}
make_overlay() {
  learn TENANT az account show --query tenantId --output tsv
  learn PODS_CLIENT az identity show --resource-group "$GROUP" --name "gpt-functions-$environment" --query clientId --output tsv
  does sed -i.before -E -e "s/^( *keyvaultName: ).*/\\1$vault/" -e "s/^( *tenantId: ).*/\\1$TENANT/" -e "s/^( *clientID: ).*/\\1$PODS_CLIENT/" \
    "infra/k8s/overlays/$environment/azure.yaml"
  does rm "infra/k8s/overlays/$environment/azure.yaml.before"
}

there_namespace() { holds kubectl --context "$AKS" get namespace "$namespace"; }
make_namespace() { does kubectl --context "$AKS" create namespace "$namespace"; }

# --- A user of the broker with the rights that setup and the app need, in a virtual host of its own; done when its URL is in the vault.

there_broker_user() { in_vault rabbitmq-url; }
make_broker_user() {
  local user=gpt-$environment answer
  local -a ctl=(kubectl --context "$AKS" --namespace rabbitmq exec -i gpt-server-0 --container rabbitmq -- rabbitmqctl --quiet)
  if missing "${ctl[@]}" list_queues --vhost "$environment" name; then does "${ctl[@]}" add_vhost "$environment"; fi
  # One that was left half made has a password that nobody knows any more.
  if [ -z "$plan" ] && asks "${ctl[@]}" list_users --no-table-headers | grep -q "^${user}[[:space:]]"; then does "${ctl[@]}" delete_user "$user"; fi
  answer=$(random_hex)
  feeds "openssl rand -hex 24" answered "${ctl[@]}" add_user "$user"
  does "${ctl[@]}" set_permissions --vhost "$environment" "$user" \
    '^(gpt\.events|gpt-audit-events.*)$' '^(gpt\.events|gpt-audit-events.*|amq\.default)$' '^(gpt\.events|gpt-audit-events.*)$'
  answer="amqp://$user:$answer@gpt.rabbitmq.svc:5672/$environment"
  puts rabbitmq-url "amqp://$user:(that password)@gpt.rabbitmq.svc:5672/$environment" answered
}

# --- The way in: the Gateway of the overlay, before the first deployment, so that it has an address, a name and a certificate by then.

gateway_of_overlay() {
  kubectl kustomize "infra/k8s/overlays/$environment" | awk '
    /^---$/ { if (found) exit; text = ""; next }
    /^kind: Gateway$/ { found = 1 }
    { text = text $0 "\n" }
    END { if (found) printf "%s", text }'
}
gateway_address() { asks kubectl --context "$AKS" --namespace "$namespace" get gateway gpt-functions --output 'jsonpath={.status.addresses[0].value}'; }
there_gateway() { [ -n "$(gateway_address)" ] || [ -n "$plan" ]; }
make_gateway() {
  [ -n "$plan" ] || [ -n "$(gateway_of_overlay)" ] ||
    fail "infra/k8s/overlays/$environment has no Gateway: an ingress controller you set up yourself (infra/runbook.md, \"The way in\")."
  feeds "kubectl kustomize infra/k8s/overlays/$environment | (the Gateway)" gateway_of_overlay kubectl --context "$AKS" apply -f -
  comes 600 "the Gateway is to have an address" there_gateway
}

# Where a connection to port 80 gets, from here: the certificate authority will come the same way.
address_of_host() { asks curl --silent --max-time 10 --output /dev/null --write-out '%{remote_ip}' "http://$host/"; }
there_name() {
  local address
  address=$(gateway_address)
  [ -n "$plan" ] && { address_of_host; return; }
  [ -n "$address" ] && [ "$(address_of_host)" = "$address" ]
}
make_name() {
  local record
  learn ADDRESS kubectl --context "$AKS" --namespace "$namespace" get gateway gpt-functions --output 'jsonpath={.status.addresses[0].value}'
  if [ -z "$DNS_ZONE" ]; then
    waits_for_you "make an A record for $host with the address $ADDRESS, where the names of that domain are kept."
    return
  fi
  record=${host%".$DNS_ZONE"}
  [ "$record" != "$host" ] || [ "$host" = "$DNS_ZONE" ] || fail "$host is not in the zone $DNS_ZONE: see DNS_ZONE in infra/deploy/azure.conf."
  [ "$host" != "$DNS_ZONE" ] || record=@
  if [ -n "$plan" ] || ! is "$ADDRESS" az network dns record-set a show --resource-group "$DNS_GROUP" --zone-name "$DNS_ZONE" --name "$record" \
    --query '[ARecords, arecords][].ipv4Address' --output tsv; then
    if [ -z "$plan" ] && holds az network dns record-set a show --resource-group "$DNS_GROUP" --zone-name "$DNS_ZONE" --name "$record"; then
      fail "$host has an A record with another address than $ADDRESS: change it yourself, if nobody needs the other one any more."
    fi
    does az network dns record-set a add-record --resource-group "$DNS_GROUP" --zone-name "$DNS_ZONE" --record-set-name "$record" --ipv4-address "$ADDRESS" \
      --ttl 300 --output none
  fi
  comes 900 "$host is to lead to $ADDRESS from here" there_name
}

there_certificate() {
  is True kubectl --context "$AKS" --namespace "$namespace" get certificate gpt-functions-tls \
    --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
}
make_certificate() { comes 900 "the certificate of $host is to be made (kubectl -n $namespace describe certificate,challenge)" there_certificate; }
