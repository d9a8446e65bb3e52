#!/bin/sh
# Argument: the program.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch/office.db" >"$scratch/out"
printf "10 steps on Qt's event loop\n" | diff - "$scratch/out"
