#!/bin/sh
# What every entity has: list, show, create, change, delete, export, import. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"
export BUREAU_OFFICE="$scratch/office.db"

say() { printf 'rows_test: %s\n' "$*" >&2; }
# refused PATTERN COMMAND...: it must fail with 1 and say so.
refused() {
  pattern=$1
  shift
  status=0
  "$@" >out 2>err || status=$?
  [ "$status" -eq 1 ] || { say "$* ended with $status"; exit 1; }
  grep -q -- "$pattern" err || { say "$* said: $(cat err)"; exit 1; }
}

"$bureau" init >/dev/null
ann=$("$bureau" create users email=ann@example.com name=Ann role=agent status=active)
bob=$("$bureau" create users email=bob@example.com name=Bob role=customer status=active)
desk=$("$bureau" create teams name=Desk 'skills=["cards"]')
"$bureau" create memberships team="$desk" user="$ann" capacity=3 >/dev/null

# Through the domain's own rules: a number, a first message, a state.
ticket=$("$bureau" create tickets customer="$bob" subject='My card' body='It is gone.' priority=high)
"$bureau" change "$ticket" status=open team="$desk" assignee="$ann" 'tags=["lost","lost"]' >/dev/null
"$bureau" list tickets --columns number,state,priority,tags --format csv >out
printf 'number,state,priority,tags\r\n1,open,high,"[""lost""]"\r\n' | diff - out
"$bureau" list tickets --columns tags,number --format json >out
[ "$(cat out)" = '[{"number":1,"tags":["lost"]}]' ]
"$bureau" list tickets --format csv >out
head -1 out | grep -q '^id,tenant,number'
"$bureau" list tickets --columns number,state,tags >out
printf 'number  state  tags\n1       open   ["lost"]\n' | diff - out
"$bureau" create messages ticket="$ticket" kind=internal_note sender=agent author="$ann" body='Look.' >/dev/null
[ "$("$bureau" show "$ticket" --format json | grep -c '"message_count":2')" = 1 ]
"$bureau" list workloads --format json | grep -q '"open_tickets":1'

refused 'stays\|not removed' "$bureau" delete "$ticket"
refused 'kept by the library' "$bureau" change "$ticket" version=9
refused 'no such column' "$bureau" change "$ticket" nonsense=1
refused 'COLUMN=VALUE' "$bureau" change "$ticket" nonsense
refused 'given twice' "$bureau" change "$ticket" subject=a subject=b
refused 'custom: \[1\] is not an object' "$bureau" change "$ticket" subject=Taken custom=[1]
"$bureau" show "$ticket" --format json | grep -q 'My card'
"$bureau" change "$ticket" 'custom={"region":"eu"}' >/dev/null
refused 'of no table' "$bureau" show xyz_0123456789abc
refused 'not_found\|no .*there\|not there\|there is no' "$bureau" list nonsense
refused 'tasks live by their own rules' "$bureau" create tasks kind=x
refused 'taken' "$bureau" create users email=ANN@example.com role=agent
refused 'low, normal, high, urgent' "$bureau" change "$ticket" priority=highest
[ "$("$bureau" list tickets --where 'subject = "My card"' --format json | grep -c urgent)" = 0 ]

# Whose rights count: an agent sees the tickets of his teams, a customer his own, and no users.
[ "$("$bureau" --as ann@example.com list tickets --columns number | wc -l)" = 2 ]
[ "$("$bureau" --as "$bob" list tickets --columns number | wc -l)" = 2 ]
eve=$("$bureau" create users email=eve@example.com role=customer status=active)
[ "$("$bureau" --as "$eve" list tickets --columns number | wc -l)" = 1 ]
refused '' "$bureau" --as "$eve" change "$ticket" priority=low
refused 'nobody has the address' "$bureau" --as who@example.com list tickets

# A secret is listed by nobody, in no format.
"$bureau" webhooks add erp https://erp.example.com/in >out
secret=$(sed 's/.*secret //' out)
for format in table json csv; do
  refused 'secret: it is secret' "$bureau" list webhooks --columns name,secret --format "$format"
  "$bureau" list webhooks --format "$format" >out
  grep -q erp out
  if grep -qF "$secret" out; then say "a secret is in a $format"; exit 1; fi
  "$bureau" list webhooks --columns name,url --format "$format" >out
  grep -q erp out
done

# Control characters do not reach a terminal: ESC, DEL, and CSI and OSC as C1 has them.
controls=$(printf 'a\033[31mb\177c\302\233dé')
odd=$("$bureau" create teams "name=$controls")
"$bureau" list teams --where "id = \"$odd\"" --columns name >out
printf 'name\na [31mb c dé\n' | diff - out
"$bureau" list teams --where "id = \"$odd\"" --columns name --format json >out
printf '%s\n' '[{"name":"a\u001b[31mb\u007fc\u009bdé"}]' | diff - out
"$bureau" show "$odd" --format json | grep -qF 'a\u001b[31mb\u007fc\u009bdé'
"$bureau" show "$odd" | grep -q 'a \[31mb c dé'
# A file gets CSV as it is, a terminal does not.
"$bureau" list teams --where "id = \"$odd\"" --columns name --format csv >out
printf 'name\r\n%s\r\n' "$controls" | diff - out
ROWS_TEST_ID=$odd python3 - "$bureau" >out <<'END'
import os, pty, sys
where = 'id = "%s"' % os.environ["ROWS_TEST_ID"]
status = pty.spawn([sys.argv[1], "list", "teams", "--where", where, "--columns", "name", "--format",
                    "csv"])
sys.exit(os.waitstatus_to_exitcode(status))
END
grep -q 'a \[31mb c dé' out
"$bureau" delete "$odd" >/dev/null

# Out and in again, exactly; a second time changes nothing.
"$bureau" export teams >teams.jsonl
BUREAU_OFFICE=other.db "$bureau" init >/dev/null
BUREAU_OFFICE=other.db "$bureau" import teams teams.jsonl | grep -q '^1 imported, 0 already there'
BUREAU_OFFICE=other.db "$bureau" import teams teams.jsonl | grep -q '^0 imported, 1 already there'
"$bureau" list teams --columns id,name,skills >a
BUREAU_OFFICE=other.db "$bureau" list teams --columns id,name,skills | diff a -
printf 'name,skills\nLoans,[]\nDesk,[]\nOops,{\n' >teams.csv
refused 'teams.csv, line 4: skills' "$bureau" import teams teams.csv
[ "$("$bureau" list teams --columns name | wc -l)" = 2 ]
"$bureau" import teams teams.csv --skip-bad >out 2>err
grep -q '^1 imported, 0 already there, 2 left out' out
grep -q 'line 3: .*unique' err
printf 'name,nonsense\na,b\n' >bad.csv
refused 'line 1: .*nonsense' "$bureau" import teams bad.csv
printf '=1+1\n' | sed 's/^/name\n/' >formula.csv
"$bureau" import teams formula.csv >/dev/null
"$bureau" export teams --format csv | grep -q "'=1+1"

"$bureau" delete "$("$bureau" create teams name=Gone)" | grep -q '^1 deleted'

# Help that is made of the commands.
"$bureau" completion bash >completion.bash
if command -v bash >/dev/null 2>&1; then
  bash -c 'source ./completion.bash
    COMP_WORDS=(bureau deals f) COMP_CWORD=2; _bureau; echo "${COMPREPLY[@]}"' >out
  grep -q 'forecast funnel' out
fi
"$bureau" manual >bureau.1
grep -q '^\.SH "\?COMMANDS' bureau.1
if command -v man >/dev/null 2>&1; then [ -z "$(LC_ALL=C man -l --warnings bureau.1 2>&1 >/dev/null)" ]; fi

# An id that stands twice in one file.
one=$("$bureau" create teams name=Once)
"$bureau" delete "$one" >/dev/null
printf '{"id":"%s","name":"first"}\n{"id":"%s","name":"second"}\n' "$one" "$one" >twins.jsonl
refused 'line 2: id: the row of line 1 has the same' "$bureau" import teams twins.jsonl
"$bureau" list teams --format json | grep -q '"first"' && { say "a row came in"; exit 1; }
"$bureau" import teams twins.jsonl --skip-bad 2>/dev/null | grep -q '1 imported, 0 already there, 1 left out'
