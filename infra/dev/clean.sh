#!/usr/bin/env bash
# Stops what runs of this checkout, removes its data and the build output.
#
# usage: infra/dev/clean.sh
#
# Removes .local (the private servers' data, logs, test results; also containers and
# volumes of docker compose) and the bin and obj directories of the projects.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '') ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/dev/clean.sh --help." ;;
esac

"$dev_dir/run.sh" stop
for directory in "$local_dir"/services/*/; do
  [ -d "$directory" ] || continue
  "$dev_dir/services.sh" clean --name "$(basename "$directory")"
done
rm -rf "$local_dir"
find "$root" -name node_modules -prune -o -name '*.csproj' -print | while IFS= read -r project; do
  project=$(dirname "$project")
  rm -rf "${project:?}/bin" "${project:?}/obj"
done
say "Clean."
