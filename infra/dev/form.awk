# Reads an HTML page and prints what a browser would submit without a click:
#   action TAB the form's action, decoded
#   hidden TAB the hidden fields, as application/x-www-form-urlencoded
#   title TAB the page's title
# Of several forms the one that has a field or button named FIELD (-v field=...).
# Plain awk (mawk, gawk, BSD awk); run it with LC_ALL=C.

BEGIN {
  for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
  named["amp"] = "&"; named["lt"] = "<"; named["gt"] = ">"; named["quot"] = "\""; named["apos"] = "'"; named["nbsp"] = "\302\240"
}
{ page = page $0 "\n" }
END {
  rest = page
  if (match(rest, /<[Tt][Ii][Tt][Ll][Ee][^>]*>[^<]*/)) {
    title = substr(rest, RSTART, RLENGTH); sub(/^<[^>]*>/, "", title)
    gsub(/[ \t\r\n]+/, " ", title)
    print "title\t" decode(title)
  }
  while ((at = index(rest, "<")) > 0) {
    rest = substr(rest, at + 1)
    if (substr(rest, 1, 3) == "!--") {
      end = index(rest, "-->"); rest = end ? substr(rest, end + 3) : ""
      continue
    }
    if (!match(rest, /^\/?[A-Za-z]+/)) continue
    tag = tolower(substr(rest, 1, RLENGTH))
    rest = substr(rest, RLENGTH + 1)
    read_attributes()
    if (tag == "form") { action = attribute["action"]; body = ""; wanted = (field == "") }
    if (tag == "input" || tag == "button") {
      if (field != "" && attribute["name"] == field) wanted = 1
      if (tag == "input" && tolower(attribute["type"]) == "hidden" && attribute["name"] != "" && !("disabled" in attribute))
        body = body (body == "" ? "" : "&") encode(attribute["name"]) "=" encode(attribute["value"])
    }
    if (tag == "/form" && wanted && !done) {
      print "action\t" action
      print "hidden\t" body
      done = 1
    }
  }
  exit done ? 0 : 1
}

# Takes the attributes off the front of rest, up to and including the ">".
function read_attributes(    name, value, quote, end) {
  split("", attribute)
  for (;;) {
    sub(/^[ \t\r\n\/]+/, "", rest)
    if (rest == "" || substr(rest, 1, 1) == ">") { rest = substr(rest, 2); return }
    if (!match(rest, /^[^ \t\r\n=>\/]+/)) { rest = substr(rest, 2); continue }
    name = tolower(substr(rest, 1, RLENGTH)); rest = substr(rest, RLENGTH + 1)
    value = ""
    if (match(rest, /^[ \t\r\n]*=[ \t\r\n]*/)) {
      rest = substr(rest, RLENGTH + 1)
      quote = substr(rest, 1, 1)
      if (quote == "\"" || quote == "'") {
        rest = substr(rest, 2); end = index(rest, quote)
        if (!end) { rest = ""; return }
        value = substr(rest, 1, end - 1); rest = substr(rest, end + 1)
      } else if (match(rest, /^[^ \t\r\n>]+/)) { value = substr(rest, 1, RLENGTH); rest = substr(rest, RLENGTH + 1) }
    }
    if (!(name in attribute)) attribute[name] = decode(value)
  }
}

function decode(text,    out, at, end, entity) {
  out = ""
  while ((at = index(text, "&")) > 0) {
    out = out substr(text, 1, at - 1); text = substr(text, at)
    end = index(text, ";"); entity = end ? substr(text, 2, end - 2) : ""
    if (entity in named) { out = out named[entity]; text = substr(text, end + 1) }
    else if (entity ~ /^#[0-9]+$/) { out = out utf8(substr(entity, 2) + 0); text = substr(text, end + 1) }
    else if (entity ~ /^#[xX][0-9A-Fa-f]+$/) { out = out utf8(hex(substr(entity, 3))); text = substr(text, end + 1) }
    else { out = out "&"; text = substr(text, 2) }
  }
  return out text
}

function hex(digits,    i, n) {
  n = 0
  for (i = 1; i <= length(digits); i++) n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
  return n
}

function utf8(n) {
  if (n < 128) return sprintf("%c", n)
  if (n < 2048) return sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
  if (n < 65536) return sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
  return sprintf("%c%c%c%c", 240 + int(n / 262144), 128 + int(n / 4096) % 64, 128 + int(n / 64) % 64, 128 + n % 64)
}

function encode(text,    out, i, c) {
  out = ""
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    out = out (c ~ /[A-Za-z0-9._~-]/ ? c : sprintf("%%%02X", code[c]))
  }
  return out
}
