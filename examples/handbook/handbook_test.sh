#!/bin/sh
# Argument: a program of this folder, which is given an office of its own. `handbook` prints what it
# heard and the text of a predicate.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch/office.db" >"$scratch/out"
case $1 in
  *handbook)
    printf 'insert\npriority >= "high" and team in ()\n' | diff - "$scratch/out"
    ;;
  *) [ -s "$scratch/office.db" ] ;;
esac
