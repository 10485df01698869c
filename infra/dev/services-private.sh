# shellcheck shell=bash disable=SC2154
# Private servers: where they live and as whom they run. Sourced by services.sh,
# which sets root, state and name.
#
# A service's files are in its home: $state/SERVICE, or, when the user that has to
# run it cannot work there (in a checkout below /root for example), a directory under
# /tmp that $state/SERVICE links to.
# shellcheck source=services-postgres.sh
. "$dev_dir/services-postgres.sh"
# shellcheck source=services-rabbitmq.sh
. "$dev_dir/services-rabbitmq.sh"

# become USER: sets as, the words to put before a command that USER shall run.
become() {
  as=()
  if is_root && [ "$1" != root ]; then as=(setpriv --reuid "$1" --regid "$(id -g "$1")" --init-groups --); fi
}
as_user() { local as; become "$1"; shift; "${as[@]}" "$@"; } # USER COMMAND...

new_password() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# keep_port FILE: the remembered port unless something else has taken it.
keep_port() {
  if [ -s "$1" ] && ! port_taken "$(cat "$1")"; then return; fi
  free_port >"$1.new" && mv "$1.new" "$1"
}

# home_of SERVICE: prints its home, fails when it has none of its own. The link in a
# moved checkout is still good; the one in a copied checkout is the original's.
home_of() {
  local inside="$state/$1" outside owner
  if [ -L "$inside" ]; then
    outside=$(readlink "$inside")
    owner=$(cat "${outside%/*}/repository" 2>/dev/null) && [ -O "${outside%/*}" ] || return 1
    if [ "$owner" != "$root" ]; then
      [ ! -e "$owner/infra/dev/services.sh" ] || return 1
      printf '%s\n' "$root" >"${outside%/*}/repository"
    fi
    [ -d "$outside" ] && printf '%s\n' "$outside"
  else
    [ -d "$inside" ] && printf '%s\n' "$inside"
  fi
}

# RabbitMQ does not start in a directory with a quote in its name.
usable() { [[ $home != *[\'\"\\]* ]] && as_user "$user" test -w "$home"; }

# make_home SERVICE USER: sets home and user (USER only counts for root).
make_home() {
  local service=$1 inside="$state/$1" outside base suffix
  if home=$(home_of "$service"); then
    user=$(stat -c %U "$home")
    is_root || [ "$user" = "$(id -un)" ] || die "$home belongs to $user: run as $user, or remove it."
    if usable; then return; fi
  else
    user=$(id -un)
    if is_root && id "$2" >/dev/null 2>&1; then user=$2; fi
    rm -f "$inside"
    home=$inside
    mkdir -m 700 "$home"
    if is_root; then chown "$user:" "$home"; fi
    if usable; then return; fi
  fi

  base="/tmp/gptfunctions-$(printf %s "$root" | cksum | cut -d' ' -f1)-$name"
  for suffix in '' -2 -3 -4; do
    outside="$base$suffix"
    if mkdir -m 711 "$outside" 2>/dev/null; then break; fi
    [ -O "$outside" ] && [ ! -L "$outside" ] && [ "$(cat "$outside/repository" 2>/dev/null)" = "$root" ] && break
    outside=''
  done
  [ -n "$outside" ] || die "$base belongs to something else: remove it."
  printf '%s\n' "$root" >"$outside/repository"
  if [ -d "$outside/$service" ]; then rmdir "$inside" 2>/dev/null || rm -rf "$inside"
  else mv "$inside" "$outside/$service"; fi
  ln -sfn "$outside/$service" "$inside"
  home="$outside/$service"
  usable || die "The user $user cannot write $home: set DATABASE_URL and RABBITMQ_URL instead."
  say "The user $user cannot work in $state: $service lives in $home."
}

# our_process PID DIRECTORY: does the process run in the directory? Ours do, so this
# sees through stale pid files and reused process ids.
our_process() {
  [ -n "$1" ] && [ -d "/proc/$1" ] && [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$(cd -P "$2" && pwd)" ]
}

# end_process PID SIGNAL SECONDS: then, if it is still there, SIGKILL.
gone() { ! kill -0 "$1" 2>/dev/null; }
end_process() {
  kill "-$2" "$1" 2>/dev/null || return 0
  wait_until "$3" gone "$1" && return 0
  say "Process $1 did not end within $3 s: killing it."
  kill -KILL "$1" 2>/dev/null || true
  wait_until 5 gone "$1"
}

private_install() { # SERVICE...
  local s packages=()
  [ -d /proc/self ] || die "Private servers need Linux: start Docker, or set DATABASE_URL and RABBITMQ_URL."
  for s in "$@"; do "${s}_found" || packages+=("$("${s}_package")"); done
  [ ${#packages[@]} -gt 0 ] || return 0
  can_install || die "Missing ${packages[*]}: install it (Debian, Ubuntu: sudo apt-get install ${packages[*]}), start Docker, or set DATABASE_URL and RABBITMQ_URL."
  apt_install "${packages[@]}" || die "apt-get could not install ${packages[*]}: see .local/apt.log."
  for s in "$@"; do "${s}_found" || die "The package $("${s}_package") of this system is too old: set $(variable "$s"), or start Docker."; done
}

private_up() { "${1}_up"; }
private_ready() { "${1}_ready"; }
private_running() { home_of "$1" >/dev/null && "${1}_pid" >/dev/null; }
private_stop() { ! home_of "$1" >/dev/null || "${1}_stop"; }

private_remove() {
  local s outside
  for s in postgres rabbitmq; do
    if [ -L "$state/$s" ] && outside=$(home_of "$s"); then
      rm -rf "$outside"
      rm -f "${outside%/*}/repository"
      rmdir "${outside%/*}" 2>/dev/null || printf '%s\n' "$root" >"${outside%/*}/repository"
    fi
  done
}
