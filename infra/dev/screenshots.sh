#!/usr/bin/env bash
# Takes the README's pictures of the pages from a running instance (OPERATORS=operator@example.com make run), and those of a company's
# pages from the tests' pictures (make test FILTER=FullyQualifiedName~BrandBrowserTests).
#
# usage: infra/dev/screenshots.sh
#
# Settings (environment):
#   BASE_URL=http://127.0.0.1:7071   the instance
#   CHROMIUM=...                     the browser; else the one that is installed
# Writes infra/screenshots/*.png, small enough for a repository (below 96 KB each).

set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
  '') ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/dev/screenshots.sh --help." ;;
esac

base_url=${BASE_URL:-http://127.0.0.1:${PORT:-7071}}
clients="$root/GptFunctions.Tests/Clients"
credentials="$local_dir/demo-client.env"

have node && have npm || die "Node.js 18 or newer with npm is missing (Debian, Ubuntu: apt-get install nodejs npm)."
curl -fsS -o /dev/null --max-time 5 "$base_url/ready" 2>/dev/null || die "Nothing answers at $base_url: run 'make run' first, or name the instance in BASE_URL."
[ -f "$credentials" ] || die "There is no $credentials: 'make run' writes it."
# shellcheck source=/dev/null
. "$credentials"

if ! cmp -s "$clients/package-lock.json" "$clients/node_modules/.installed-lock.json"; then
  (cd "$clients" && npm ci --no-audit --no-fund --loglevel error) || die "npm ci failed in $clients: see above."
  cp "$clients/package-lock.json" "$clients/node_modules/.installed-lock.json"
fi

mkdir -p "$root/infra/screenshots"
GPT_CLIENT_SECRET=$GPT_CLIENT_SECRET node "$clients/screenshots.mjs" "$base_url" "$root/infra/screenshots" "$GPT_CLIENT_ID" "$GPT_REDIRECT_URI"
for picture in brand-consent-0-phone-light brand-consent-1-phone-light brand-error-phone-light front-phone-light; do
  [ -f "$local_dir/test-screenshots/$picture.png" ] || die "There is no .local/test-screenshots/$picture.png: make test FILTER=FullyQualifiedName~BrandBrowserTests takes it."
  cp "$local_dir/test-screenshots/$picture.png" "$root/infra/screenshots/"
done
for picture in "$root"/infra/screenshots/*.png; do
  size=$(wc -c <"$picture")
  [ "$size" -lt 98304 ] || die "$picture has $size bytes: more than the 96 KB that a repository should carry."
done
say "Pictures of $base_url are in infra/screenshots."
