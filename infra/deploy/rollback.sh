#!/usr/bin/env bash
# Brings back what ran before the last deployment: image, settings and routes of then.
#
# usage: infra/deploy/rollback.sh --environment staging|production [--to before|current]
#                                 [--yes] [--dry-run]
#
#   --to before    what ran before the last good deployment (default)
#   --to current   the last good deployment itself, after an interrupted or failed one
#   --yes          do not ask before production
#   --dry-run      say what would be brought back, and change nothing
#
# The database is not taken back: an older program runs on a newer schema. Settings
# (KUBE_CONTEXT, ROLLOUT_TIMEOUT, SMOKE_TIMEOUT) and exit codes: see deploy.sh; 4 is
# "failed, and somebody has to look".

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

environment='' to=before yes='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) help_of "$0"; exit ;;
    --environment) set_environment "${2:-}"; shift 2 ;;
    --to) to=${2:-}; shift; [ $# = 0 ] || shift ;;
    --yes) yes=1; shift ;;
    --dry-run) dry_run=1; shift ;;
    *) wrong_usage "Unknown argument '$1'." ;;
  esac
done
[ -n "$environment" ] || wrong_usage "--environment is missing."
case $to in before) from=$record_before ;; current) from=$record ;; *) wrong_usage "--to is before or current." ;; esac
t0=$(now)
mkdir -p "$work"

have curl || problem "curl is not installed: the smoke test needs it."
check_cluster
read_record "$from" "$work/rollback.yaml" ||
  { problem "nothing is recorded in ConfigMap $from of $namespace: deploy the image you want with infra/deploy/deploy.sh, from the checkout it was built from."; stop_if_problems; }
image=$(record_field "$from" image) commit=$(record_field "$from" commit) since=$(record_field "$from" when)
public_url=$(setting_of "$work/rollback.yaml" PUBLIC_BASE_URL)
kube apply -f "$work/rollback.yaml" --dry-run=server >/dev/null || { problem "the cluster would not accept the recorded manifests: see above."; stop_if_problems; }

say "environment  $environment: $public_url (namespace $namespace, context $KUBE_CONTEXT)"
say "runs now     $(running_image)$(if is_stopped; then printf ', stopped (0 replicas): it will be started'; fi)"
say "bring back   $image, deployed $since from commit $commit"
if [ -n "$dry_run" ]; then say "Nothing was changed (--dry-run)."; exit; fi
confirm "Roll back $environment?"

restore "$work/rollback.yaml" || { say "FAILED: it does not come up. infra/runbook.md, \"When something is wrong\"."; exit "$broken"; }
smoke_test || { say "FAILED: it is up, and does not work. infra/runbook.md, \"When something is wrong\"."; exit "$broken"; }
write_record "$record" "$work/rollback.yaml" "$image" "$commit" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
# There is nothing further back; going "back" to what was just left would be a surprise.
[ "$to" = current ] || kube delete configmap "$record_before" --ignore-not-found >/dev/null
say "Rolled back: $image runs in $environment again, in $(seconds_since "$t0") s. The database keeps its schema."
