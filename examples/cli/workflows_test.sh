#!/bin/sh
# `bureau workflows`, as a user types it.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
expect 0 "" "$bureau" create users email=ada@example.com name=Ada role=manager status=active
expect 0 "" "$bureau" create users email=cleo@example.com name=Cleo role=agent status=active
cat >leave.json <<'END'
{"name": "leave", "starters": ["agent"],
 "input": {"days": {"type": "integer"}},
 "nodes": [
   {"id": "long", "kind": "condition", "if": "input.days > 5", "then": "ask", "else": "done"},
   {"id": "ask", "kind": "approval", "title": {"$text": "{input.days} days of leave?"},
    "label": "a \"manager\" decides", "rejected": "refused", "next": "done"},
   {"id": "done", "kind": "end", "output": {"days": {"$": "input.days"}}},
   {"id": "refused", "kind": "end", "status": "failed", "message": "not now"}]}
END
sed 's/"next": "done"}/"next": "long"}/' leave.json >round.json
sed 's/input.days > 5/input.days > 3/' leave.json >shorter.json

expect 0 "leave: good" "$bureau" workflows check leave.json
expect 1 "cycle: long -> ask -> long" "$bureau" workflows check round.json
expect 1 "cycle" "$bureau" workflows import round.json
expect 1 "cannot be read" "$bureau" workflows import nothing.json
echo '{' >broken.json
expect 1 "JSON" "$bureau" workflows check broken.json
expect 1 "" "$bureau" --as cleo@example.com workflows import leave.json
expect 0 "leave: version 1, draft" "$bureau" --as ada@example.com workflows import leave.json
expect 1 "no workflow is active" "$bureau" workflows start leave '{"days": 3}'
expect 0 "leave: version 1, active" "$bureau" --as ada@example.com workflows activate leave
expect 1 "is active, not a draft" "$bureau" workflows activate leave
for format in table json csv; do
  expect 0 "leave" "$bureau" workflows list --format $format
done
expect 0 '"starters":["agent"]' "$bureau" workflows show leave
expect 0 'digraph' "$bureau" workflows show leave --format dot
expect 0 '"long" -> "ask" [label="then"]' "$bureau" workflows show leave --format dot
expect 0 'flowchart' "$bureau" workflows show leave --format mermaid
expect 0 'n_long -->|else| n_done' "$bureau" workflows show leave --format mermaid
"$bureau" workflows show leave >again.json
expect 0 "leave: good" "$bureau" workflows check again.json

expect 1 "input.days: is missing" "$bureau" workflows start leave
expect 1 "JSON" "$bureau" workflows start leave '{'
expect 0 "tsk_" "$bureau" --as cleo@example.com workflows start leave '{"days": 3}'
expect 0 "ready" "$bureau" workflows runs leave
for format in table json csv; do
  expect 0 "tsk_" "$bureau" --as cleo@example.com workflows runs leave --format $format
done
task=$("$bureau" workflows start leave '{"days": 7}')
expect 0 "" "$bureau" workflows steps "$task"
expect 0 "cancelled" "$bureau" tasks cancel "$task"

expect 0 "leave: version 2, draft" "$bureau" workflows import shorter.json
expect 0 "leave: version 2, active" "$bureau" workflows activate leave
expect 0 "days > 5" "$bureau" workflows show leave --version 1
expect 1 "no version 3" "$bureau" workflows show leave --version 3
expect 0 "retired" "$bureau" workflows list --where 'number = 1'
expect 0 "version 2, retired" "$bureau" workflows retire leave
expect 1 "no workflow is active" "$bureau" workflows start leave '{"days": 3}'
expect 1 "not a draft" "$bureau" workflows remove leave
expect 0 "leave: version 3, draft" "$bureau" workflows import leave.json
expect 0 "version 3 removed" "$bureau" workflows remove leave --version 3

sed 's/"starters"/"trigger": {"on": "event", "event": "asked"}, "starters"/' leave.json >event.json
expect 0 "" "$bureau" workflows import event.json
expect 0 "active" "$bureau" workflows activate leave
expect 0 "tsk_" "$bureau" workflows raise asked '{"days": 3}'
expect 0 "" "$bureau" workflows forms
expect 1 "" "$bureau" workflows answer frm_0000000000001 '{}'
