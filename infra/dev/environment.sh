# shellcheck shell=bash disable=SC2154
# The application's environment as make run has it. Sourced after lib.sh by run.sh and cli.sh.
#
# First what the caller set, then (for cli.sh) what the caller of make run had set, then the API
# that make connect wrote down, then what makes a first look possible.

api_dir="$root/infra/config/api" # what make connect writes: the repository's own, for the owner to commit
given="$local_dir/run.settings"

# setting_names: every setting that the application has.
setting_names() { sed -n 's/^ *"\([A-Za-z_]*\)": ".*/\1/p' "$root/local.settings.sample.json"; }

# record_settings: keeps what make run was started with, for cli.sh in another terminal.
record_settings() {
  local name
  rm -f "$given"
  (umask 077 && for name in $(setting_names); do
    if [ -n "${!name:-}" ]; then printf '%s=%s\n' "$name" "${!name//$'\n'/ }"; fi
  done >"$given")
}

# take_settings FILE: what the file says and nobody has set.
take_settings() {
  local line name
  [ -f "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%=*}
    [[ $line == *=* && $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    if [ -z "${!name:-}" ]; then export "$name=${line#*=}"; fi
  done <"$1"
}

random() { head -c 32 /dev/urandom | base64; }
# What an order's end needs to be seen: a deadline of seconds, and a shop that is told, which is this program itself.
demo_keys() {
  local file="$local_dir/demo.env"
  [ -s "$file" ] || (umask 077 && printf 'SERVICE_KEY=%s\nVERIFICATION_CALLBACK_SECRET=whsec_%s\n' "$(random)" "$(random)" >"$file")
  export SERVICE_KEY="${SERVICE_KEY:-$(sed -n 's/^SERVICE_KEY=//p' "$file")}"
  export VERIFICATION_DEADLINE_HOURS="${VERIFICATION_DEADLINE_HOURS:-0.002}"
  if [ -z "${VERIFICATION_CALLBACK_URL:-}" ]; then
    VERIFICATION_CALLBACK_SECRET=$(sed -n 's/^VERIFICATION_CALLBACK_SECRET=//p' "$file")
    export VERIFICATION_CALLBACK_SECRET VERIFICATION_CALLBACK_URL="http://127.0.0.1:$PORT/dev/callbacks"
  fi
}

# api: the routes and scopes of make connect, unless the caller names routes of their own. from_api: what it set.
from_api=()
api() {
  from_api=()
  [ -z "${GATEWAY_CONFIG:-}" ] && [ -f "$api_dir/gateway.json" ] || return 0
  export GATEWAY_CONFIG="$api_dir/gateway.json"
  from_api=(GATEWAY_CONFIG)
  [ -n "${GPT_SCOPES:-}" ] || from_api+=(GPT_SCOPES)
  take_settings "$api_dir/settings.env"
}

# app_environment: exports all of it but the servers' addresses, which services.sh says.
app_environment() {
  export PORT="${PORT:-7071}"
  export PUBLIC_BASE_URL="${PUBLIC_BASE_URL:-http://127.0.0.1:$PORT}" AZURE_FUNCTIONS_ENVIRONMENT="${AZURE_FUNCTIONS_ENVIRONMENT:-Development}"
  demo_keys
  api
}
