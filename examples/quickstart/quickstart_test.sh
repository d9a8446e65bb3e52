#!/bin/sh
# Arguments: the program, the README that shows it.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch/office.db" >"$scratch/out"
printf 'My grinder howls.\nWe have your message.\n' >"$scratch/expected"
diff "$scratch/expected" "$scratch/out"
sed -n '/^```cpp$/,/^```$/p' "$2" | sed '1d;$d' >"$scratch/shown"
diff "$here/main.cpp" "$scratch/shown"
