# shellcheck shell=bash disable=SC2016,SC2154
# How azure-up.sh asks, does and plans. Sourced, never run.
#
# A step is two functions: there_NAME tells whether it is done, by questions alone, and make_NAME does it. A step that is done is left alone, and
# one that was made is asked for again. So a second run changes nothing, and one that was interrupted goes on.
# With --plan nothing runs: each command is printed as one would type it, ? before a question, + before a change.

# words COMMAND...: as one would type it.
words() {
  local word text=''
  for word in "$@"; do
    case $word in
      '' | *[!A-Za-z0-9_./:=@%+,^~-]*)
        if [[ "$word" = *[\'\$]* && "$word" != *[\"\`\\]* ]] && [[ "$word" != *\$* || "$word" = *\$[A-Z]* ]]; then word="\"$word\""
        else word="'${word//\'/\'\\\'\'}'"; fi ;;
    esac
    text+=" $word"
  done
  printf '%s\n' "${text# }"
}

# Standard output is the plan's, also inside $( ).
exec 3>&1

# asks COMMAND...: a question, whose answer goes to standard output. "Is not there" is an answer, so errors are not shown.
asks() {
  if [ -n "$plan" ]; then printf '?  %s\n' "$(words "$@")" >&3; else "$@" 2>/dev/null </dev/null; fi
}
holds() { asks "$@" >/dev/null; }
# is TEXT COMMAND...: is that the answer?
is() {
  local text=$1 answer; shift
  answer=$(asks "$@") || return 1
  [ -n "$plan" ] || [ "$answer" = "$text" ]
}
# missing COMMAND...: before a change that is only needed then. In a plan everything is missing.
missing() { if holds "$@"; then [ -n "$plan" ]; else return 0; fi; }

# learn NAME COMMAND...: keeps an answer under that name; in a plan later commands show the name.
learn() {
  local name=$1; shift
  [ -z "${!name:-}" ] || return 0
  if [ -n "$plan" ]; then
    printf '?  %s=$(%s)\n' "$name" "$(words "$@")" >&3
    printf -v "$name" '$%s' "$name"
    return 0
  fi
  printf -v "$name" '%s' "$("$@" </dev/null)" || fail "no answer to: $(words "$@")"
  [ -n "${!name}" ] || fail "no answer to: $(words "$@")"
}

# does COMMAND...: a change. Nothing secret may be among its words.
does() {
  if [ -n "$plan" ]; then printf '+  %s\n' "$(words "$@")" >&3; return; fi
  say "    $(words "$@")"
  "$@" >/dev/null </dev/null || fail "that command failed: what it said stands above."
}
# feeds TEXT FUNCTION COMMAND...: a change that reads what FUNCTION writes, which TEXT describes; so secrets go through a pipe.
feeds() {
  local text=$1 writer=$2; shift 2
  if [ -n "$plan" ]; then printf '+  %s | %s\n' "$text" "$(words "$@")" >&3; return; fi
  say "    $text | $(words "$@")"
  "$writer" | "$@" >/dev/null || fail "that command failed: what it said stands above."
}
# comes SECONDS WHAT COMMAND...: waits for a question to be answered with yes.
comes() {
  local end=$((SECONDS + ${AZURE_UP_WAIT:-$1})) what=$2; shift 2
  if [ -n "$plan" ]; then "$@" || true; return; fi
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "$what, which has not happened in time."
    sleep "${AZURE_UP_POLL:-10}"
  done
}

fail() {
  say "FAILED at '$current': $1"
  say "What is there stays. Run the same command again: it goes on here."
  exit "$broken"
}
# waits_for_you TEXT: somebody has to do something that no command can.
waits_for_you() {
  [ -z "$plan" ] || { printf '   %s\n' "$1" >&3; return; }
  say "It is your turn: $1"
  say "Then run the same command again: it goes on here."
  exit "$undone"
}

# step NAME TITLE
number=0
step() {
  current=$2
  number=$((number + 1))
  if [ -n "$plan" ]; then
    printf '\n# %d. %s\n' "$number" "$2" >&3
    "there_$1" || true
    "make_$1"
    return
  fi
  if "there_$1"; then say "[$number] $2: is there"; return; fi
  say "[$number] $2"
  "make_$1"
  "there_$1" || fail "it was made, and is not there when asked for. Azure may need a minute."
}

# Roles: WHO is an object id. Who has one may have to wait until it counts.
has_role() { [ -n "$(asks az role assignment list --assignee "$1" --role "$2" --scope "$3" --query '[].id' --output tsv)" ] || [ -n "$plan" ]; }
# give_role WHO User|ServicePrincipal ROLE SCOPE
give_role() {
  if [ -z "$plan" ] && has_role "$1" "$3" "$4"; then return; fi
  does az role assignment create --assignee-object-id "$1" --assignee-principal-type "$2" --role "$3" --scope "$4" --output none
}


# What the vault holds, by name.
in_vault() { asks az keyvault secret show --vault-name "$vault" --name "$1" --query attributes.enabled --output tsv | grep -qx true || [ -n "$plan" ]; }
# puts KEY TEXT FUNCTION: what FUNCTION writes becomes that secret.
puts() { feeds "$2" "$3" az keyvault secret set --vault-name "$vault" --name "$1" --file /dev/stdin --encoding utf-8 --output none; }
from_vault() { az keyvault secret show --vault-name "$vault" --name "$1" --query value --output tsv; }
