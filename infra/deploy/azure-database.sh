# shellcheck shell=bash disable=SC2016,SC2034,SC2153,SC2154
# The steps of azure-up.sh for the database: a server inside the network, and three roles in it. Sourced, never run.

server_is_ready() { is Ready az postgres flexible-server show --resource-group "$GROUP" --name "$postgres" --query state --output tsv; }
there_server() {
  server_is_ready && holds az postgres flexible-server db show --resource-group "$GROUP" --server-name "$postgres" --database-name gptfunctions
}
admin_password() { from_vault database-admin-password; }
make_server() {
  if missing az network vnet subnet show --resource-group "$GROUP" --vnet-name "$NETWORK" --name "database-$environment"; then
    does az network vnet subnet create --resource-group "$GROUP" --vnet-name "$NETWORK" --name "database-$environment" --address-prefixes "$POSTGRES_PREFIX" \
      --delegations Microsoft.DBforPostgreSQL/flexibleServers --output none
  fi
  if missing az postgres flexible-server show --resource-group "$GROUP" --name "$postgres"; then
    learn DATABASE_SUBNET az network vnet subnet show --resource-group "$GROUP" --vnet-name "$NETWORK" --name "database-$environment" --query id --output tsv
    learn ZONE az network private-dns zone show --resource-group "$GROUP" --name "$(dns_zone)" --query id --output tsv
    # @- is standard input: the password stands on no command line.
    feeds "az keyvault secret show --vault-name $vault --name database-admin-password --query value --output tsv" admin_password \
      az postgres flexible-server create --resource-group "$GROUP" --name "$postgres" --location "$LOCATION" --version "$POSTGRES_VERSION" \
      --tier "$POSTGRES_TIER" --sku-name "$POSTGRES_SIZE" --storage-size "$POSTGRES_STORAGE" --storage-auto-grow Enabled \
      --backup-retention "$POSTGRES_BACKUP_DAYS" \
      --subnet "$DATABASE_SUBNET" --private-dns-zone "$ZONE" --admin-user gptadmin --admin-password @- --yes --output none
  fi
  comes 1800 "the database server is to be ready" server_is_ready
  if missing az postgres flexible-server db show --resource-group "$GROUP" --server-name "$postgres" --database-name gptfunctions; then
    does az postgres flexible-server db create --resource-group "$GROUP" --server-name "$postgres" --database-name gptfunctions --output none
  fi
}

# --- psql, from a pod, because only the cluster is near enough. The administrator's password is the first line that it reads.

psql_pod=(kubectl --context "$AKS" --namespace default)
start_psql() {
  does "${psql_pod[@]}" delete pod gpt-psql --ignore-not-found
  does "${psql_pod[@]}" run gpt-psql --image="$PSQL_IMAGE" --restart=Never --command -- sleep 900
  does "${psql_pod[@]}" wait --for=condition=Ready pod/gpt-psql --timeout=300s
}
# psql_reads TEXT FUNCTION
psql_reads() {
  feeds "$1" "$2" "${psql_pod[@]}" exec -i gpt-psql -- sh -c 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql "$0" --no-psqlrc --quiet --file -' \
    "host=$postgres.postgres.database.azure.com user=gptadmin dbname=gptfunctions sslmode=require connect_timeout=15"
}
roles() { printf '%s\n' "$(admin_password)"; cat infra/postgres/roles.sql; }
# psql hashes a password before it sends it. It reads each twice, from where it reads the script.
roles_and_passwords() {
  roles
  printf '\n\\password gpt_owner\n%s\n%s\n' "$owner_password" "$owner_password"
  printf '\\password gpt_app\n%s\n%s\n' "$app_password" "$app_password"
}

# Done when their URLs are in the vault: the passwords are known nowhere else.
there_roles() { in_vault database-url && in_vault database-owner-url; }
make_roles() {
  local owner_password app_password answer server="$postgres.postgres.database.azure.com:5432/gptfunctions?sslmode=verify-full"
  owner_password=$(random_hex) app_password=$(random_hex)
  start_psql
  psql_reads "(the password of gptadmin; infra/postgres/roles.sql; \\password gpt_owner; \\password gpt_app)" roles_and_passwords
  does "${psql_pod[@]}" delete pod gpt-psql
  answer="postgresql://gpt_owner:$owner_password@$server"
  puts database-owner-url "postgresql://gpt_owner:(its password)@$server" answered
  answer="postgresql://gpt_app:$app_password@$server"
  puts database-url "postgresql://gpt_app:(its password)@$server" answered
}

# Once more when the tables are there, and again whenever roles.sql is another one: the namespace remembers which was run.
roles_version() { printf '%s-%s' "$(cksum <infra/postgres/roles.sql | tr ' ' '-')" "$postgres"; }
there_rights() { is "$(roles_version)" kubectl --context "$AKS" get namespace "$namespace" --output 'jsonpath={.metadata.annotations.gpt-functions/roles}'; }
make_rights() {
  start_psql
  psql_reads "(the password of gptadmin; infra/postgres/roles.sql)" roles
  does "${psql_pod[@]}" delete pod gpt-psql
  does kubectl --context "$AKS" annotate namespace "$namespace" --overwrite "gpt-functions/roles=$(roles_version)"
}
