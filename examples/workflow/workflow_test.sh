#!/bin/sh
# Arguments: the program, what it is to print.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch/office.db" >"$scratch/out"
diff "$2" "$scratch/out"
