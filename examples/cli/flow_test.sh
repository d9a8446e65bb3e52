#!/bin/sh
# `bureau flow` and `bureau tasks why`, as a user types them.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
expect 0 "" "$bureau" create users email=ada@example.com name=Ada role=manager status=active
expect 0 "" "$bureau" create users email=cleo@example.com name=Cleo role=agent status=active
expect 0 "" "$bureau" create schedules name=report expression="0 9 * * mon-fri" kind=write_report \
  time_limit=60s
expect 0 "report: tsk_" "$bureau" schedules run report
task=$(sed 's/.*: //' out)

expect 0 "no live node has an agent for kind" "$bureau" tasks why "$task"
expect 0 "the next worker that is free takes it" "$bureau" tasks why "$task"
expect 0 "kind write_report: paused" "$bureau" --as ada@example.com flow pause --kind write_report \
  --reason "the printer is out"
expect 0 "by Ada: the printer is out" "$bureau" tasks why "$task"
expect 0 '"cause":"paused"' "$bureau" tasks why "$task" --format json
expect 0 '"claimable":false' "$bureau" tasks why "$task" --format json
for format in table json csv; do
  expect 0 "printer is out" "$bureau" flow list --format $format
done
expect 1 "paused" "$bureau" flow resume --queue default
expect 0 "kind write_report: resumed" "$bureau" flow resume --kind write_report

expect 0 "everything: at most 0 at a time" "$bureau" flow limit --at-most 0
expect 0 "at most 0 of the tenant at a time" "$bureau" tasks why "$task"
expect 0 "for each flow key" "$bureau" flow limit --at-most 1 --each-key --kind write_report
rule=$("$bureau" flow list --where 'at_most = 0' --format csv | sed -n '2s/,.*//p')
expect 0 "removed" "$bureau" flow remove "$rule"
expect 0 "until" "$bureau" flow pause --queue default --seconds 3600
expect 0 "kind write_report: at most 10 in 60 s for each flow key" "$bureau" flow rate \
  --kind write_report --at-most 10 --seconds 60 --burst 2 --each-key
expect 1 "at_most" "$bureau" flow rate --at-most 0 --seconds 1
expect 0 "weight 3" "$bureau" flow weight 3

expect 1 "queue" "$bureau" flow pause
expect 1 "weight" "$bureau" flow weight 0
expect 1 "at_most" "$bureau" flow limit --at-most -1
expect 1 "" "$bureau" --as cleo@example.com flow pause --queue default
expect 1 "" "$bureau" tasks why tsk_0000000000000
