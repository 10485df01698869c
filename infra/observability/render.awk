# Reads slo.yaml and prints the Prometheus rules: recording rules in Sloth's names for each window, and three alerts for each promise.
# As much of YAML as slo.yaml has: a key and its value on one line. Plain awk; run it with LC_ALL=C.

function value(line) {
  sub(/^[^:]*:[ ]*/, "", line)
  if (line ~ /^".*"$/) { line = substr(line, 2, length(line) - 2); gsub(/\\"/, "\"", line) }
  return line
}
# A text in single quotes, which need no escapes but their own.
function quoted(text) { gsub(/'/, "''", text); return "'" text "'" }
function windowed(query, window) { gsub(/\{\{\.window\}\}/, window, query); return query }
function ratio(window) { return "slo:sli_error:ratio_rate" window "{sloth_slo=" quote slo quote ", sloth_service=" quote service quote "}" }
function labels(indent) {
  return indent "sloth_id: " service "-" slo "\n" indent "sloth_service: " service "\n" indent "sloth_slo: " slo
}
function both(factor, long, short) {
  return "(max by (namespace) (" ratio(long) ") > " factor " * " budget ") and (max by (namespace) (" ratio(short) ") > " factor " * " budget ")"
}
function alert(suffix, severity, factor, long, short, says) {
  print "      - alert: " name suffix
  print "        expr: " quoted(both(factor, long, short))
  print "        labels: { severity: " severity ", sloth_slo: " slo " }"
  print "        annotations:"
  print "          summary: " quoted("{{ $value | humanizePercentage }} of the last " long " broke the promise `" slo "` (" objective " %): " says)
  print "          action: " quoted(action)
}
function finish(    i, n, windows) {
  if (slo == "") return
  budget = sprintf("%.10g", (100 - objective) / 100)
  n = split("5m 30m 1h 6h 3d", windows, " ")
  print "  - name: sloth-slo-sli-recordings-" service "-" slo
  print "    rules:"
  for (i = 1; i <= n; i++) {
    print "      - record: slo:sli_error:ratio_rate" windows[i]
    print "        expr: " quoted("(" windowed(errors, windows[i]) ") / (" windowed(total, windows[i]) ")")
    print "        labels:"
    print labels("          ")
    print "          sloth_window: " windows[i]
  }
  print "  - name: sloth-slo-meta-recordings-" service "-" slo
  print "    rules:"
  print "      - record: slo:objective:ratio"
  print "        expr: vector(" sprintf("%.10g", objective / 100) ")"
  print "        labels:"
  print labels("          ")
  print "      - record: slo:error_budget:ratio"
  print "        expr: vector(" budget ")"
  print "        labels:"
  print labels("          ")
  print "  - name: sloth-slo-alerts-" service "-" slo
  print "    rules:"
  alert("Fast", "critical", "14.4", "1h", "5m", "a month of errors lasts two days")
  alert("Slow", "critical", "6", "6h", "30m", "a month of errors lasts five days")
  alert("Ticket", "warning", "1", "3d", "6h", "the month will end in debt")
}
BEGIN {
  quote = "\""
  print "# Rendered from slo.yaml by infra/observability/render.sh: change that, and run it."
  print "groups:"
}
/^ *#/ { next }
/^service:/ { service = value($0) }
/^  - name:/ { finish(); slo = value($0) }
/^    objective:/ { objective = value($0) }
/^        error_query:/ { errors = value($0) }
/^        total_query:/ { total = value($0) }
/^      name:/ { name = value($0) }
/^        action:/ { action = value($0) }
END { finish() }
