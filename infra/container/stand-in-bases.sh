#!/usr/bin/env bash
# Makes the files of two base images from this machine: what a shell, its tools and .NET need,
# found by their shared libraries. For check.sh; no image for anybody to run.
#
# usage: infra/container/stand-in-bases.sh DIRECTORY
#
# DIRECTORY/sdk: the .NET SDK, with a NuGet.Config whose only source is /packages.
# DIRECTORY/host: the .NET runtimes, and in the place of the Functions host a script of that name
# which becomes the program: what the Dockerfile asks of its base is there, the host is not.

set -euo pipefail
# shellcheck source=../dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"

case ${1:-} in
  --help | -h) help_of "$0"; exit ;;
  '' | -*) die "DIRECTORY is missing: see infra/container/stand-in-bases.sh --help." ;;
esac
directory=$1
dotnet_root=$(dirname "$(readlink -f "$(command -v dotnet)")")

# take FILE TARGET: with the links on its way, as it is.
take() { [ ! -e "$1" ] || (cd / && tar -chf - "${1#/}" 2>/dev/null) | tar -xf - -C "$2"; }

# libraries FILE...: the shared libraries that these programs and libraries load.
libraries() { ldd "$@" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | sort -u; }

# root TARGET: a directory tree with a shell, the tools that the Dockerfile and a look need, and what .NET loads.
root_of() {
  local target=$1 name tools=()
  mkdir -p "$target"/{tmp,root,home,etc,proc,sys,dev,var/tmp,usr/{bin,sbin,lib,lib64,share}}
  chmod 1777 "$target/tmp" "$target/var/tmp"
  for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then ln -s "usr/$name" "$target/$name"; else mkdir -p "$target/$name"; fi
  done
  for name in sh bash env cat ls cp mv rm mkdir chown chmod ln sed grep head tail test true sleep kill id uname dirname basename readlink; do
    name=$(type -P "$name") && tools+=("$name")
  done
  for name in "${tools[@]}" $(libraries "${tools[@]}" "$dotnet_root/dotnet" "$dotnet_root"/shared/*/*/*.so) \
    /usr/lib/x86_64-linux-gnu/lib{icuuc,icui18n,icudata,ssl,crypto,gssapi_krb5,z,stdc++,gcc_s}.so.* \
    /lib/x86_64-linux-gnu/{libnss_files,libnss_dns,libresolv,libz,libgcc_s}.so.*; do
    [ ! -e "$name" ] || take "$name" "$target"
  done
  for name in $(libraries /usr/lib/x86_64-linux-gnu/lib{icui18n,ssl,gssapi_krb5}.so.*); do take "$name" "$target"; done
  for name in /etc/ssl/certs /etc/ssl/openssl.cnf /usr/lib/ssl /usr/share/zoneinfo/UTC /usr/share/zoneinfo/Etc /etc/nsswitch.conf; do
    take "$name" "$target"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$target/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$target/etc/group"
  ln -s /usr/share/dotnet/dotnet "$target/usr/bin/dotnet"
}

root_of "$directory/host"
cp -a "$directory/host" "$directory/sdk"

mkdir -p "$directory/sdk/usr/share/dotnet" "$directory/sdk/root/.nuget/NuGet"
cp -a "$dotnet_root/." "$directory/sdk/usr/share/dotnet/"
cat >"$directory/sdk/root/.nuget/NuGet/NuGet.Config" <<'XML'
<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <packageSources>
    <clear />
    <add key="packages" value="/packages" />
  </packageSources>
</configuration>
XML

mkdir -p "$directory/host/usr/share/dotnet" "$directory/host/azure-functions-host"
cp -a "$dotnet_root/dotnet" "$dotnet_root/host" "$dotnet_root/shared" "$directory/host/usr/share/dotnet/"
host="$directory/host/azure-functions-host/Microsoft.Azure.WebJobs.Script.WebHost"
printf '{ "libraries": { "Microsoft.Azure.WebJobs.Script.WebHost/4.1044.0": {} } }\n' >"$host.deps.json"
# shellcheck disable=SC2016 # for the image's shell
printf '#!/bin/sh\n# A stand-in: becomes the program, so that signals reach it.\nexec dotnet "$AzureWebJobsScriptRoot/GptFunctions.dll" "$@"\n' >"$host"
chmod 755 "$host"
