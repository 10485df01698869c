# shellcheck shell=bash disable=SC2154
# What a secret has to be, and what a change of it must not break, said before anything is changed. Sourced by secrets.sh, after lib.sh.
# Values stand in variables of the shell and go through pipes only.

# The beginning of each P-256 public key (SPKI, DER) in base64; the 64 bytes behind it are the point.
p256=MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE

# split TEXT: its words, into parts.
split() { IFS=' ' read -ra parts < <(printf '%s\n' "$1") || true; }

one_line() { base64 | tr -d '\n'; }
base64url() { one_line | tr '+/' '-_' | tr -d '='; }

# is_base64 TEXT BYTES: of that many bytes or more?
is_base64() {
  [ "$(printf '%s' "$1" | base64 -d 2>/dev/null | one_line)" = "$1" ] && [ "$(printf '%s' "$1" | base64 -d 2>/dev/null | wc -c)" -ge "$2" ]
}

# can_sign TEXT: is it base64 of the PEM of a private key?
can_sign() { printf '%s' "$1" | base64 -d 2>/dev/null | openssl pkey -passin pass: -noout >/dev/null 2>&1; }

# public_half TEXT: the SPKI of base64 of a PEM, private or public, in base64; fails unless it is a P-256 key.
public_half() {
  local pem spki
  pem=$(printf '%s' "$1" | base64 -d 2>/dev/null | tr -d '\0') || return 1
  spki=$(printf '%s\n' "$pem" | openssl pkey -passin pass: -pubout -outform DER 2>/dev/null | one_line)
  [ -n "$spki" ] || spki=$(printf '%s\n' "$pem" | openssl pkey -pubin -pubout -outform DER 2>/dev/null | one_line)
  [[ $spki = "$p256"* ]] && [ "${#spki}" = 124 ] && printf '%s' "$spki"
}

# key_ids TEXT: the ids (RFC 7638) of the signing keys in a value, one a line.
key_ids() {
  local part spki x y
  split "$1"
  for part in "${parts[@]}"; do
    spki=$(public_half "$part") || continue
    x=$(printf '%s' "$spki" | base64 -d | tail -c 64 | head -c 32 | base64url)
    y=$(printf '%s' "$spki" | base64 -d | tail -c 32 | base64url)
    printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y" | openssl dgst -sha256 -binary | base64url
    echo
  done
}

# check_value KEY VALUE: is it what the program takes? It says the same when it starts, but then it is too late.
check_value() {
  local key=$1 value=$2 name part signs=''
  name=$(variable_of "$key")
  if [ -z "${value//[[:space:]]/}" ]; then
    problem "$name is empty: set it (in GitHub: environment $environment, secret $name)."
    return
  fi
  [[ $value != *$'\n'* ]] || { problem "$name has more than one line: several values are separated by spaces, and a PEM goes in as base64."; return; }
  split "$value"
  case $key in
    gpt-client-secret)
      [ "${#value}" -ge 32 ] || problem "$name is shorter than 32 characters: make one with openssl rand -base64 48." ;;
    gpt-refresh-key)
      for part in "${parts[@]}"; do
        is_base64 "$part" 32 || { problem "$name holds a value that is not the base64 of 32 bytes or more: make one with openssl rand -base64 32."; break; }
      done ;;
    gpt-ec-private-key | gpt-ec-previous-keys)
      for part in "${parts[@]}"; do
        public_half "$part" >/dev/null || { problem "$name holds a value that is not the base64 of a P-256 key's PEM: openssl genpkey -algorithm EC" \
          "-pkeyopt ec_paramgen_curve:P-256 | base64 -w0."; return; }
        ! can_sign "$part" || signs=1
      done
      [ -n "$signs" ] || [ "$key" = gpt-ec-previous-keys ] || problem "$name holds public keys only, so nothing could sign: put a private one before them." ;;
    service-key)
      for part in "${parts[@]}"; do
        [ "${#part}" -ge 32 ] || { problem "$name holds a key that is shorter than 32 characters: make one with openssl rand -base64 32."; break; }
      done ;;
    clerk-webhook-secret)
      for part in "${parts[@]}"; do
        is_base64 "${part#whsec_}" 1 || { problem "$name holds a value that is no signing secret: copy it from the endpoint in Clerk's dashboard, it" \
          "begins with whsec_."; break; }
      done ;;
    verification-callback-secret)
      for part in "${parts[@]}"; do
        [[ $part = whsec_* ]] && is_base64 "${part#whsec_}" 24 || { problem "$name holds a value that is not whsec_ and base64 of 24 to 64 bytes:" \
          "echo whsec_\$(openssl rand -base64 32)."; break; }
      done ;;
    database-url | database-owner-url | database-listen-url)
      [[ $value =~ ^postgres(ql)?://([^/?#@]*@)?[^/?#@]+/[^/?#]+(\?[^#]*)?$ ]] ||
        [[ $value =~ (^|;)\ *[Hh]ost\ *= && $value =~ \;\ *[Dd]atabase\ *= ]] ||
        problem "$name is no postgresql://USER:PASSWORD@HOST:5432/DATABASE; in the password @ : / ? # % are written as %40 and so on."
      case $key$value in
        database-owner-url*://gpt_app[_:@]*) problem "$name is the URL of gpt_app: setup needs gpt_owner's (infra/postgres/roles.sql)." ;;
        database-url*://gpt_owner[:@]* | database-listen-url*://gpt_owner[:@]*)
          problem "$name is the URL of gpt_owner: the program runs as gpt_app (infra/postgres/roles.sql)." ;;
      esac ;;
    rabbitmq-url)
      [[ $value =~ ^amqps?://[^/@]+(@[^/@]+)?(/.*)?$ ]] || problem "$name is no amqp:// or amqps:// URL; in the password @ : / ? # % are written as" \
        "%40 and so on." ;;
  esac
}

# check_refresh_key NEW OLD: pods read a changed file minutes apart, and a repeated refresh needs the key that made its successor.
check_refresh_key() {
  local new=$1 old=$2
  split "$old"
  [ "${#parts[@]}" -gt 0 ] || return 0
  [[ " $new " = *" ${parts[0]} "* ]] ||
    problem "GPT_REFRESH_KEY lacks the key that derives tokens now: keep it behind the new one for a day (infra/runbook.md, \"Rotating the refresh" \
      "key\"), or, when it was stolen, --force."
  [[ " $old " = *" ${new%% *} "* ]] ||
    problem "GPT_REFRESH_KEY begins with a key that no pod has: put it behind the others first, and before them three minutes later" \
      "(infra/runbook.md, \"Rotating the refresh key\"), or, when the old one was stolen, --force."
}

# check_signing_keys NEW OLD: each the values of both settings. A key may go when none of its tokens can live any more: the program knows.
check_signing_keys() {
  local lost id row rows
  lost=$(comm -13 <(key_ids "$1" | sort -u) <(key_ids "$2" | sort -u))
  [ -n "$lost" ] || return 0
  rows=$(kube exec deploy/gpt-functions-http -c functions -- dotnet /home/site/wwwroot/GptFunctions.dll keys list --json 2>/dev/null) || {
    problem "$(paste -sd' ' - <<<"$lost") would no longer be among the signing keys, and no pod can be asked whether its tokens live:" \
      "put it back behind the others, or let its tokens end with --force."
    return
  }
  for id in $lost; do
    row=$(grep -F "\"$id\"" <<<"$rows") || continue
    if [[ $row = *'"use":"signs"'* ]]; then
      problem "the signing key $id would be gone, and it signs: put it back behind the others in GPT_EC_PRIVATE_KEY (GptFunctions keys add does), or" \
        "end its tokens with --force."
    elif [[ $row =~ \"tokens_live_until\":\"([^\"]*)\" ]]; then
      problem "the signing key $id would be gone, and its tokens live until ${BASH_REMATCH[1]}: put its public half back (GptFunctions keys retire" \
        "keeps it), or end them with --force."
    fi
  done
}
