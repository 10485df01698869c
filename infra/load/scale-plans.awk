# From the server's log with auto_explain's plans: of each statement the last plan, as lines "Q title ms pages" (tabs between), "T line of its text",
# "P line of the plan". Variable: title.
function finish(   key) {
  if (text != "" && text !~ /scale_|pg_stat_|pg_prewarm|pg_current_wal|SELECT 1 FROM ONLY|NOTIFY|TRUNCATE/) {
    if (!(text in last)) order[++count] = text
    last[text] = plan
    took[text] = ms
    pages[text] = page
  }
  text = plan = ""
  page = 0
  taking = 0
}
/LOG:  duration: .* plan:$/ {
  finish()
  match($0, /duration: [0-9.]+/)
  ms = substr($0, RSTART + 10, RLENGTH - 10)
  taking = 1
  next
}
taking && /^\t/ {
  line = substr($0, 2)
  if (taking == 1 && line ~ /^Query Text: /) { text = substr(line, 13); next }
  if (taking == 1 && line !~ /\(cost=.*\)/) { text = text "\n" line; next }
  if (taking == 1) { taking = 2; depth = 0 }
  if (line ~ /^ *Buffers: / && plan !~ /\n/) {
    split(line, part, /[= ]+/)
    for (n = 1; n in part; n++) if (part[n] == "hit" || part[n] == "read") page += part[n + 1]
  }
  if (line ~ /\(cost=/) {
    # Months are alike.
    gsub(/gpt_oauth_events_[0-9][0-9][0-9][0-9]_[0-9][0-9]/, "gpt_oauth_events_MONTH", line)
    sub(/ gpt_oauth_events_[0-9]+/, "", line)
    actual = line
    sub(/ +\(cost=[^)]*\)/, "", line)
    rows = loops = ""
    if (match(actual, /\(actual rows=[0-9]+ loops=[0-9]+\)/)) {
      split(substr(actual, RSTART, RLENGTH), part, /[=) ]+/)
      rows = part[3]; loops = part[5]
    }
    sub(/ *\(actual rows=[0-9]+ loops=[0-9]+\)/, "", line)
    sub(/ *\(never executed\)/, "", line)
    if (line ~ /MONTH/ && index(plan, "\n" line " (") + index(plan, "\n" line "\n") > 0) { scanned = 0; next }
    plan = plan (plan == "" ? "" : "\n") line (rows != "" ? " (" rows " rows" (loops > 1 ? ", " loops " times" : "") ")" : "") "\n"
    sub(/\n$/, "", plan)
    scanned = line ~ /Seq Scan on /
    next
  }
  if (line ~ /^ *(CTE|InitPlan|SubPlan) /) { sub(/ *\(returns.*/, "", line); plan = plan "\n" line; next }
  if (scanned && match(line, /Rows Removed by Filter: [0-9]+/)) plan = plan " (and " substr(line, RSTART + 24, RLENGTH - 24) " left out)"
  next
}
{ if (taking) finish() }
END {
  finish()
  for (n = 1; n <= count; n++) {
    # Whatever was asked meanwhile.
    itself = order[n] ~ /(INTO|FROM|UPDATE) (replicas|maintenance_runs|verification_callbacks|countdowns)|^SELECT clock_timestamp/ && title !~ /^page/
    printf "Q\t%s\t%s\t%s\n", (itself ? "what the program asks by itself" : title), took[order[n]], pages[order[n]]
    lines = split(order[n], part, "\n")
    for (m = 1; m <= lines; m++) print "T\t" part[m]
    lines = split(last[order[n]], part, "\n")
    for (m = 1; m <= lines; m++) print "P\t" part[m]
  }
}
