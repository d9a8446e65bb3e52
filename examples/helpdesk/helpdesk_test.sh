#!/bin/sh
# The help desk as its user meets it: what it does, goes on with, and refuses.
set -eu
helpdesk=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

# refuses CODE TEXT ARGUMENTS...: it ends with that code, says TEXT, and makes no office.
refuses() {
  code=$1
  text=$2
  shift 2
  got=0
  "$helpdesk" --office refused.db --no-latency "$@" >out 2>&1 || got=$?
  [ "$got" -eq "$code" ] || { cat out; fail "$* ended with $got, not $code"; }
  grep -qF -- "$text" out || { cat out; fail "$* does not say: $text"; }
  [ ! -e refused.db ] || fail "$* left an office behind"
}

refuses 2 'bogus' --bogus
refuses 2 'threads' --threads 0
refuses 1 'no-such.csv: there is no such file' no-such.csv
refuses 1 'it is a folder' "$folder"
: >empty.csv
refuses 1 'empty.csv: the file is empty' empty.csv
printf 'text,category\n' >header.csv
refuses 1 'there is no row below the header' header.csv
printf 'text,colour\nhello,red\n' >unknown.csv
refuses 1 'unknown.csv, line 1: unknown column "colour"' unknown.csv
printf 'text,text\nhello,red\n' >twice.csv
refuses 1 'the column "text" is there twice' twice.csv
printf 'id,category\n1,red\n' >textless.csv
refuses 1 'there is no column "text", "message" or "body"' textless.csv
printf 'text,category\nhello,x\na,b,c\n' >wide.csv
refuses 1 'wide.csv, line 3: 3 fields, the header has 2' wide.csv
printf 'text\nhello\n"open\n' >open.csv
refuses 1 'open.csv, line 3, field 1: quoted field is not closed' open.csv
printf 'text\nhello\n\377\n' >bytes.csv
refuses 1 'bytes.csv, line 3, field 1: invalid UTF-8' bytes.csv
printf 'text\na\000b\n' >nul.csv
refuses 1 'nul.csv, line 2, field 1: a NUL' nul.csv
{ printf 'text\n'; head -c 10000000 /dev/zero | tr '\0' x; printf '\n'; } >huge.csv
refuses 1 'huge.csv, line 2, field 1: longer than' huge.csv
printf 'text\n"  "\n' >blank.csv
refuses 1 'blank.csv, line 2: text: it is empty' blank.csv
printf 'id,text\n1,a\n1,b\n' >ids.csv
refuses 1 'ids.csv, line 3: id: "1" is there twice' ids.csv
printf 'text,received_at\nhello,yesterday\n' >time.csv
refuses 1 'time.csv, line 2: received_at:' time.csv
printf 'text,email\nhello,nobody\n' >mail.csv
refuses 1 'mail.csv, line 2: email: "nobody" has no @' mail.csv
printf 'text,label\nhello,x\n' >train.csv
refuses 1 'train.csv, line 1: unknown column "label"' wide.csv train.csv --skip-bad

# The good rows of a bad file, when that is asked for.
"$helpdesk" --no-latency --skip-bad wide.csv >out 2>&1 || { cat out; fail 'skipping bad rows'; }
grep -qF 'left out: wide.csv, line 3: 3 fields' out || fail 'a row that was left out is not named'
grep -q '^1 tickets, 1 triaged, 1 drafted' out || fail 'the good row was not handled'

# The sample inbox, and once more in the same office: nothing is done twice.
"$helpdesk" --office desk.db >out 2>&1 || { cat out; fail 'the sample inbox'; }
grep -q '^imported 269 messages$' out || fail 'not all of the sample was imported'
grep -q '^269 tickets, 269 triaged, 269 drafted' out || fail 'not all of the sample was handled'
"$helpdesk" --office desk.db --json --no-latency >out 2>err || { cat err; fail 'once more'; }
grep -q '^imported 0 messages, 269 were there$' err || fail 'the sample was imported twice'
[ "$(wc -l <out)" -eq 1 ] || fail 'with --json there is one line'
grep -q '^{"tickets": 269, "triaged": 269, "drafted": 269, .*"training_seconds": 0.000}$' out ||
  { cat out; fail 'the JSON line'; }
printf 'the help desk does what it says\n'
