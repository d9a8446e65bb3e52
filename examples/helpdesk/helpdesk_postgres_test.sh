#!/bin/sh
# The help desk on a PostgreSQL server that it is given for the time that it runs.
set -eu
helpdesk=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=$(mktemp -d)
script=
trap '[ -z "$script" ] || kill -9 "-$script" 2>/dev/null || true; rm -rf "$folder"' EXIT
chmod 711 "$folder"  # where this is root, the server is another user
export TMPDIR="$folder"
cd "$folder"

fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

got=0
"$here/on_postgres.sh" "$helpdesk" --json --no-latency >out 2>err || got=$?
[ "$got" -ne 77 ] || { cat err; exit 77; }
[ "$got" -eq 0 ] || { cat err; fail 'the sample inbox'; }
grep -q '^imported 269 messages$' err || { cat err; fail 'not all of the sample was imported'; }
grep -q '^{"tickets": 269, "triaged": 269, "drafted": 269, .*"file_bytes": null,' out ||
  { cat out err; fail 'the JSON line'; }
[ -z "$(ls -d helpdesk-postgres-* 2>/dev/null)" ] || fail 'the server left its folder behind'

# What becomes of the server when the script and all that it started are killed.
printf '#!/bin/sh\nexec sleep 600\n' >waits
chmod +x waits
rm err  # what the first run said is not to be read again
setsid "$here/on_postgres.sh" ./waits >out 2>err &
script=$!
tries=0
until grep -q 'a PostgreSQL server' err 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || { cat err; fail 'the server did not start'; }
  sleep 0.1
done
kill -9 "-$script"
script=
tries=0
while [ -n "$(ls -d helpdesk-postgres-* 2>/dev/null)" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || fail 'a server was left running'
  sleep 0.1
done
printf 'the help desk does the same on PostgreSQL\n'
