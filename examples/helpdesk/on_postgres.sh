#!/bin/sh
# on_postgres.sh PROGRAM ARGUMENTS...: runs the help desk, or what else takes --office, on a
# PostgreSQL server of its own: on loopback, its data in a temporary folder, as an unprivileged user
# also for root. The server ends with this script, even when that is killed. What BUREAU_POSTGRES_OPTIONS
# says is given to the server, such as "-c fsync=off".
set -eu

say() { printf '%s\n' "on_postgres: $*" >&2; }
die() { say "$*"; exit 1; }

# The folder of the newest server's programs, or that of BUREAU_POSTGRES_BIN.
find_programs() {
  if [ -n "${BUREAU_POSTGRES_BIN:-}" ]; then
    printf '%s\n' "$BUREAU_POSTGRES_BIN"
    return
  fi
  newest=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 2>/dev/null | sort -t / -k 5 -n | tail -n 1)
  if [ -n "$newest" ]; then
    printf '%s/bin\n' "$newest"
  elif found=$(command -v initdb); then
    dirname "$found"
  fi
}

programs=$(find_programs)
if [ ! -x "$programs/initdb" ] || [ ! -x "$programs/postgres" ]; then
  say 'skipped: no PostgreSQL server is installed (or set BUREAU_POSTGRES_BIN)'
  exit 77
fi

# root may not run a server.
as_user=
if [ "$(id -u)" -eq 0 ]; then
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  as_user="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups"
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/helpdesk-postgres-XXXXXX")
mkfifo "$folder/alive"
# Ends the server and removes its folder when this script, and all that it started, has let go of the
# fifo's other end: in a session of its own, because whoever kills the script may kill its session.
# shellcheck disable=SC2016
setsid sh -c '
  cat "$0/alive" >/dev/null
  if read -r pid <"$0/data/postmaster.pid"; then
    kill -QUIT "$pid"
    while kill -0 "$pid"; do sleep 0.1; done
  fi
  rm -rf "$0"
' "$folder" >/dev/null 2>&1 &
watcher=$!
exec 9>"$folder/alive"
trap 'exec 9>&-; wait "$watcher" || true' EXIT
trap 'exit 1' HUP INT TERM

password=$(od -An -N 16 -t x1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" >"$folder/password"
[ -z "$as_user" ] || chown -R "$user" "$folder"
cd "$folder"
$as_user "$programs/initdb" --pgdata="$folder/data" --username=desk --pwfile="$folder/password" \
  --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync >initdb.log 2>&1 9>&- ||
  die "initdb failed: $(cat initdb.log)"

# A port may be taken: then another is tried.
port=
for offset in 0 1 2 3 4 5 6 7 8 9; do
  try=$((15000 + ($$ * 7 + offset * 997) % 15000))
  if $as_user "$programs/pg_ctl" start --pgdata="$folder/data" --wait --silent --log="$folder/server.log" \
    --options="-c listen_addresses=127.0.0.1 -c port=$try -c unix_socket_directories=$folder -c max_connections=100 ${BUREAU_POSTGRES_OPTIONS:-}" \
    >start.log 2>&1 9>&-; then
    port=$try
    break
  fi
  grep -q 'could not bind' server.log || break
done
[ -n "$port" ] || die "the server does not start: $(cat start.log server.log)"
cd "$OLDPWD"

program=$1
shift
# The password is not among the arguments, which others can read.
export PGPASSWORD="$password"
say "a PostgreSQL server of its own on port $port"
"$program" --office "postgresql://desk@127.0.0.1:$port/postgres" "$@"
