#!/bin/sh
# `bureau sql`, `ps`, `top` and `doctor`, as their user meets them. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"
umask 022
printf 'id,text\na1,My card was stolen\na2,Where is my money\n' >inbox.csv

runs() {
  "$bureau" "$@" >out 2>err || fail "bureau $*: exit code $?"
}
# refused TEXT COMMAND...: exit code 1, and the text in the error.
refused() {
  text=$1
  shift
  status=0
  "$bureau" "$@" >out 2>err || status=$?
  [ "$status" = 1 ] || fail "bureau $*: exit code $status"
  grep -qF -- "$text" err || fail "bureau $*: \"$text\" is not said"
  [ ! -s out ] || fail "bureau $*: it prints what is no error"
}
says() { grep -qF -- "$1" out || fail "\"$1\" is not said"; }

runs init
runs tickets import inbox.csv
for file in office.db office.db-lock office.db-nodes office.db-wake; do
  [ "$(stat -c %a "$file")" = 600 ] || fail "$file: mode $(stat -c %a "$file")"
done

# SQL reads, in each form, with parameters and a limit.
runs sql 'select count(*) as tickets from tickets' --format json
says '[{"tickets":2}]'
runs sql 'select number, subject from tickets where number = ? order by number' --param 1 --format csv
says 'number,subject'
runs sql 'select number from tickets' --limit 1
grep -qF 'there is more than 1 rows' err || fail "the limit is not said"
runs sql 'select number from tickets where number > 99'
says 'number'
runs sql 'with t as (select kind from tasks) select kind, count(*) n from t group by kind'
says 'triage'
before=$(cksum <office.db)
refused 'INSERT: only reading is allowed' sql "insert into tickets(id) values(1)"
refused 'UPDATE: only reading is allowed' sql "update tickets set subject = 'x'"
refused 'DELETE: only reading is allowed' sql "delete from tickets"
refused 'only reading is allowed' sql "drop table tickets"
refused 'ATTACH: no other file may be opened' sql "attach 'other.db' as other"
refused 'PRAGMA writable_schema' sql "pragma writable_schema = 1"
refused 'PRAGMA journal_mode' sql "pragma journal_mode = delete"
refused 'one statement at a time' sql "select 1; delete from tickets"
refused 'BEGIN, COMMIT or ROLLBACK' sql "begin"
refused 'a secret column is never read' sql "select value from bureau_settings"
refused 'a secret column is never read' sql "select 1 from bureau_settings order by value"
refused 'load_extension' sql "select load_extension('x')"
refused 'there is no statement' sql "-- nothing"
refused 'syntax error' sql "select from where"
refused '1 parameters, 0 were given' sql "select ?"
refused 'deadline' sql --seconds 0.05 \
  "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
[ "$(cksum <office.db)" = "$before" ] || fail "the file was changed"
[ ! -e other.db ] || fail "a file was made"

# What is stuck.
runs ps
says 'write lock'
says 'Queues'
runs ps --format json
says '"ready":2'
says '"writer":null'
runs top --count 2 --seconds 0.05
[ "$(wc -l <out)" = 2 ] || fail "top: $(wc -l <out) lines"
says 'ready 2'

# Is all well?
runs doctor
says 'the file is whole'
says 'journal_mode wal'
says 'nobody but the owner'
chmod 644 office.db
runs doctor --format json
says '"grade":"warning"'
says 'chmod 600'
chmod 600 office.db
python3 - <<'PY'
import sqlite3, time
office = sqlite3.connect("office.db")
office.execute("UPDATE bureau_journal SET at = at + 3600000000")
office.commit()
PY
status=0
"$bureau" doctor >out 2>err || status=$?
[ "$status" = 1 ] || fail "a clock that was set back: exit code $status"
says 'the clock was set back'

# A copy is told from its original.
cp office.db copy.db
runs --office copy.db sql "select value from bureau_meta where key = 'home'" --format csv
copy=$(tail -n 1 out)
runs sql "select value from bureau_meta where key = 'home'" --format csv
[ "$copy" != "$(tail -n 1 out)" ] || fail "a copy issues the ids of its original"

# A backup of a live office is whole, and can be worked on.
umask 077
python3 -c 'import sqlite3, sys
sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True).execute("VACUUM INTO ?", (sys.argv[2],))' \
  office.db backup.db
runs --office backup.db sql 'PRAGMA integrity_check' --format csv
says ok
runs --office backup.db sql 'select count(*) as tickets from tickets' --format json
says '[{"tickets":2}]'
runs --office backup.db tickets import inbox.csv

# A second signal ends what waits for a lock.
python3 - <<'PY' &
import fcntl, os, struct, time
file = os.open("office.db-lock", os.O_RDWR)
set_lock_of_the_description_and_wait = 38
fcntl.fcntl(file, set_lock_of_the_description_and_wait, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
open("held", "w").close()
time.sleep(60)
PY
holder=$!
while [ ! -e held ]; do sleep 0.1; done
"$bureau" ps >out 2>err &
waits=$!
sleep 1
kill -TERM "$waits"
sleep 0.2
kill -TERM "$waits" || fail "the first signal was the end already"
status=0
wait "$waits" || status=$?
kill "$holder"
[ "$status" = 143 ] || fail "a second signal: exit code $status"
