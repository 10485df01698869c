#!/usr/bin/env bash
# Says whether the base images that the Dockerfile names (ARG ..._IMAGE) are the newest of their
# tags, by digest.
#
# usage: infra/container/base-images.sh [--pin | --issue]
#
#   --pin     write the newest digests into the Dockerfile: look at the change, build, commit
#   --issue   keep one issue on GitHub about it (gh): open it, bring it up to date, close it
#
# Needs docker with buildx. Exit codes: 0 all are the newest (or, with an option, it is done);
# 1 the registry or GitHub does not answer; 3 a newer one is there, or one has no digest.

set -euo pipefail
# shellcheck source=../dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"

mode=${1:-}
case $mode in
  '' | --pin | --issue) ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$mode': see infra/container/base-images.sh --help." ;;
esac
dockerfile="$root/infra/container/Dockerfile"
title='A base image is not the newest of its tag'
have docker || die "docker is not installed: it asks the registry."

# newest_of IMAGE:TAG: the digest that the tag has now.
newest_of() { docker buildx imagetools inspect "$1" | sed -n 's/^Digest: *\(sha256:[0-9a-f]\{64\}\)$/\1/p' | head -n 1; }

news=''
while IFS='=' read -r name image; do
  tag=${image%@*} pinned=''
  [ "$tag" = "$image" ] || pinned=${image#*@}
  newest=$(newest_of "$tag") && [ -n "$newest" ] || die "The registry does not say the digest of $tag."
  if [ "$newest" = "$pinned" ]; then
    say "$name: $tag is the newest."
    continue
  fi
  if [ -n "$pinned" ]; then named="names \`$pinned\`"; else named="names no digest, so each build takes what the tag is at the time"; fi
  news+="- \`$name\`: \`$tag\` is \`$newest\` now, and the Dockerfile $named."$'\n'
  [ "$mode" != --pin ] || sed -i "s|^ARG $name=.*|ARG $name=$tag@$newest|" "$dockerfile"
done < <(sed -n 's/^ARG \([A-Z]*_IMAGE=..*\)/\1/p' "$dockerfile")

printf '%s' "$news" >&2
if [ "$mode" = --issue ]; then
  number=$(gh issue list --state open --limit 200 --json number,title --jq ".[] | select(.title == \"$title\") | .number") ||
    die "GitHub does not list the issues."
  number=${number%%$'\n'*}
  body="$news"$'\n'"Security fixes come this way. \`infra/container/base-images.sh --pin\` writes it into \`infra/container/Dockerfile\`;"
  body+=" the image's own check refuses a Functions host that is too old."
  if [ -n "$news" ]; then
    if [ -n "$number" ]; then printf '%s\n' "$body" | gh issue edit "$number" --body-file -
    else printf '%s\n' "$body" | gh issue create --title "$title" --body-file -; fi
  elif [ -n "$number" ]; then gh issue close "$number" --comment 'All base images are the newest of their tags.'; fi
  exit
fi
[ -z "$news" ] || [ "$mode" = --pin ] || exit 3
