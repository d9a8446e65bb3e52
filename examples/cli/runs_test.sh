#!/bin/sh
# `bureau runs` and `bureau approvals`, as a user types them.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
expect 0 "" "$bureau" create users email=ada@example.com name=Ada role=manager status=active
expect 0 "" "$bureau" create users email=cleo@example.com name=Cleo role=agent status=active
expect 0 "" "$bureau" create schedules name=ask expression=@daily kind=ask time_limit=60s
expect 0 "ask: tsk_" "$bureau" schedules run ask
task=$(sed 's/.*: //' out)

# What is said to a run before anybody works on it is kept.
expect 0 "said" "$bureau" runs signal "$task" paid '{"amount": 7}' --key receipt-1
expect 0 "said before" "$bureau" runs signal "$task" paid '{"amount": 7}' --key receipt-1
expect 0 "kept" "$bureau" list run_signals
expect 1 "JSON" "$bureau" runs signal "$task" paid '{'
expect 1 "name" "$bureau" runs signal "$task" ''
for format in table json csv; do expect 0 "" "$bureau" runs steps "$task" --format $format; done
expect 1 "position" "$bureau" runs retry "$task" 3
expect 0 "again from step 0" "$bureau" runs retry "$task" 0
expect 0 "tsk_" "$bureau" runs fork "$task" 0
expect 1 "not in doubt" "$bureau" runs resolve "$task" '{}'
expect 1 "not in doubt" "$bureau" runs probe "$task"

# Whoever may not see the task cannot speak to it, nor see what was said.
expect 1 "no row" "$bureau" --as cleo@example.com runs signal "$task" paid '{}'
expect 1 "no row" "$bureau" --as cleo@example.com runs steps "$task"
expect 0 "" "$bureau" --as ada@example.com runs steps "$task"

expect 0 "" "$bureau" approvals list
expect 1 "no row" "$bureau" --as cleo@example.com approvals approve apr_0000000000001
expect 1 "wrong length" "$bureau" approvals approve nonsense
expect 0 "cancelled" "$bureau" tasks cancel "$task"
expect 1 "nothing can be said to it" "$bureau" runs signal "$task" paid '{}'
