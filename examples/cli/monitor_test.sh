#!/bin/sh
# `bureau metrics` and `bureau health`, as a monitoring system asks.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
printf 'text\nWhere is my money\n' >inbox.csv
expect 0 "" "$bureau" tickets import inbox.csv
expect 0 "# TYPE bureau_tasks gauge" "$bureau" metrics
grep -q '^bureau_tasks{queue="[^"]*",status="ready"} 1$' out || fail "what waits is not told"
expect 1 "--as" "$bureau" --as ada@example.com metrics

# What a machine has free is not for this test to say: of health, it asks what it has made.
health() {
  status=0
  "$bureau" health "$@" >out 2>err || status=$?
  [ "$status" = 0 ] || [ "$status" = 3 ] || fail "health: exit code $status"
}
health
grep -q '^ok  *storage  *a write took' out || fail "a write was not tried"
grep -q '^ok  *queues ' out || fail "the queues are not well"
health --format json
grep -q '"component":"dead_letters","reason":"0 given up' out || fail "JSON"
expect 2 "" "$bureau" health --format csv
expect 1 "" "$bureau" --office none.db health

# A task that has waited for twenty minutes is somebody's to look at, one of a day is a failure.
for waits in 1200000000:degraded:3 86400000000:failed:1; do
  python3 - "${waits%%:*}" <<'PY'
import sqlite3, sys
office = sqlite3.connect("office.db")
office.execute("UPDATE tasks SET run_at = created_at - ?", (int(sys.argv[1]),))
office.commit()
PY
  rest=${waits#*:}
  status=0
  "$bureau" health >out 2>err || status=$?
  [ "$status" = "${rest#*:}" ] || fail "health of a queue that waits: exit code $status"
  [ "$(head -n 1 out)" = "${rest%:*}" ] || fail "the worst does not decide"
  grep -q "^${rest%:*}  *queues " out || fail "the queue is not named"
done
