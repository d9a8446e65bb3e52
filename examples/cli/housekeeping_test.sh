#!/bin/sh
# `bureau housekeeping`, as a user types it: the four jobs are switched on, are done, and are switched
# off.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
expect 0 "" "$bureau" create users email=cleo@example.com name=Cleo role=agent status=active
printf 'text,category\nmy card was stolen,card\nwhere is my money,transfer\n' >train.csv
expect 0 "" "$bureau" train train.csv

expect 1 "days: 0 is not from 1 to 36500" "$bureau" housekeeping on --days 0
expect 1 "--kinds" "$bureau" housekeeping on --kinds '{'
expect 1 '"ready" is not completed, cancelled or dead' "$bureau" housekeeping on --kinds '{"k": {"ready": 1}}'
expect 2 "" "$bureau" housekeeping on --without dinner
expect 1 "" "$bureau" --as cleo@example.com housekeeping on
expect 0 "" "$bureau" schedules list
! grep -q cleanup-logs out || fail "what was refused has made something"

expect 0 "cleanup-logs     0 2 * * *     next 2" "$bureau" housekeeping on --kinds '{"k": {"dead": 365}}'
[ "$(wc -l <out)" = 4 ] || fail "four jobs were asked for"
for job in agent-heartbeat system-metrics task-processor cleanup-logs; do
  expect 0 "$job: tsk_" "$bureau" schedules run $job
done
expect 0 "" "$bureau" work --until-idle
expect 0 "" "$bureau" tasks list --where 'status != "completed"'
! grep -q tsk_ out || fail "a job was not done"
expect 0 '"activity":"idle","agent":"housekeeping"' "$bureau" list agent_heartbeats --format json
expect 0 '"kinds":' "$bureau" sql "select result from tasks where kind = 'task_processor'"
expect 0 '{"rows":{' "$bureau" sql "select result from tasks where kind = 'cleanup_logs'"
if [ -r /proc/meminfo ]; then
  expect 0 "memory" "$bureau" list system_metrics --where 'category = "performance"'
  expect 0 "health_score" "$bureau" list system_metrics --where 'value >= 0 and value <= 100 and unit = "points"'
fi

expect 0 "" "$bureau" housekeeping on --without task-processor
expect 0 "4 schedules removed" "$bureau" housekeeping off
expect 0 "0 schedules removed" "$bureau" housekeeping off
