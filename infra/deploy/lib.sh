# shellcheck shell=bash disable=SC2034,SC2154
# What deploy.sh, rollback.sh and secrets.sh share. Sourced, never run.
# shellcheck source=../dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"

# Exit codes, the same for all three.
refused=1 usage=2 undone=3 broken=4

deployments=(gpt-functions-http gpt-functions-audit gpt-functions-timers)
# The keys of the Secret gpt-secrets, and of gpt-setup, as the manifests mount them.
secret_keys=(gpt-client-id gpt-client-secret gpt-ec-private-key gpt-refresh-key clerk-webhook-secret clerk-oauth-client-secret stripe-webhook-secret database-url rabbitmq-url)
setup_keys=(database-owner-url)
# Further files of gpt-secrets, for who uses them.
optional_keys=(gpt-ec-previous-keys orders-webhook-secret verification-webhook-secret verification-callback-secret service-key database-listen-url
  otel-exporter-otlp-headers)

# The ConfigMaps that remember what runs (the last deployment that passed its smoke test) and what ran before it: the manifests, by
# digest and without secrets, so that going back restores the settings and routes of then too.
record=gpt-deployed
record_before=gpt-deployed-before

# problem TEXT...: collected, so that all that is missing is said at once.
problems=()
problem() { problems+=("$*"); }
stop_if_problems() {
  local text
  [ "${#problems[@]}" -gt 0 ] || return 0
  for text in "${problems[@]}"; do say "refused: $text"; done
  say "Nothing was changed."
  exit "$refused"
}

wrong_usage() { say "error: $1 See $(basename "$0") --help."; exit "$usage"; }

# variable_of KEY: database-url is DATABASE_URL.
variable_of() { tr 'a-z-' 'A-Z_' <<<"$1"; }

# needed_secrets FILE...: the secrets that these settings and routes ask for, one a line: its key, and why.
needed_secrets() {
  local text name
  text=$(cat "$@" 2>/dev/null | grep -vE '^ *(#|//)') || return 0
  while IFS= read -r name; do
    printf '%s a route in gateway.json sends {secret:%s} to its upstream\n' "$(tr 'A-Z_' 'a-z-' <<<"$name")" "$name"
  done < <(grep -oE '\{secret:[A-Z][A-Z0-9_]*\}' <<<"$text" | sort -u | sed 's/{secret://; s/}//')
  if grep -qE '^ *VERIFICATION_CALLBACK_URL(=|: *"?)[^" ]' <<<"$text" && ! grep -qE '^ *SAFE_MODE(=|: *"?)true' <<<"$text"; then
    printf 'verification-callback-secret VERIFICATION_CALLBACK_URL in settings.env sends no callback without it\n'
  fi
}

set_environment() {
  case $1 in
    production) environment=$1 namespace=gpt-functions ;;
    staging) environment=$1 namespace=gpt-functions-staging ;;
    *) wrong_usage "--environment is staging or production." ;;
  esac
  overlay="$root/infra/k8s/overlays/$environment"
  work="$local_dir/deploy/$environment"
}

# kube ARGUMENTS...: in the cluster and namespace that were checked, whatever the current context becomes meanwhile.
kube() { kubectl --context "$KUBE_CONTEXT" --namespace "$namespace" "$@"; }

check_cluster() {
  local current
  have kubectl || problem "kubectl is not installed (az aks install-cli)."
  [ -n "${KUBE_CONTEXT:-}" ] || problem "KUBE_CONTEXT is not set: the name of the kubectl context of $environment (kubectl config get-contexts)."
  stop_if_problems
  current=$(kubectl config current-context 2>/dev/null) || true
  [ "$current" = "$KUBE_CONTEXT" ] || problem "kubectl points at '${current:-nothing}', and KUBE_CONTEXT says '$KUBE_CONTEXT': kubectl config use-context $KUBE_CONTEXT."
  stop_if_problems
  kube get namespace "$namespace" -o name >/dev/null 2>&1 ||
    problem "the cluster does not answer, or has no namespace $namespace: kubectl get namespaces; for a first deployment kubectl create namespace $namespace."
  stop_if_problems
}

# running_image: what the live http deployment runs; empty before the first deployment.
running_image() {
  kube get deployment gpt-functions-http --ignore-not-found -o 'jsonpath={.spec.template.spec.containers[?(@.name=="functions")].image}'
}

# read_record NAME FILE: writes the manifests of a record; fails when there is none.
read_record() {
  kube get configmap "$1" --ignore-not-found -o 'jsonpath={.data.manifests\.yaml}' >"$2" && [ -s "$2" ]
}
record_field() { kube get configmap "$1" --ignore-not-found -o "jsonpath={.data.$2}"; }

# write_record NAME FILE IMAGE COMMIT WHEN. Server-side: a client-side apply would keep the whole text twice.
write_record() {
  kube create configmap "$1" --from-file="manifests.yaml=$2" --from-literal="image=$3" --from-literal="commit=$4" --from-literal="when=$5" \
    --dry-run=client -o yaml | kube apply --server-side --force-conflicts -f - >/dev/null
}

# wait_for_rollout: each deployment in turn. It fails when one is not complete in time; what its pods say helps to see why.
wait_for_rollout() {
  local name
  for name in "${deployments[@]}"; do
    kube rollout status "deployment/$name" --timeout="${ROLLOUT_TIMEOUT:-300}s" && continue
    say "$name is not complete after ${ROLLOUT_TIMEOUT:-300} s. Its pods, and what their init container said:"
    kube get pods -l "app.kubernetes.io/name=gpt-functions" -o wide >&2 || true
    kube logs "deployment/$name" -c setup --tail=20 >&2 || true
    return 1
  done
}

# answer_of PATH: sets status (000 when there is none) and body. Who has SERVICE_KEY in the environment is told details; it goes through a pipe.
answer_of() {
  body=$(printf '%s' "${SERVICE_KEY:+X-Service-Key: $SERVICE_KEY}" | curl --silent --max-time 10 --header @- --write-out '\n%{http_code}' "$public_url$1") || true
  status=${body##*$'\n'} body=${body%$'\n'*}
  [ -n "$status" ] || status=000
}

ready_answers() { answer_of /ready; [ "$status" = 200 ]; }

# not_ok: the subsystems of a self-test's body that are not ok, with their states.
not_ok() { grep -oE '"[a-z_]+":\{"status":"(safe_mode|degraded|blocker)"' <<<"$body" | sed -E 's/"([a-z_]+)":\{"status":"([a-z_]+)"/\1 \2/' | paste -sd, - | sed 's/,/, /g'; }

# smoke_test: from outside, as a client would: ready, the right issuer, the self-test (a blocker fails it, degraded is said), nobody gets to /operations.
smoke_test() {
  local issuer
  wait_until "${SMOKE_TIMEOUT:-60}" ready_answers || { say "smoke test: $public_url/ready answered $status: $body"; return 1; }
  say "smoke test: /ready 200"
  answer_of /.well-known/oauth-authorization-server
  issuer=$(sed -n 's/.*"issuer" *: *"\([^"]*\)".*/\1/p' <<<"$body")
  [ "$status" = 200 ] && [ "$issuer" = "$public_url" ] || { say "smoke test: the discovery document ($status) names the issuer '$issuer', not PUBLIC_BASE_URL $public_url"; return 1; }
  say "smoke test: issuer $issuer"
  answer_of /__selftest
  case $status in
    200) if [ -n "$(not_ok)" ]; then say "smoke test: /__selftest 200, degraded: $(not_ok)"; else say "smoke test: /__selftest 200"; fi ;;
    404) say "smoke test: this version has no /__selftest" ;;
    *) say "smoke test: /__selftest answered $status ($(not_ok)): $body"; return 1 ;;
  esac
  operations_are_closed
}

# operations_are_closed: from here, as from anywhere outside, /operations is not to be had; an address of the allow-list is led to the sign-in.
operations_are_closed() {
  answer_of /operations
  case $status in
    403 | 404) say "smoke test: /operations $status, closed from here" ;;
    302 | 303) say "smoke test: /operations leads this address to the sign-in (infra/k8s/overlays/$environment/operations.yaml)" ;;
    *) say "smoke test: /operations answered $status to somebody who is not signed in"; return 1 ;;
  esac
}

# setting_of FILE NAME: a setting in rendered manifests.
setting_of() { sed -n "/^  $2: /{s/^  $2: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p;q}" "$1"; }

# is_stopped: does somebody hold the http pods at none (a restore does)?
is_stopped() { [ "$(kube get deployment gpt-functions-http --ignore-not-found -o 'jsonpath={.spec.replicas}')" = 0 ]; }

# start_pods FILE: what was stopped runs again, as many as the manifests' autoscaler begins with. Nobody else would do it: the manifests
# name no replicas for http, and its autoscaler leaves zero alone.
start_pods() {
  local minimum
  is_stopped || return 0
  minimum=$(sed -n '/^  minReplicas: */{s///p;q}' "$1")
  say "gpt-functions-http was stopped: starting ${minimum:-2} pods."
  kube scale deployment/gpt-functions-http "--replicas=${minimum:-2}"
}

# restore FILE: the manifests of a record, and waits for their pods, which are started when they were stopped.
restore() {
  kube apply -f "$1" && start_pods "$1" && wait_for_rollout
}

# confirm QUESTION: production needs its name typed; --yes and staging do not.
confirm() {
  local answer=''
  [ "$environment" = production ] && [ -z "${yes:-}" ] || return 0
  [ -t 0 ] || [ -n "${CONFIRM_FROM_STDIN:-}" ] || { problem "nobody can be asked here: add --yes."; stop_if_problems; }
  printf '%s Type the name of the environment to go on: ' "$1" >&2
  read -r answer || true
  [ "$answer" = "$environment" ] || { problem "'$answer' is not '$environment'."; stop_if_problems; }
}
