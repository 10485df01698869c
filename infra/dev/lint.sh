#!/usr/bin/env bash
# Checks the formatting of the C# code, the length of its lines and, if shellcheck is installed,
# the scripts.
#
# usage: infra/dev/lint.sh
#
# Changes nothing; dotnet format Functions.sln repairs what it finds in C#.

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '') ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/dev/lint.sh --help." ;;
esac

need_dotnet
cd "$root"
code=0

if have shellcheck; then
  scripts=(.ci/run)
  while IFS= read -r script; do scripts+=("$script"); done < <(find infra -name '*.sh' -not -path '*/node_modules/*' | sort)
  if shellcheck "${scripts[@]}"; then say "shellcheck: ${#scripts[@]} scripts, nothing to say."; else code=1; fi
else
  say "shellcheck is not installed: the scripts are not checked (Debian, Ubuntu: apt-get install shellcheck)."
fi

# The length that .editorconfig sets.
longest=$(sed -n 's/^max_line_length = //p' .editorconfig)
if git ls-files -z --cached --others --exclude-standard '*.cs' | xargs -0 awk -v longest="$longest" '
  length > longest { printf "%s:%d: %d characters\n", FILENAME, FNR, length; found = 1 } END { exit found }'; then
  say "Lines: none is longer than $longest characters."
else code=1; say "Lines end before column $((longest + 1)): break those above where a reader would."; fi

t0=$(now)
if dotnet format Functions.sln --verify-no-changes; then say "dotnet format: nothing to change ($(seconds_since "$t0") s)."
else code=1; say "The C# code is not formatted: run dotnet format Functions.sln."; fi
exit "$code"
