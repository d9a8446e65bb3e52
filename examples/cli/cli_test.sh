#!/bin/sh
# The command line as its user meets it. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"
data=$here/../helpdesk/data

expect 0 "tickets" "$bureau" --help
for command in init train agents work tasks stats watch "watch tickets" "tickets import" "tickets list" "tasks show" "tasks retry" "tasks cancel"; do
  # shellcheck disable=SC2086
  expect 0 "--help" "$bureau" $command --help
done
expect 2 "" "$bureau"
expect 2 "" "$bureau" nonsense
expect 1 "there is no such office" "$bureau" tickets list
[ ! -e office.db ] || { echo "an office was made by looking for one" >&2; exit 1; }
expect 0 "made" "$bureau" init
expect 1 "is there already" "$bureau" init
expect 0 "imported, 0 already there" "$bureau" tickets import "$data/inbox.csv"
expect 0 "0 imported" "$bureau" tickets import "$data/inbox.csv"
expect 1 "no classifier has been trained" "$bureau" work --until-idle
expect 0 "cross-validation" "$bureau" train "$data/train.csv"
expect 0 "" "$bureau" work --until-idle
expect 0 "number  status" "$bureau" tickets list --limit 1
expect 0 "draft_reply" "$bureau" tasks list --where 'status = "completed"' --limit 500
[ "$("$bureau" tasks list --where 'status = "dead"' --format json)" = "[]" ] || {
  echo "following the README leaves tasks dead" >&2
  exit 1
}
expect 0 '"tickets":' "$bureau" stats --format json
expect 0 "triage_ticket" "$bureau" agents list
expect 0 "open" "$bureau" tickets list --where 'status = "open" and priority >= "normal"'
expect 0 "[{" "$bureau" tickets list --format json --limit 1
expect 1 "column" "$bureau" tickets list --where 'status = '
expect 1 "nonsuch" "$bureau" tickets list --where 'nonsuch = 1'
expect 2 "" "$bureau" tickets list --format xml
expect 1 "cannot be read" "$bureau" tickets import nowhere.csv
printf 'id,subject\n1,2\n' >columns.csv
expect 1 "needs a column" "$bureau" tickets import columns.csv
printf 'text,colour\nhello,red\n' >unknown.csv
expect 1 'unknown column "colour"' "$bureau" tickets import unknown.csv
printf 'id,text\nd1,hello\nd1,world\n' >twice.csv
expect 1 'line 3, id: "d1" is there twice' "$bureau" tickets import twice.csv
expect 0 "1 imported, 0 already there, 1 left out" "$bureau" tickets import --skip-bad twice.csv
printf 'text\naaaa\n' >one.csv
printf 'text\nbbbb\n' >other.csv
expect 0 "1 imported" "$bureau" tickets import one.csv
expect 0 "1 imported" "$bureau" tickets import other.csv
expect 0 "0 imported, 1 already there" "$bureau" tickets import other.csv
{ printf 'id,subject,text\nl1,'; head -c 600 /dev/zero | tr '\0' s; printf ',hello\nl2,ok,fine\n'; } >long.csv
expect 1 "line 2, subject: has 600 characters" "$bureau" tickets import long.csv
expect 0 "1 imported, 0 already there, 1 left out" "$bureau" tickets import --skip-bad long.csv
expect 1 "it is a folder" "$bureau" tickets import .
printf 'text,category\nhello,\nworld,b\n' >nolabel.csv
expect 1 "line 2, category: is empty" "$bureau" train nolabel.csv
expect 2 "" "$bureau" tickets list --limit -1
[ ! -e /dev/full ] || { status=0; "$bureau" stats >/dev/full 2>err || status=$?; [ "$status" = 1 ] && grep -q "written" err; }
printf 'text\n"never closed\n' >unclosed.csv
expect 1 "line 2" "$bureau" tickets import unclosed.csv
printf 'id,text\nx1,good\nx2\nx3,also good\n' >count.csv
expect 1 "line 3" "$bureau" tickets import count.csv
expect 0 "0 already there" "$bureau" tickets import --skip-bad count.csv
expect 0 "2 already there, 1 left out" "$bureau" tickets import --skip-bad count.csv
printf 'id,text\nf1,=cmd()\n' >formula.csv
expect 0 "1 imported" "$bureau" tickets import formula.csv
expect 0 "'=cmd()" "$bureau" tickets list --format csv --limit 1
expect 0 '"change":"insert"' "$bureau" watch tickets --after 0 --once
expect 0 "" "$bureau" watch tickets --once
expect 1 "sequence" "$bureau" watch tickets --after 99999999 --once
task=$("$bureau" tasks list --where 'status = "ready"' --limit 1 | awk 'NR==2 {print $1}')
expect 0 "$task" "$bureau" tasks show "$task"
expect 1 "cannot become" "$bureau" tasks retry "$task"
expect 0 "not before 2" "$bureau" tasks snooze "$task" --seconds 60
expect 0 "$task" "$bureau" tasks list --where 'status = "scheduled"'
expect 0 "0 ready" "$bureau" tasks retry --where 'kind = "triage_ticket"'
expect 1 "say either" "$bureau" tasks retry "$task" --where 'kind = "triage_ticket"'
expect 1 "say either" "$bureau" tasks retry
expect 0 "cancelled" "$bureau" tasks cancel "$task"
expect 1 "cannot become" "$bureau" tasks snooze "$task" --seconds 60
expect 1 "" "$bureau" tasks show tsk_nonsense
BUREAU_OFFICE=$scratch/office.db expect 0 "tickets" "$bureau" stats
echo "text" >other.db
expect 1 "" "$bureau" --office other.db stats
echo "the command line does what it says"
