#!/bin/sh
# Offices that cannot be used, as their user meets them: every command ends with exit code 1, says
# which file, what is wrong with it and what to do, and leaves it as it was. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"
locker=
clean_up() {
  [ -z "$locker" ] || kill "$locker" 2>/dev/null || true
  chmod -R u+w "$scratch" 2>/dev/null || true
  rm -rf "$scratch"
}
chmod 755 "$scratch"
printf 'id,text\na1,My card was stolen\n' >inbox.csv
printf 'text,category\nstolen,card\n' >train.csv

contents() { if [ -f "$1" ]; then cksum <"$1"; else ls -d "$1" 2>/dev/null || true; fi; }

# refused FILE TEXT [PREFIX...]: by every command; PREFIX is put before the program.
refused() {
  office=$1 text=$2
  shift 2
  before=$(contents "$office")
  beside=$(ls "$office"* 2>/dev/null || true)
  for command in "init" "tickets list" "tickets import inbox.csv" "train train.csv" "agents list" \
    "work --until-idle" "watch tickets --once" "tasks list" "tasks show tsk_1" "tasks retry tsk_1" \
    "tasks cancel tsk_1" "deals list" "deals forecast" "deals funnel" "stats" "ps" "doctor" "verify" "journal trim" "top --count 1"; do
    status=0
    # shellcheck disable=SC2086
    "$@" "$bureau" --office "$office" $command >out 2>err || status=$?
    [ "$status" = 1 ] || fail "$office, $command: exit code $status"
    [ ! -s out ] || fail "$office, $command: it prints what is no error"
    if [ "$command" = init ] && [ -n "${init_text:-}" ]; then want=$init_text; else want=$text; fi
    grep -qF -- "$want" err || fail "$office, $command: \"$want\" is not said"
    grep -qF -- "$office" err || fail "$office, $command: the file is not named"
    [ "$(wc -l <err)" = 1 ] || fail "$office, $command: more than one line"
  done
  [ "$(contents "$office")" = "$before" ] || fail "$office was changed"
  case $text in
    *damaged*) ;; # it is ours, and so are the locks beside it
    *) [ "$(ls "$office"* 2>/dev/null || true)" = "$beside" ] || fail "files were made beside $office" ;;
  esac
}

"$bureau" --office good.db init >out
"$bureau" --office good.db tickets import inbox.csv >out

# Not a database, or damaged.
printf 'Dear Sir or Madam,\n%5000s\n' x >letter.txt
refused letter.txt "it is not a database"
cp good.db header.db
printf 'SQLite fermat 3' | dd of=header.db conv=notrunc status=none
refused header.db "it is not a database"
cp good.db short.db
truncate -s 8192 short.db
refused short.db "it is damaged; restore a backup"
cp good.db page.db
head -c 12288 /dev/urandom | dd of=page.db bs=4096 seek=1 conv=notrunc status=none
refused page.db "it is damaged; restore a backup"

# Not ours.
mkdir folder.db
refused folder.db "it is a folder"
python3 - <<'END'
import sqlite3
other = sqlite3.connect("other.db")
other.execute("PRAGMA application_id=77")
other.execute("CREATE TABLE t(a)")
other.commit()
import shutil
shutil.copy("good.db", "newer.db")
newer = sqlite3.connect("newer.db")
newer.execute("PRAGMA user_version=9")
newer.execute("UPDATE bureau_meta SET value='9'")
newer.commit()
END
refused other.db "it belongs to another program"
refused newer.db "made by a newer bureau"

# Nowhere. An office that is not there is made by init alone, and in a folder that is there.
init_text="its folder must exist" refused absent/office.db "there is no such office"
[ ! -e absent ] || fail "a folder was made"
init_text="an office is a file" refused :memory: "there is no such office"
: >empty.db
for command in "tickets list" "stats"; do
  status=0
  # shellcheck disable=SC2086
  "$bureau" --office empty.db $command >out 2>err || status=$?
  [ "$status" = 1 ] && grep -q "bureau init" err || fail "empty.db, $command: $status"
done
"$bureau" --office empty.db init >out || fail "an empty file cannot become an office"

# Locked by another program, for longer than anybody waits.
cp good.db locked.db
python3 - <<'END' &
import sqlite3, time
other = sqlite3.connect("locked.db", isolation_level=None)
other.execute("BEGIN EXCLUSIVE")
open("is_locked", "w").close()
while True:
    time.sleep(1)
END
locker=$!
while [ ! -e is_locked ]; do sleep 0.05; done
status=0
"$bureau" --office locked.db tickets import inbox.csv >out 2>err || status=$?
[ "$status" = 1 ] || fail "locked.db: exit code $status"
grep -qF "locked.db" err && grep -qF "it is locked by another program; try again" err ||
  fail "locked.db: the lock is not said"
kill "$locker"
wait "$locker" 2>/dev/null || true
locker=

# Read-only. Root may write everything, so this is for somebody else.
if [ "$(id -u)" = 0 ]; then
  command -v setpriv >/dev/null || exit 0
  as_other="setpriv --reuid=65534 --regid=65534 --clear-groups"
  mkdir theirs && chown 65534:65534 theirs
else
  as_other= && mkdir theirs
fi
cp good.db theirs/file.db
mkdir theirs/folder && cp good.db theirs/folder/office.db
[ "$(id -u)" != 0 ] || chown -R 65534:65534 theirs
chmod 444 theirs/file.db
chmod 555 theirs/folder
# shellcheck disable=SC2086
refused theirs/file.db "it is read-only; the file and its folder must be writable" $as_other
# shellcheck disable=SC2086
refused theirs/folder/office.db "it is read-only; the file and its folder must be writable" $as_other

"$bureau" --office good.db stats >out || fail "the good office"
