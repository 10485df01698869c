#!/usr/bin/env bash
# Renders the promises (slo.yaml) as Prometheus rules, and checks all rules with promtool.
#
# usage: infra/observability/render.sh [--check]
#
# Writes infra/observability/slo-rules.yaml; with --check it only compares. Then promtool reads
# alerts.yaml and slo-rules.yaml and runs the rules' own tests (rules.test.yaml). Where there is no
# promtool it is taken out of Debian's or Ubuntu's package prometheus, into .local/promtool:
# nothing is installed, and nothing is started.
# Settings (environment): PROMTOOL  the program to use

set -euo pipefail
# shellcheck source=../dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"

check=''
case ${1:-} in
  '') ;;
  --check) check=yes ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/observability/render.sh --help." ;;
esac

cd "$root/infra/observability"
rendered=$(LC_ALL=C awk -f render.awk slo.yaml)
if [ -z "$check" ]; then printf '%s\n' "$rendered" >slo-rules.yaml
elif [ "$rendered" != "$(cat slo-rules.yaml)" ]; then die "slo-rules.yaml is not what slo.yaml says: run infra/observability/render.sh."; fi

# unpack_promtool: the program out of the package, without installing it.
unpack_promtool() {
  local folder="$local_dir/promtool.unpacked"
  have apt-get && have dpkg || return 1
  rm -rf "$folder" && mkdir -p "$folder"
  say "Taking promtool out of the package prometheus ..."
  (cd "$folder" && { apt-get download prometheus || { can_install && apt-get update && apt-get download prometheus; }; } >>"$local_dir/apt.log" 2>&1 &&
    dpkg -x ./*.deb . && mv usr/bin/promtool "$local_dir/promtool") || return 1
  rm -rf "$folder"
}

mkdir -p "$local_dir"
promtool=${PROMTOOL:-$(command -v promtool || echo "$local_dir/promtool")}
[ -x "$promtool" ] || { [ -z "${PROMTOOL:-}" ] && unpack_promtool; } ||
  die "promtool is missing: install it (Debian, Ubuntu: apt-get install prometheus), or set PROMTOOL."
"$promtool" check rules alerts.yaml slo-rules.yaml
"$promtool" test rules rules.test.yaml
