#!/usr/bin/env bash
# Builds the image without a registry and without an engine that runs all the time, so that every
# line of the Dockerfile has run, looks into it, and starts it as a pod would.
#
# usage: infra/container/check.sh [--keep]
#
#   --keep   leave the image and the stand-ins in .local/image (about 3 GB)
#
# The base images are stand-ins made of this machine (stand-in-bases.sh): its .NET SDK, and its
# runtime with a Functions host that only starts the program. Where the worker packages can be
# restored, the program is built with them, as in CI; where not, with the source stand-ins: then
# that one property of the Dockerfile's commands is another, and it says so.
# Needs Linux on x64, root and buildah (Debian, Ubuntu: installed when it is missing); without
# them it says why and does nothing. Exit codes: 0 good, or skipped; 1 not.

set -euo pipefail
# shellcheck source=../dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"

keep=''
case ${1:-} in
  '') ;;
  --keep) keep=1 ;;
  --help | -h) help_of "$0"; exit ;;
  *) die "Unknown argument '$1': see infra/container/check.sh --help." ;;
esac
skip() { say "skipped: $1"; exit; }
need_dotnet
[ "$(uname -sm)" = "Linux x86_64" ] || skip "the image is for Linux on x64, and this is $(uname -sm)."
is_root || skip "it needs root, which makes the images' files belong to root: sudo -E env PATH=\"\$PATH\" make image-check."
have buildah || { can_install && apt_install buildah && have buildah; } || skip "buildah is not installed and cannot be: see .local/apt.log."

work="$local_dir/image"
image=localhost/gpt-functions:check
t0=$(now)
cd "$root"
running='' pid=''

# Everything in one directory, nothing of the machine's own; chroot and the host's network, because nothing else works inside a container.
engine() {
  local command=$1; shift
  buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" --registries-conf "$work/registries.conf" "$command" "$@"
}
cleanup() {
  local code=$?
  trap - EXIT
  [ -z "$running" ] || kill ${pid:+"$pid"} "$running" 2>/dev/null || true
  if [ -z "$keep" ]; then
    engine umount --all >/dev/null 2>&1 || true
    rm -rf "$work"
  fi
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$work"
mkdir -p "$work"
printf 'unqualified-search-registries = []\n' >"$work/registries.conf"
printf '{ "default": [{ "type": "insecureAcceptAnything" }] }\n' >"$work/policy.json"

# The packages, once, from this machine's sources into a folder that is the build's only source.
worker=package
restore() {
  dotnet restore GptFunctions/GptFunctions.csproj -r linux-x64 "-p:FunctionsWorker=$1" -p:PublishReadyToRun=true --artifacts-path "$work/restore" \
    --packages "$work/packages" -v quiet >"$work/restore.log" 2>&1
}
if ! restore package; then
  worker=standin
  restore standin || { cat "$work/restore.log" >&2; die "The packages cannot be restored: see above."; }
fi
rm -rf "$work/restore"
cp infra/container/Dockerfile "$work/Dockerfile"
if [ "$worker" = standin ]; then
  sed -i 's/-p:FunctionsWorker=package/-p:FunctionsWorker=standin/' "$work/Dockerfile"
  say "The worker packages are not in this machine's package sources: the Dockerfile's commands run with -p:FunctionsWorker=standin, all else as it stands."
fi

infra/container/stand-in-bases.sh "$work"
for base in sdk host; do
  container=$(engine from --signature-policy "$work/policy.json" scratch)
  engine add --quiet "$container" "$work/$base" / >/dev/null
  [ "$base" = host ] || engine add --quiet "$container" "$work/packages" /packages >/dev/null
  engine config --env PATH=/usr/share/dotnet:/usr/sbin:/usr/bin:/sbin:/bin --env DOTNET_NOLOGO=1 --env DOTNET_CLI_TELEMETRY_OPTOUT=1 "$container"
  engine commit --quiet --signature-policy "$work/policy.json" --rm "$container" "localhost/stand-in-$base" >/dev/null
  rm -rf "${work:?}/$base"
done
rm -rf "$work/packages"
say "Stand-in base images: sdk and host ($(seconds_since "$t0") s)."

t0=$(now)
engine bud --isolation chroot --layers=false --pull-never --signature-policy "$work/policy.json" --file "$work/Dockerfile" \
  --ignorefile infra/container/Dockerfile.dockerignore --build-arg SDK_IMAGE=localhost/stand-in-sdk --build-arg HOST_IMAGE=localhost/stand-in-host \
  --build-arg VERSION=1.2.3 --label org.opencontainers.image.revision=check --tag "$image" . >"$work/build.log" 2>&1 ||
  { tail -n 60 "$work/build.log" >&2; die "The Dockerfile does not build: see above."; }
say "Built: $(grep -c ' STEP ' "$work/build.log") steps ($(seconds_since "$t0") s)."

# What is in it.
has() {
  local found
  found=$(engine inspect --type image --format "$1" "$image")
  [ "$found" = "$2" ] || die "The image's $1 is '$found', not '$2'."
}
has '{{.OCIv1.Config.User}}' 10001:10001
has '{{.OCIv1.Config.Entrypoint}}' '[/azure-functions-host/Microsoft.Azure.WebJobs.Script.WebHost]'
has '{{.OCIv1.Config.Cmd}}' '[]'
has '{{.OCIv1.Config.ExposedPorts}}' 'map[8080/tcp:{}]'
has '{{index .OCIv1.Config.Labels "org.opencontainers.image.revision"}}' check
container=$(engine from --pull-never --signature-policy "$work/policy.json" "$image")
files=$(engine mount "$container")
app="$files/home/site/wwwroot"
for file in GptFunctions.dll GptFunctions.runtimeconfig.json host.json; do [ -s "$app/$file" ] || die "The image lacks /home/site/wwwroot/$file."; done
for file in local.settings.json .local src; do [ ! -e "$app/$file" ] || die "The image has /home/site/wwwroot/$file."; done
[ ! -e "$files/src" ] && [ ! -e "$files/packages" ] || die "The image has files of the build stage."
[ -z "$(find "$app" '(' -not -user root -or -perm /o+w ')' -not -type l -print -quit)" ] || die "Somebody else than root may write to /home/site/wwwroot."
[ "$(stat -c '%u:%g' "$files/azure-functions-host/Secrets")" = 10001:10001 ] || die "/azure-functions-host/Secrets does not belong to 10001."
say "Looked into it: user, entrypoint, port, label, $(find "$app" -type f | wc -l) files ($(du -sm "$app" | cut -f1) MB), nothing of the build."

# run COMMAND...: as the pod's user, with the image's environment.
run() { engine run --isolation chroot --user 10001:10001 "$container" -- "$@"; }
run dotnet /home/site/wwwroot/GptFunctions.dll setup --help >"$work/setup.log" 2>&1 || { cat "$work/setup.log" >&2; die "setup does not start in the image."; }
say "As 10001: setup starts."

port=$(free_port)
engine run --isolation chroot --user 10001:10001 --workingdir /tmp --env AZURE_FUNCTIONS_ENVIRONMENT=Development \
  --env DATABASE_URL=postgresql://127.0.0.1:1/none --env "PORT=$port" --env HOST=standalone "$container" -- /azure-functions-host/Microsoft.Azure.WebJobs.Script.WebHost >"$work/start.log" 2>&1 &
running=$!
answers() { curl -sf -m 2 "http://127.0.0.1:$port/health" >"$work/health" || ! kill -0 "$running" 2>/dev/null; }
wait_until 60 answers && [ -s "$work/health" ] || { cat "$work/start.log" >&2; die "The entrypoint does not answer at /health."; }
version=$(curl -sf -m 2 "http://127.0.0.1:$port/healthz" | sed -n 's/.*"version":"\([^"]*\)".*/\1/p')
[ "${version%%[+-]*}" = 1.2.3 ] || die "The program says that it is version '$version', and was built as 1.2.3."
# The process that the entrypoint became: buildah has no child but it and the shell of the chroot.
pid=$(pgrep -f "^dotnet /home/site/wwwroot/GptFunctions.dll" |
  while read -r pid; do ! tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "PORT=$port" || echo "$pid"; done)
[ -n "$pid" ] && [ "$(stat -c %u "/proc/$pid")" = 10001 ] || die "The program does not run as 10001."
kill -TERM "$pid"
wait "$running" || die "After SIGTERM the entrypoint ended with $?, not 0."
running=''
say "As 10001: the entrypoint started version $version, answered at /health, and ended with 0 after SIGTERM."
case $worker in package) with='the worker packages' ;; *) with='source stand-ins of the worker packages' ;; esac
say "The image is good${keep:+ ($image in $work/storage)}: every line of infra/container/Dockerfile has run, with stand-in base images and $with."
