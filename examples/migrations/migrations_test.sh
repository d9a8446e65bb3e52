#!/bin/sh
# Argument: the program. A release with other tables, from the first version to the second and back,
# with both at work in between.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
program=$1
export BUREAU_OFFICE="$scratch/office.db"
old() { "$program" 1 "$@"; }
new() { "$program" 2 "$@"; }
fail() { echo "$*" >&2; cat "$scratch/err" >&2; exit 1; }
refused() {  # refused TEXT COMMAND...
  text=$1
  shift
  if "$@" >/dev/null 2>"$scratch/err"; then fail "not refused: $*"; fi
  grep -qF -- "$text" "$scratch/err" || fail "\"$text\" is not said by: $*"
}
says() {  # says TEXT COMMAND...
  text=$1
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" || fail "failed: $*"
  grep -qF -- "$text" "$scratch/out" "$scratch/err" || fail "\"$text\" is not said by: $*"
}

old init >/dev/null
lathe=$(old create machines name='lathe 3' condition=noisy note='bearing')
old create machines name='mill 1' condition=running note='' >/dev/null
says finalized old migrate status

# Nobody is migrated by looking.
says pending new migrate status
refused 'migration 2 (sites, states and labels; no notes) is not applied' new list machines
says 'machines.condition: also named state' new migrate plan
says 'machines.site: new, with "main hall"' new migrate plan
says 'labels of names (' new migrate plan
says 'machines.condition: also named state' new migrate
says expanded new migrate status

# Both work, and see what the other writes.
new list machines --columns name,state,site,label --format csv >"$scratch/out"
grep -q '^lathe 3,noisy,main hall,LAT-3' "$scratch/out" || fail "$(cat "$scratch/out")"
new change "$lathe" state=standing >/dev/null
says 'lathe 3,standing' old list machines --columns name,condition --format csv
old change "$lathe" condition=running >/dev/null
says 'lathe 3,running' new list machines --columns name,state --format csv
old create machines name='press 9' condition=standing note='of the old one' >/dev/null
says 'press 9,standing,main hall' new list machines --columns name,state,site --format csv
new create machines name='saw 4' state=noisy site='yard' label=S4 >/dev/null
says 'saw 4,noisy' old list machines --columns name,condition --format csv
says 'of a newer program' old migrate status

# And back, when it is agreed to what is lost.
says 'machines.site of' new migrate plan --down
refused 'this would be lost' new migrate down
says 'machines.state: goes; its values are in condition' new migrate down --accept-loss
says 'saw 4,noisy' old list machines --columns name,condition --format csv
says 'bearing' old list machines --format csv

# For good: what the old one wrote meanwhile is filled first.
new migrate >/dev/null
old create machines name='drill 7' condition=noisy note='' >/dev/null
says 'machines.note: goes' new migrate plan --finalize
refused 'machines.note of' new migrate --finalize
says 'machines.note: goes' new migrate --finalize --accept-loss
says 'drill 7,noisy,DRI-7' new list machines --columns name,state,label --format csv
refused 'older than the office' old list machines
refused 'is finalized' new migrate down
says 'nothing to do' new migrate
says '"state":"finalized"' new migrate status --format json
