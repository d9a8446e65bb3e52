#!/bin/sh
# `bureau inbox` and `bureau notifications` as their user meets them. Argument: the program.
set -eu
bureau=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
unset BUREAU_OFFICE || true

expect() { # expect CODE TEXT COMMAND...: the exit code, and a text in what it prints
  code=$1 text=$2
  shift 2
  status=0
  "$@" >out 2>err || status=$?
  if [ "$status" != "$code" ] || { [ -n "$text" ] && ! cat out err | grep -qF -- "$text"; }; then
    echo "expected exit code $code and \"$text\", got $status from: $*" >&2
    head -c 2000 out err >&2
    exit 1
  fi
}
ada="--user ada@example.com"
tell() { "$bureau" notifications send $ada --event ticket.assigned --title "Ticket 7 is yours" "$@"; }

expect 0 "made" "$bureau" init
printf 'text,customer,email\nMy grinder howls.,Ada,ada@example.com\n' >mail.csv
expect 0 "1 imported" "$bureau" tickets import mail.csv

expect 0 ": completed" tell --key 1
expect 0 "was there already" tell --key 1
expect 0 ": completed" tell --key 2
expect 0 ": completed" tell --key 3
expect 0 "3 unread, 3 unseen" "$bureau" inbox list $ada
expect 0 '"state":"unseen"' "$bureau" inbox list $ada --format json
item=$("$bureau" inbox list $ada --format csv --limit 1 | tail -n 1 | cut -d, -f1)
expect 0 "$item: read" "$bureau" inbox read $ada "$item"
expect 0 "2 unread, 2 unseen" "$bureau" inbox list $ada --unread
expect 0 "$item: archived" "$bureau" inbox archive $ada "$item"
expect 0 "$item" "$bureau" inbox list $ada --archived
expect 0 "2 changed" "$bureau" inbox read $ada --all
expect 0 "2 changed" "$bureau" inbox archive $ada --all
expect 0 "completed" "$bureau" notifications list
told=$("$bureau" notifications list --format csv --limit 1 | tail -n 1 | cut -d, -f1)
expect 0 "in_app" "$bureau" notifications deliveries "$told"

expect 1 'channels: "pigeon" is no channel of this office; there are in_app' tell --key 4 --channel pigeon
expect 1 'nobody has the address "eve@example.com"' "$bureau" inbox list --user eve@example.com
expect 1 "name one, or say --all" "$bureau" inbox read $ada
expect 1 "inb" "$bureau" inbox read $ada inb_nonsense
expect 1 "no row" "$bureau" inbox read $ada inb_0000000000007
