# shellcheck shell=bash disable=SC2034
# What the scripts of this directory share. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
local_dir="$root/.local"
dev_dir="$root/infra/dev"

# No build server stays behind: it would outlive Ctrl-C and hold pipes open.
export MSBUILDDISABLENODEREUSE=1

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# help_of SCRIPT: prints the comment at its top.
help_of() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"; }

have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }
can_install() { is_root && have apt-get; }

need_dotnet() { have dotnet || die "The .NET SDK is not on PATH: install the .NET 10 SDK (https://dot.net)."; }

# hidden URL: the address without its user and password.
hidden() { sed -E 's#//([^@/]*@)?#//#' <<<"$1"; }

# port_taken PORT: does something listen there on 127.0.0.1?
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# check_port COMMAND...: is PORT, when it is set, a number that a server and a browser can use?
# The ports are those that browsers refuse (the Fetch standard, "bad port").
check_port() {
  local port=${PORT:-7071} next
  [[ $port =~ ^[1-9][0-9]{0,4}$ ]] && [ "$port" -le 65535 ] || die "PORT is '$port': it takes a number from 1 to 65535."
  next=$((port + 1))
  case $port in
    1719 | 1720 | 1723 | 2049 | 3659 | 4045 | 4190 | 5060 | 5061 | 6000 | 6566 | 666[5-9] | 6679 | 6697 | 10080)
      [[ $port != 666[5-9] ]] || next=6670
      [ "$port" != 5060 ] || next=5062
      die "PORT is $port, which browsers refuse to open: choose another, for example PORT=$next $*." ;;
  esac
  [ "$port" -ge "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024)" ] || is_root ||
    die "PORT is $port, which only root may use: choose another, for example PORT=7071 $*."
}
# check_port_free COMMAND...: that, and does nobody listen there?
check_port_free() {
  check_port "$@"
  ! port_taken "${PORT:-7071}" || die "Port ${PORT:-7071} is taken: choose another, for example PORT=$((${PORT:-7071} + 1)) $*."
}

# scopes_of URL: those that the application knows, separated by spaces.
scopes_of() {
  curl -s -m 5 "$1/.well-known/oauth-authorization-server" | tr -d '\n' | sed -n 's/.*"scopes_supported" *: *\[\([^]]*\)\].*/\1/p' | tr -d '" ' | tr ',' ' '
}

# encode TEXT: percent-encoded.
encode() {
  local LC_ALL=C i c out=''
  for ((i = 0; i < ${#1}; i++)); do
    c=${1:i:1}
    case $c in [A-Za-z0-9._~-]) out+=$c ;; *) printf -v c '%%%02X' "'$c"; out+="%${c: -2}" ;; esac
  done
  printf '%s' "$out"
}

# free_port: a port below the range that outgoing connections use.
free_port() {
  local port tries=0
  while [ $((tries += 1)) -le 100 ]; do
    port=$((20000 + RANDOM % 12000))
    port_taken "$port" || { echo "$port"; return; }
  done
  die "No free port between 20000 and 32000 on 127.0.0.1: end some servers."
}

# wait_until SECONDS COMMAND...: polls until the command succeeds.
wait_until() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# start_time PID: tells a process from a later one with the same id.
start_time() {
  if [ -r "/proc/$1/stat" ]; then sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
  else ps -o lstart= -p "$1" 2>/dev/null; fi
}

# seconds_since T0: T0 comes from now; prints for example 4.2.
now() { date +%s%N | sed 's/N$/000000000/'; }
seconds_since() { local ms=$((($(now) - $1) / 1000000)); printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100)); }

# build_needed STAMP PROJECT...: did a source change since the stamp was made?
build_needed() {
  local stamp=$1; shift
  [ -f "$stamp" ] || return 0
  [ -n "$(find "${@/#/$root/}" "$root"/*.props "$root"/*.targets "$root"/*.json "$root"/*.config \
    \( -name bin -o -name obj -o -name node_modules \) -prune -o -newer "$stamp" -print 2>/dev/null | head -n 1)" ]
}

# docker_answers: is there an engine and the compose command? Asked once, at most 5 s each.
docker_answers() {
  [ "${GPT_SERVICES:-}" != local ] || return 1
  if [ -z "${docker_state:-}" ]; then
    docker_state=no
    if have docker && timeout 5 docker info >/dev/null 2>&1; then
      if timeout 5 docker compose version >/dev/null 2>&1; then docker_state=yes
      else say "A Docker engine answers, but the client has no 'docker compose': not using it."; fi
    fi
  fi
  [ "$docker_state" = yes ]
}

# apt_install PACKAGE...: no questions, and no service started by the installation
# (the project starts its own); the output goes to .local/apt.log.
apt_install() (
  policy=/usr/sbin/policy-rc.d made=
  mkdir -p "$local_dir"
  say "Installing $* with apt-get (a minute or two) ..."
  trap '[ -z "$made" ] || rm -f "$policy"' EXIT
  if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  get() { apt-get -o DPkg::Lock::Timeout=300 "$@" >>"$local_dir/apt.log" 2>&1; }
  get update || say "apt-get update failed; trying with the package lists at hand."
  get install -y --no-install-recommends "$@"
)
