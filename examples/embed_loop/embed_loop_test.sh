#!/bin/sh
# Argument: the program.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" "$scratch/office.db" >"$scratch/out"
cat >"$scratch/expected" <<'END'
10 steps in 3 frames; the longest took 4000 us of 4000
10 steps in a loop with poll(2)
END
diff "$scratch/expected" "$scratch/out"
