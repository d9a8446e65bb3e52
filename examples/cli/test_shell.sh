# What the tests of the command line begin with, to be sourced: an empty folder that goes away at the
# end, and words for what a command must do. The first argument of each is the program.
# shellcheck shell=sh
set -eu
bureau=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
scratch=$(mktemp -d)
clean_up() { rm -rf "$scratch"; }
trap clean_up EXIT
cd "$scratch"
unset BUREAU_OFFICE || true

fail() {
  echo "$*" >&2
  head -c 2000 out err >&2
  exit 1
}

# expect CODE TEXT COMMAND...: the exit code, and a text in what it prints.
expect() {
  code=$1 text=$2
  shift 2
  status=0
  "$@" >out 2>err || status=$?
  [ "$status" = "$code" ] || fail "expected exit code $code, got $status from: $*"
  [ -z "$text" ] || cat out err | grep -qF -- "$text" || fail "\"$text\" is not said by: $*"
}
