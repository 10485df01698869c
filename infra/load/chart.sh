#!/usr/bin/env bash
# Draws infra/load/speed.svg from the tables of RESULTS.md, for the README. Each benchmark's --save and make docs run it; a test draws it anew.
set -euo pipefail

case ${1:-} in
  '' | --print) ;;
  -h | --help) echo 'Usage: infra/load/chart.sh [--print]: writes infra/load/speed.svg, or prints it.'; exit ;;
  *) echo "chart.sh: unknown argument '$1'; see --help" >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")"

chart=$(awk '
  # panel TITLE SECTION OURS PEER NAME: which columns of which table; the p99 of each stands two columns later.
  function panel(title, section, ours, peer, name) { panels++; of[panels] = section; column[panels, 1] = ours; column[panels, 2] = peer; titles[panels] = title; names[panels] = name }
  BEGIN {
    panel("Token refreshes", "peers", "GptFunctions, refreshes/s", "node-oidc-provider, refreshes/s", "node-oidc-provider")
    panel("Webhooks taken in", "peers", "GptFunctions, events/s", "Node.js with svix, events/s", "Node.js: svix, INSERT")
    panel("Gateway calls", "gateway", "gateway, req/s", "bare forwarder, req/s", "forwarder without checks")
    count = split("1 8 32", connections, " ")
  }
  /^<!-- [a-z]+ -->$/ { section = $2 }
  /^<!-- \/[a-z]+ -->$/ { section = "" }
  !/^\|/ { for (p in at) delete at[p] }
  section != "" && /^\|/ {
    cells = split($0, cell, / *\| */)
    for (p = 1; p <= panels; p++) for (side = 1; side <= 2; side++)
      for (c = 2; c < cells; c++) if (of[p] == section && cell[c] == column[p, side]) {
        at[p, side] = c
        if (cell[c + 2] != "p99 ms") missing = missing " the p99 of \"" column[p, side] "\""
      }
    for (p = 1; p <= panels; p++) for (side = 1; side <= 2; side++) if ((p, side) in at) {
      rate[p, side, cell[2]] = cell[at[p, side]] + 0
      p99[p, side, cell[2]] = cell[at[p, side] + 2] + 0
    }
  }
  function thousands(number) { return number >= 1000 ? sprintf("%d,%03d", int(number / 1000), number % 1000) : number }
  function short(milliseconds) { return sprintf(milliseconds < 10 ? "%.1f" : "%.0f", milliseconds) }
  function text(class, x, y, what, more) { return sprintf("<text class=\"%s\" x=\"%.0f\" y=\"%.0f\"%s>%s</text>\n", class, x, y, more, what) }
  END {
    for (p = 1; p <= panels; p++) for (side = 1; side <= 2; side++) for (n = 1; n <= count; n++)
      if (!((p, side, connections[n]) in rate)) missing = missing " \"" column[p, side] "\" at " connections[n] " connection(s)"
    if (missing != "") { print "chart.sh: RESULTS.md lacks" missing | "cat >&2"; exit 1 }
    width = 900; height = 330; wide = 270; high = 140; base = 240; middle = " text-anchor=\"middle\""
    for (p = 1; p <= panels; p++) {
      left = 30 + (p - 1) * 290; most = 0
      for (side = 1; side <= 2; side++) for (n = 1; n <= count; n++) if (rate[p, side, connections[n]] > most) most = rate[p, side, connections[n]]
      body = body text("title", left, 34, titles[p] " per second")
      body = body sprintf("<rect class=\"ours\" x=\"%d\" y=\"47\" width=\"10\" height=\"10\" rx=\"2\"/>\n", left) text("small", left + 15, 56, "GptFunctions")
      body = body sprintf("<rect class=\"peer\" x=\"%d\" y=\"47\" width=\"10\" height=\"10\" rx=\"2\"/>\n", left + 92) text("small", left + 107, 56, names[p])
      body = body sprintf("<path class=\"line\" d=\"M%d %d.5h%d\"/>\n", left, base, wide - 10)
      said = said (p > 1 ? "; " : "") titles[p] " per second of GptFunctions and of " names[p] ": "
      for (n = 1; n <= count; n++) {
        middle_x = left + (n - 0.5) * (wide - 10) / count
        for (side = 1; side <= 2; side++) {
          value = rate[p, side, connections[n]]; tall = high * value / most; x = middle_x + (side == 1 ? -39 : 1)
          body = body sprintf("<rect class=\"%s\" x=\"%.0f\" y=\"%.1f\" width=\"38\" height=\"%.1f\" rx=\"2\"/>\n", side == 1 ? "ours" : "peer", x, base - tall, tall)
          body = body text(side == 1 ? "value strong" : "value", x + 19, base - tall - 6, thousands(value), middle)
          body = body text(side == 1 ? "value strong" : "value", x + 19, base + 40, short(p99[p, side, connections[n]]), middle)
        }
        body = body text("strong", middle_x, base + 19, connections[n], middle)
        said = said (n > 1 ? ", " : "") thousands(rate[p, 1, connections[n]]) " and " thousands(rate[p, 2, connections[n]]) " at " connections[n]
      }
    }
    body = body text("small", 30, base + 68, "Bars: per second, at 1, 8 and 32 connections. Below them: p99, in milliseconds. Median of several rounds in turns, on one machine.")
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-labelledby=\"title desc\">\n", width, height, width, height
    print "<title id=\"title\">How fast, beside what one could pick instead</title>"
    print "<desc id=\"desc\">" said ".</desc>"
    print "<style>"
    print "text { font: 12px -apple-system, \"Segoe UI\", \"Noto Sans\", Helvetica, Arial, \"DejaVu Sans\", sans-serif; fill: #59636e }"
    print ".title { font-size: 15px; font-weight: 600; fill: #1f2328 } .strong { font-weight: 600; fill: #1f2328 } .value { font-size: 10.5px } .small { font-size: 11px }"
    print ".card { fill: #ffffff; stroke: #d1d9e0 } .line { stroke: #d1d9e0 } .ours { fill: #1f6feb } .peer { fill: #afb8c1 }"
    print "@media (prefers-color-scheme: dark) {"
    print "  text { fill: #9198a1 } .title, .strong { fill: #f0f6fc } .card { fill: #0d1117; stroke: #3d444d } .line { stroke: #3d444d } .ours { fill: #4493f8 } .peer { fill: #656c76 }"
    print "}"
    print "</style>"
    printf "<rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", width - 1, height - 1
    printf "%s</svg>\n", body
  }' RESULTS.md)

if [ "${1:-}" = --print ]; then
  printf '%s\n' "$chart"
elif [ "$chart" != "$(cat speed.svg 2>/dev/null)" ]; then
  printf '%s\n' "$chart" >speed.svg
  echo "written to infra/load/speed.svg" >&2
fi
