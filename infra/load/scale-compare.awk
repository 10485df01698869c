# Compares two files of scale-plans.awk, and prints each statement with its plans. Variables: large, small (what they are called), found (a file for
# what stands out).
function key() { return title "\n" text }
function shape(plan) {
  gsub(/ \([0-9]+ rows[^)]*\)| \(and [0-9]+ left out\)/, "", plan)
  return plan
}
function indented(plan) { gsub(/\n/, "\n    ", plan); return "    " plan }
function keep() {
  if (text == "") return
  if (!((1, key()) in plans) && !((2, key()) in plans)) {
    if (!(title in of)) titles[++title_count] = title
    texts[title, ++of[title]] = text
  }
  plans[which, key()] = plan
  figures[which, key()] = now
  text = plan = ""
}
FNR == 1 { keep(); which++ }
/^Q\t/ {
  keep()
  split($0, part, "\t")
  title = part[2]
  now = part[3] " ms, " part[4] " pages"
}
/^T\t/ { text = text (text == "" ? "" : "\n") substr($0, 3) }
/^P\t/ { plan = plan (plan == "" ? "" : "\n") substr($0, 3) }
END {
  keep()
  print "Plans of the statements that scale.sh asks for, the last one of each; with how many rows each step had. Months of the audit trail are alike:"
  print "each step stands here once. Pages: of 8 KiB, that the statement looked at, in memory or not. What several ask stands with the first of them."
  for (n = 1; n <= title_count; n++) for (place = 1; place <= of[titles[n]]; place++) write(titles[n], texts[titles[n], place])
  printf "%d statements have plans of the same shape with both, %d of another one:\n%s%s", same, other, others, whole >found
}
function write(title, text,   first, second, statement, lines, step, m, rows) {
  first = plans[1, title "\n" text]
  second = plans[2, title "\n" text]
  if ((text, shape(first)) in printed) return
  printed[text, shape(first)] = 1
  if (title != heading) { heading = title; printf "\n## %s\n", heading }
  statement = text
  gsub(/[ \n]+/, " ", statement)
  sub(/^ /, "", statement)
  printf "\n%s\n", (length(statement) > 150 ? substr(statement, 1, 147) "..." : statement)
  statement = substr(statement, 1, 60) "..."
  printf "  %s: %s\n", large, (first == "" ? "not asked" : figures[1, title "\n" text] "\n" indented(first))
  if (first != "" && shape(first) == shape(second)) {
    printf "  %s: %s, the same shape\n", small, figures[2, title "\n" text]
    same++
  } else {
    printf "  %s: %s\n", small, (second == "" ? "not asked" : figures[2, title "\n" text] ", ANOTHER SHAPE\n" indented(second))
    if (first != "" && second != "") { others = others "- " title ": " statement "\n"; other++ }
  }
  lines = split(first, step, "\n")
  for (m = 1; m <= lines; m++) if (step[m] ~ /Seq Scan on / && match(step[m], /\([0-9]+ rows/)) {
    rows = substr(step[m], RSTART + 1, RLENGTH - 6)
    if (match(step[m], /and [0-9]+ left out/)) rows += substr(step[m], RSTART + 4, RLENGTH - 13)
    if (rows + 0 >= 10000) whole = whole sprintf("- %s reads a table from end to end, %d rows:%s (%s)\n", title, rows, step[m], statement)
  }
}
