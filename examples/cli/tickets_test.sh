#!/bin/sh
# `bureau tickets link|merge|split|bulk`, `views`, `macros`, `triggers` and `agents` as their user
# meets them. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"
roster=$here/data/agents/roster.csv

expect 0 "made" "$bureau" init
{
  echo "text,email"
  for i in 1 2 3 4; do echo "Message $i,cora@example.com"; done
  echo "Another,carl@example.com"
} >inbox.csv
expect 0 "5 imported" "$bureau" tickets import inbox.csv

expect 0 "linked" "$bureau" tickets link 1 parent 2
expect 1 "circle" "$bureau" tickets link 2 parent 1
expect 1 "not one of parent" "$bureau" tickets link 1 aunt 2
expect 0 "merged into: ticket 2" "$bureau" tickets merge '#1' 2
expect 1 "another customer" "$bureau" tickets merge 2 5
expect 1 "itself" "$bureau" tickets merge 2 2
expect 1 "circle" "$bureau" tickets merge 2 1
expect 1 "number 99" "$bureau" tickets merge 99 1
expect 0 "split off: ticket 6" "$bureau" tickets split 2 --messages 2 --subject "Apart"
expect 1 "messages" "$bureau" tickets split 2 --messages 17
expect 0 "merged" "$bureau" tickets list --where 'merged_into is not null'

expect 0 "2 changed, 0 refused" "$bureau" tickets bulk 3 4 --do set_priority=urgent add_tags=vip,eu set_field=region:eu
expect 0 "4" "$bureau" tickets list --where 'tags contains "vip" and custom.region = "eu"'
expect 1 "cannot become resolved" "$bureau" tickets bulk 1 3 --do set_status=resolved
expect 1 "1 changed, 1 refused" "$bureau" tickets bulk 1 3 --each --do set_status=resolved
expect 0 "2 changed" "$bureau" tickets bulk --where 'priority = "urgent"' --do remove_tags=eu
expect 1 "huge" "$bureau" tickets bulk 3 --do set_priority=huge
expect 1 "not one of set_status" "$bureau" tickets bulk 3 --do fly=away

expect 0 "saved" "$bureau" views save urgent --where 'priority = "urgent"' --sort "number desc" --columns number,tags
expect 0 "vip" "$bureau" views show urgent
expect 0 "urgent" "$bureau" views list
expect 1 "huge" "$bureau" views save bad --where 'priority = "huge"'
expect 1 "weight" "$bureau" views save bad --sort weight
expect 0 "" "$bureau" views remove urgent
expect 1 'no "urgent"' "$bureau" views show urgent

expect 0 "saved" "$bureau" macros save calm --do set_priority=low 'note=Calm down, {customer}.'
expect 0 "1 changed" "$bureau" macros apply calm 4
expect 1 "{custommer}" "$bureau" macros save bad --do 'reply=Dear {custommer}'
expect 0 "saved" "$bureau" triggers save mark --on created --where 'subject contains "Late"' --do add_tags=late
echo "text,email
Late again,cora@example.com" >late.csv
expect 0 "1 imported" "$bureau" tickets import late.csv
expect 0 "Late again" "$bureau" tickets list --where 'tags contains "late"'
expect 1 "staus" "$bureau" triggers save bad --on created --where 'staus = "open"' --do add_tags=late
expect 0 "mark" "$bureau" triggers list
expect 0 "" "$bureau" triggers remove mark

expect 0 "139 added" "$bureau" agents import "$roster"
expect 0 "139 as they were" "$bureau" agents import "$roster"
expect 0 "139 configured, 0 operational" "$bureau" agents list
expect 0 '"configured":true' "$bureau" agents list --format json
expect 1 "cannot be read" "$bureau" agents import nowhere.csv
echo "name,rank" >bad.csv
expect 1 '"rank"' "$bureau" agents import bad.csv

# What a cell of a bad row holds does not reach the terminal.
printf 'text,email\nGood,dora@example.com\nBad,a\033[31mb\302\233c\n' >odd.csv
expect 0 "1 left out" "$bureau" tickets import odd.csv --skip-bad
grep -q 'left out: .*a \[31mb c' err || fail "what was left out is not shown"
if grep -q "$(printf '\033')" err; then fail "an ESC was printed"; fi
echo "tickets, views, macros, triggers and agents do what they say"
