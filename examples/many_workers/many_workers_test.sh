#!/bin/sh
# Argument: the program.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch/office.db" >"$scratch/out"
echo '600 letters, each stamped once, by 3 workers on one file' | diff - "$scratch/out"
if "$1" 2>"$scratch/err"; then exit 1; fi
grep -q usage "$scratch/err"
