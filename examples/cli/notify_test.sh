#!/bin/sh
# `bureau inbox` and `bureau notifications` as their user meets them. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"

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

# What a user wants to be told of.
expect 0 "ticket.assigned on in_app: off" "$bureau" preferences set $ada --event ticket.assigned --channel in_app --off
expect 0 "ticket.assigned,in_app,false" "$bureau" preferences list $ada --format csv
expect 0 ": skipped" tell --key 5
expect 0 "as what is more general says" "$bureau" preferences clear $ada --event ticket.assigned --channel in_app
expect 0 ": completed" tell --key 6
expect 1 "say either --on or --off" "$bureau" preferences set $ada
expect 1 '"pigeon"' "$bureau" preferences set $ada --channel pigeon --off
expect 1 "name one with --user EMAIL, or be one with --as" "$bureau" preferences list
expect 0 "* on in_app: off" "$bureau" --as ada@example.com preferences set --channel in_app --off
expect 1 "" "$bureau" --as ada@example.com preferences set --user eve@example.com --off

# Webhooks. A secret is shown once.
expect 0 "shop: secret whsec_" "$bureau" webhooks add shop https://example.com/hook --event ticket.assigned
secret=$(sed 's/.*secret //' out)
expect 1 "shop" "$bureau" webhooks add shop https://example.com/other
expect 1 "http" "$bureau" webhooks add door ftp://example.com/
for format in table csv json; do
  expect 0 "https://example.com/hook" "$bureau" webhooks list --format $format
  ! grep -qF "$secret" out || fail "the secret is listed"
done
expect 0 "shop: disabled" "$bureau" webhooks disable shop --reason "moving house"
expect 0 "moving house" "$bureau" webhooks list --where 'enabled = false'
expect 0 "shop: enabled" "$bureau" webhooks enable shop
expect 0 "shop: secret " "$bureau" webhooks renew-secret shop
[ "$secret" != "$(sed 's/.*secret //' out)" ] || fail "the secret stayed"
expect 1 'there is none named "ship"' "$bureau" webhooks enable ship
expect 1 "" "$bureau" --as ada@example.com webhooks add mine https://example.com/mine
expect 0 "" "$bureau" webhooks remove shop
expect 1 "there is none named" "$bureau" webhooks remove shop

# What is the whole office's is nobody's own.
for command in "sql select+1" stats ps doctor "agents list" "work --until-idle" init; do
  # shellcheck disable=SC2086
  expect 1 "about the whole office" "$bureau" --as ada@example.com $command
done
