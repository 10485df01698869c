# shellcheck shell=bash disable=SC2154,SC2164
# The private RabbitMQ node. Sourced by services-private.sh.
#
# It has its own name server (epmd) and its own Erlang cookie, so it neither meets
# nor disturbs a RabbitMQ of the system; everything listens on 127.0.0.1 only.

rabbitmq_package() { echo rabbitmq-server; }

# The wrapper in Debian's PATH insists on the system's user and directories.
rabbitmq_program() {
  if [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then echo /usr/lib/rabbitmq/bin/rabbitmq-server
  else command -v rabbitmq-server; fi
}
rabbitmq_found() { rabbitmq_program >/dev/null && have epmd; }

# A node that was started before the checkout moved has files open at the old place:
# it does not count as running, so that up starts it again.
rabbitmq_pid() {
  local pid
  pid=$(rabbitmq_process pid) && grep -qzxF "RABBITMQ_MNESIA_BASE=$(home_of rabbitmq)/mnesia" "/proc/$pid/environ" && echo "$pid"
}
rabbitmq_process() {
  local pid home="$state/rabbitmq"
  pid=$(cat "$home/$1" 2>/dev/null) && our_process "$pid" "$home" && echo "$pid"
}

# The answer to an AMQP header begins with a method frame (1).
rabbitmq_answers() {
  local first
  first=$({
    exec 3<>"/dev/tcp/127.0.0.1/$(cat "$state/rabbitmq.port")" || exit
    printf 'AMQP\0\0\11\1' >&3
    timeout 2 head -c 1 <&3 | od -An -tx1
  } 2>/dev/null) || return 1
  [ "$first" = " 01" ]
}

rabbitmq_ready() {
  local end=$((SECONDS + 90))
  until rabbitmq_answers; do
    if ! rabbitmq_pid >/dev/null && ! rabbitmq_process wrapper.pid >/dev/null; then return 1; fi
    [ "$SECONDS" -lt "$end" ] || die "RabbitMQ does not answer: see $state/rabbitmq/log."
    sleep 0.1
  done
}

# rabbitmq_launch PIDFILE COMMAND...: in the background, in a session of its own; the
# current directory is the home. Its output is never ours: a caller may wait for its end.
rabbitmq_launch() {
  local file=$1 as; shift
  rm -f "$file"
  become "$user"
  # shellcheck disable=SC2016 # expanded by the inner shell
  (exec "${as[@]}" setsid sh -c 'echo $$ >"$1" && shift && exec "$@"' sh "$file" "$@") </dev/null >>server.log 2>&1 &
  wait_until 10 test -s "$file" || die "$1 did not start: see $home/server.log."
}

rabbitmq_up() {
  local home user tries=0 epmd_port
  make_home rabbitmq rabbitmq
  cd "$home"
  [ -s password ] || (umask 077 && new_password >password && chown "$user" password)
  rabbitmq_stop quietly
  while :; do
    keep_port "$state/rabbitmq.port"
    keep_port "$state/rabbitmq.dist-port"
    keep_port "$state/rabbitmq.epmd-port"
    epmd_port=$(cat "$state/rabbitmq.epmd-port")
    (umask 077 && cat >rabbitmq.conf <<CONF && chown "$user" rabbitmq.conf
listeners.tcp.1 = 127.0.0.1:$(cat "$state/rabbitmq.port")
default_user = gptfunctions
default_pass = $(cat password)
disk_free_limit.absolute = 50MB
CONF
    )
    echo '[].' >enabled_plugins
    : >rabbitmq-env.conf
    chown "$user" enabled_plugins
    export HOME="$home" ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1
    rabbitmq_launch epmd.pid epmd -port "$epmd_port" -address 127.0.0.1
    wait_until 5 port_taken "$epmd_port" || say "epmd does not answer on port $epmd_port."
    rm -f pid
    rabbitmq_launch wrapper.pid env \
      RABBITMQ_NODENAME=gptfunctions@localhost \
      RABBITMQ_DIST_PORT="$(cat "$state/rabbitmq.dist-port")" \
      RABBITMQ_MNESIA_BASE="$home/mnesia" \
      RABBITMQ_LOG_BASE="$home/log" \
      RABBITMQ_PID_FILE="$home/pid" \
      RABBITMQ_CONFIG_FILE="$home/rabbitmq.conf" \
      RABBITMQ_ADVANCED_CONFIG_FILE="$home/advanced.config" \
      RABBITMQ_CONF_ENV_FILE="$home/rabbitmq-env.conf" \
      RABBITMQ_ENABLED_PLUGINS_FILE="$home/enabled_plugins" \
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none" \
      "$(rabbitmq_program)"
    rabbitmq_ready && return
    [ $((tries += 1)) -lt 3 ] || { tail -15 server.log >&2; die "RabbitMQ did not start: see above ($home/server.log and log/)."; }
    rabbitmq_stop quietly
    free_port >"$state/rabbitmq.port"
    free_port >"$state/rabbitmq.dist-port"
    free_port >"$state/rabbitmq.epmd-port"
  done
}

rabbitmq_stop() {
  local pid file stopped=''
  for file in pid wrapper.pid epmd.pid; do
    pid=$(rabbitmq_process "$file") || continue
    end_process "$pid" TERM 30
    stopped=yes
  done
  # When its epmd dies, a node starts another one, which no pid file knows.
  for file in /proc/[0-9]*/comm; do
    pid=${file%/comm}
    if [ "$(cat "$file" 2>/dev/null)" = epmd ] && grep -qzxF "HOME=$(home_of rabbitmq)" "$pid/environ" 2>/dev/null; then
      end_process "${pid#/proc/}" TERM 5
    fi
  done
  if [ -n "$stopped" ] && [ "${1:-}" != quietly ]; then say "RabbitMQ: stopped."; fi
}
