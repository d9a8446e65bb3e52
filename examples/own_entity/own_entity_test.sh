#!/bin/sh
# Argument: the program.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" demo "$scratch/office.db" >"$scratch/out"
cat >"$scratch/expected" <<'END'
Ada hears: insert lathe 3
Ada hears: update lathe 3
Ben looks for it: not_found
journal: insert by the office
journal: update by Ada
END
diff "$scratch/expected" "$scratch/out"

# The command line knows the entity too.
export BUREAU_OFFICE="$scratch/office.db"
"$1" --as ada@example.com list machines --columns name,condition >"$scratch/out"
printf 'name     condition\nlathe 3  noisy\n' | diff - "$scratch/out"
"$1" --as ben@example.com list machines --columns name | diff - /dev/stdin <<'END'
name
END
machine=$("$1" create machines name='mill 1' condition=standing)
"$1" change "$machine" condition=running >/dev/null
[ "$("$1" list machines --where 'condition = "running"' --format csv | grep -c 'mill 1')" = 1 ]
if "$1" create machines name='mill 2' condition=broken 2>"$scratch/err"; then exit 1; fi
grep -q 'condition.*running, noisy, standing' "$scratch/err"
