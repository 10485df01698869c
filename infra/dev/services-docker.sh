# shellcheck shell=bash disable=SC2154
# The services in containers (compose.yaml). Sourced by services.sh, which sets
# root, state and name. The marker $state/SERVICE.docker says that SERVICE is one.

compose() {
  local hash
  hash=$(printf %s "$root" | cksum | cut -d' ' -f1)
  GPT_POSTGRES_PORT=$(cat "$state/postgres.port" 2>/dev/null || echo 0) \
  GPT_RABBITMQ_PORT=$(cat "$state/rabbitmq.port" 2>/dev/null || echo 0) \
  GPT_PASSWORD=$(cat "$state/docker.password" 2>/dev/null || echo none) \
    docker compose -p "gptfunctions-$name-$hash" -f "$dev_dir/compose.yaml" "$@"
}

docker_up() { # SERVICE...
  local s
  [ -s "$state/docker.password" ] || (umask 077 && new_password >"$state/docker.password")
  for s in "$@"; do
    keep_port "$state/$s.port"
    : >"$state/$s.docker"
  done
  compose up -d --wait --wait-timeout 180 "$@" >&2 ||
    die "docker compose could not start$(printf ' %s' "$@"): see above, or set GPT_SERVICES=local to run without Docker."
}

docker_running() { docker_answers && compose ps --status running --services 2>/dev/null | grep -x "$1" >/dev/null; }
docker_stop() { docker_answers && compose stop "$1" >&2; }
docker_remove() {
  [ -e "$state/docker.password" ] && docker_answers || return 0
  compose down --volumes >&2
}
