#!/bin/sh
# `bureau schedules`, as a user types it.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
expect 0 "" "$bureau" create users email=ada@example.com name=Ada role=manager status=active
expect 0 "" "$bureau" create users email=cleo@example.com name=Cleo role=agent status=active

# A schedule is a row: any kind of task may recur.
expect 0 "" "$bureau" create schedules name=report expression="0 9 * * mon-fri" zone=Europe/Berlin \
  kind=write_report time_limit=60s
expect 1 "expression" "$bureau" create schedules name=never expression="30 2 30 2 *" kind=k time_limit=60s
expect 1 "zone" "$bureau" create schedules name=where expression="@daily" zone=Mars/Olympus kind=k time_limit=60s
for format in table json csv; do
  expect 0 "0 9 * * mon-fri" "$bureau" schedules list --format $format
done
expect 0 "T0" "$bureau" schedules next report --count 3
[ "$(wc -l <out)" = 3 ] || fail "three moments were asked for"
expect 0 "report: paused" "$bureau" schedules pause report
expect 0 "report" "$bureau" schedules list --where 'status = "paused"'
expect 0 "report: active, next 2" "$bureau" schedules resume report

expect 0 "report: tsk_" "$bureau" schedules run report
task=$(sed 's/.*: //' out)
expect 0 "$task" "$bureau" schedules run report # it has not ended
expect 0 "fired" "$bureau" schedules history report
expect 0 "" "$bureau" schedules history report --where 'outcome = "skipped"'
expect 0 "write_report" "$bureau" tasks show "$task"

# Whose rights: managers keep schedules, in their own name; agents see none.
expect 0 "report" "$bureau" --as ada@example.com schedules list
expect 0 "report: paused" "$bureau" --as ada@example.com schedules pause report
expect 1 "there is no schedule" "$bureau" --as cleo@example.com schedules pause report
expect 1 "" "$bureau" --as ada@example.com create schedules name=other expression="@daily" kind=k time_limit=60s

expect 1 'there is no schedule "none"' "$bureau" schedules next none
expect 0 "report: removed" "$bureau" schedules remove report
expect 1 "there is no schedule" "$bureau" schedules remove report
