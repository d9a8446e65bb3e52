#!/bin/sh
# Tests ./dev as its user meets it: usage, exit codes, and how missing packages are installed, with
# stand-ins for dpkg-query, id, sudo and apt-get that only say what they were asked.
# usage: dev_test.sh SOURCE SCRATCH
set -eu
dev=$1/dev
scratch=$2
rm -rf "$scratch"
mkdir -p "$scratch/bin" "$scratch/sudo"
failures=0

# expect WHAT EXIT_CODE STDOUT_PATTERN STDERR_PATTERN COMMAND...
expect() {
  what=$1 code=$2 out=$3 err=$4
  shift 4
  got=0
  "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || got=$?
  if [ "$got" -ne "$code" ] || ! holds "$out" "$scratch/out" || ! holds "$err" "$scratch/err"; then
    echo "not so: $what (exit code $got, expected $code)"
    sed 's/^/  out: /;9q' "$scratch/out"
    sed 's/^/  err: /;9q' "$scratch/err"
    failures=$((failures + 1))
  fi
}
any='' # whatever it is, or nothing
holds() { [ -z "$1" ] || grep -Eq -- "$1" "$2"; }

stub() { printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1"; }
# doctest-dev and mold are missing; the package lists are good after an update only.
stub "$scratch/bin/dpkg-query" 'case $4 in doctest-dev|mold) exit 1;; *) printf installed;; esac'
# shellcheck disable=SC2016
stub "$scratch/bin/apt-get" 'echo "apt-get $*" >>"$CALLS"
case "$*" in
  *--simulate*) [ -e "$CALLS.updated" ] ;;
  *update*) : >"$CALLS.updated" ;;
esac'
# shellcheck disable=SC2016
stub "$scratch/sudo/sudo" 'echo "sudo $*" >>"$CALLS"; exec "$@"'
# What ./dev needs besides, without the machine's own sudo.
for tool in sh sed cat dirname printf env grep; do
  ln -s "$(command -v "$tool")" "$scratch/bin/$tool" 2>/dev/null || true
done
export CALLS="$scratch/calls"

as() { # as USER_ID [with-sudo] COMMAND...
  stub "$scratch/bin/id" "echo $1"
  path=$scratch/bin
  shift
  if [ "$1" = with-sudo ]; then
    path=$path:$scratch/sudo
    shift
  fi
  rm -f "$CALLS" "$CALLS.updated"
  PATH=$path "$@"
}

expect "help is on stdout" 0 '^usage: ./dev COMMAND' "$any" "$dev" help
expect "no command is misuse" 2 "$any" '^dev: a command is missing' "$dev"
expect "an unknown command is misuse, with usage on stderr" 2 "$any" '^usage: ./dev COMMAND' "$dev" tset
expect "an unknown option is misuse" 2 "$any" "does not know '--lnog'" "$dev" test --lnog
expect "an unknown preset is misuse" 2 "$any" "no preset 'fast'" "$dev" build fast
expect "an unknown benchmark is misuse" 2 "$any" "no benchmark 'speed'" "$dev" bench speed
expect "an unknown fuzz target is misuse" 2 "$any" "no fuzz target 'noise'" "$dev" fuzz noise
[ -x "$1/.ci/run" ] || { echo "not so: .ci/run can be run"; failures=$((failures + 1)); }

expect "root installs what is missing" 0 "$any" 'installing: mold doctest-dev' \
  as 0 "$dev" packages
expect "root updates lists that lack a package, and installs without a question" 0 \
  '^apt-get -qq update$' "$any" cat "$CALLS"
expect "only what is missing is installed" 0 '^apt-get -qq install -y .* mold doctest-dev$' \
  "$any" cat "$CALLS"
expect "without root, sudo installs" 0 "$any" 'installing' as 1000 with-sudo "$dev" packages
expect "through sudo" 0 '^sudo env DEBIAN_FRONTEND=noninteractive apt-get .*install' "$any" \
  cat "$CALLS"
expect "with neither, the command to run is named" 1 "$any" \
  'apt-get install --no-install-recommends mold doctest-dev' as 1000 "$dev" packages

# One list: the README names it and repeats none of it.
if grep -Eq 'libsqlitecpp-dev|nlohmann-json3-dev' "$1/README.md" "$1/.ci/run" "$1/dev"; then
  echo "not so: packages are listed in packages.txt alone"
  failures=$((failures + 1))
fi
[ "$failures" -eq 0 ]
