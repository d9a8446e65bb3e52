#!/bin/sh
# `bureau achievements`, `points` and `leaderboard` as their user meets them. Argument: the program.
. "$(dirname -- "$0")/test_shell.sh"
sample=$here/data

for command in import list show award revoke; do
  expect 0 "--help" "$bureau" achievements $command --help
done
expect 2 "" "$bureau" achievements
expect 2 "" "$bureau" leaderboard --period decade
expect 0 "made" "$bureau" init
expect 0 "" "$bureau" leaderboard --format csv
expect 0 "5 imported" "$bureau" deals import "$sample/deals"
expect 1 "cannot be read" "$bureau" achievements import nowhere.json
expect 0 "3 achievements, 1 point rules" "$bureau" achievements import "$sample/rewards.json" --history
expect 0 "3 achievements, 1 point rules" "$bureau" achievements import "$sample/rewards.json"
expect 0 "Closer" "$bureau" achievements list --where 'rarity >= "rare"'
expect 0 '"key":"medal"' "$bureau" achievements list --format json
# What was won before counts, with --history: S001 and S002, or who owns them.
expect 0 "first_deal" "$bureau" points "Ines Okafor"
expect 0 '"points":140' "$bureau" points "Ines Okafor" --format json
expect 0 '1,Ines Okafor,' "$bureau" leaderboard --format csv
expect 0 '"rank":1' "$bureau" leaderboard --period week --format json
expect 0 " to " "$bureau" leaderboard --period month
expect 0 "Ines Okafor" "$bureau" achievements show closer
expect 0 "[]" "$bureau" leaderboard --period day --day 2026-01-01 --format json
# What is undone is taken back.
expect 0 "" "$bureau" deals list --where 'state = "won"' --format csv
expect 0 "" "$bureau" deals reopen S001
expect 0 '"points":30' "$bureau" points "Ines Okafor" --format json
expect 0 '"state":"revoked"' "$bureau" points "Ines Okafor" --format json
expect 0 '[]' "$bureau" achievements show closer --format json
expect 0 "taken back" "$bureau" points "Ines Okafor"
expect 0 "reverses" "$bureau" points "Ines Okafor" --format csv
# By hand.
expect 0 "has medal" "$bureau" achievements award medal "Ines Okafor"
expect 0 '"points":80' "$bureau" points "Ines Okafor" --format json
expect 1 "has \"medal\"" "$bureau" achievements award medal "Ines Okafor"
expect 1 "its criteria" "$bureau" achievements award closer "Ines Okafor"
expect 1 "no achievement" "$bureau" achievements award oak "Ines Okafor"
expect 1 "there is no \"Nemo\"" "$bureau" achievements award medal Nemo
expect 0 "no longer has" "$bureau" achievements revoke medal "Ines Okafor"
expect 1 "there is no \"Nemo\"" "$bureau" points Nemo
expect 1 "YYYY-MM-DD" "$bureau" leaderboard --period day --day yesterday

bad() { # bad TEXT JSON: what an import of it says
  printf '%s' "$2" >bad.json
  expect 1 "$1" "$bureau" achievements import bad.json
}
bad "bad.json" '{'
bad "never can be met: state has no value" '{"achievements":[{"key":"x","name":"X","criteria":{"table":"deals","where":"state = \"won\" and state = \"lost\""}}]}'
bad "there is no table \"dreams\"" '{"achievements":[{"key":"x","name":"X","criteria":{"table":"dreams"}}]}'
bad "achievements[0], target: 0 is not between" '{"achievements":[{"key":"x","name":"X","target":0,"criteria":{"table":"deals"}}]}'
bad "points: that of \"closer\" stays as it was made" '{"achievements":[{"key":"closer","name":"Closer","target":2,"repeatable":true,"points":7,"criteria":{"table":"deals","where":"state = \"won\" and value_minor >= 100000","user":"owner"}}]}'
bad "rules[0], points: 0 is not between" '{"rules":[{"key":"x","name":"X","points":0,"criteria":{"table":"deals"}}]}'
bad "colour: it is not known here" '{"achievements":[{"key":"x","name":"X","colour":"red"}]}'
expect 0 '"key":"closer"' "$bureau" achievements list --format json
echo "the rewards of the command line do what they say"
