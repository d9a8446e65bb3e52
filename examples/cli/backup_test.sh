#!/bin/sh
# `bureau backup`, `restore`, `verify` and `move`, as a user types them.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 1 "there is no such office" "$bureau" backup monday.db
expect 0 "made" "$bureau" init
printf 'id,text\na1,My card was stolen\na2,Where is it\n' >inbox.csv
expect 0 "2 imported" "$bureau" tickets import inbox.csv
expect 0 "monday.db: through change" "$bureau" backup monday.db --verify
expect 0 "whole, " "$bureau" backup --verify monday2.db
expect 1 "is there already" "$bureau" backup monday.db
expect 1 "only a backup is replaced" "$bureau" backup office.db --replace
expect 0 "through change" "$bureau" backup monday.db --replace
expect 1 "--as" "$bureau" --as nobody@example.com backup other.db
expect 2 "" "$bureau" backup

expect 0 "monday.db and what was restored of it are the same" "$bureau" verify monday.db --restore
[ ! -e monday.db-trial ] || fail "the trial is still there"
expect 0 "tickets" "$bureau" verify
expect 0 "are the same" "$bureau" verify monday.db --against office.db
expect 0 '"checksum":"' "$bureau" verify monday.db --format json
[ ! -e monday.db-wal ] || fail "a backup that was read has a log"

before=$("$bureau" stats --format json)
printf 'id,text\na3,Another one\n' >more.csv
expect 0 "1 imported" "$bureau" tickets import more.csv
after=$("$bureau" stats --format json)
expect 1 "tickets: 2 rows, and 3 in the other" "$bureau" verify monday.db --against office.db

# The office as it was, and the one that was there put aside.
expect 1 "there is an office already" "$bureau" restore monday.db
expect 0 "office.db-replaced-1" "$bureau" restore monday.db --replace
[ "$("$bureau" stats --format json)" = "$before" ] || fail "not the office of the backup"
[ "$("$bureau" --office office.db-replaced-1 stats --format json)" = "$after" ] || fail "what was put aside"

# All that came after, from the journal.
expect 0 "of them replayed" "$bureau" --office new.db restore monday.db --history office.db-replaced-1
[ "$("$bureau" --office new.db stats --format json)" = "$after" ] || fail "not all was replayed"
expect 0 "later.db: through change" "$bureau" --office office.db-replaced-1 backup --replace later.db
expect 1 "beyond the history" "$bureau" --office newer.db restore monday.db --history later.db --to-sequence 999999
expect 1 "earlier backup" "$bureau" --office newer.db restore monday.db --history later.db --to-moment 2021-01-01T00:00:00Z
expect 0 "of them replayed" "$bureau" --office newer.db restore monday.db --history later.db --to-moment 2200-01-01T00:00:00Z
[ ! -e newer.db-restoring ] || fail "something is left"
expect 2 "" "$bureau" restore monday.db --to-sequence 1 --to-moment 2021-01-01T00:00:00Z
expect 1 "it is an office, not a backup" "$bureau" --office x.db restore office.db
expect 1 "there is no such backup" "$bureau" --office x.db restore nowhere.db
[ ! -e x.db ] || fail "an office was made of nothing"

# The office that is there is the history of the one that replaces it.
expect 0 "1 imported" "$bureau" tickets import more.csv
expect 0 "of them replayed" "$bureau" restore monday.db --replace --to-moment 2200-01-01T00:00:00Z
[ "$("$bureau" stats --format json)" = "$after" ] || fail "its own journal was not replayed"
[ ! -e office.db-history ] || fail "the copy of the history is still there"

# What the journal forgets, no recovery reaches.
expect 0 "0 records removed; the oldest change is now 1" "$bureau" --office new.db journal trim
expect 0 "records removed" "$bureau" --office new.db journal trim --days 0
expect 1 "its oldest change is" "$bureau" --office y.db restore monday.db --history new.db
[ ! -e y.db ] || fail "half a recovery was left"

# Moves.
expect 0 "all were read back and are the same" "$bureau" move office.db moved.db
expect 0 "are the same" "$bureau" verify office.db --against moved.db
[ "$("$bureau" --office moved.db stats --format json)" = "$after" ] || fail "the office that moved is another"
expect 1 "there is an office already" "$bureau" move office.db moved.db
expect 0 "are the same" "$bureau" move monday.db from-backup.db
expect 1 "it is the same" "$bureau" move office.db office.db
