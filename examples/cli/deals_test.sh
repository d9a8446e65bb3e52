#!/bin/sh
# `bureau deals` as its user meets it. Arguments: the program, and the folder with the real data or,
# for the sample beside this script, nothing.
. "$(dirname -- "$0")/test_shell.sh"
real=${2-}
sample=$here/data/deals

if [ -n "$real" ]; then
  if [ ! -d "$real" ]; then
    echo "skipped: there is no $real"
    exit 77
  fi
  expect 0 "made" "$bureau" init
  expect 0 "8800 imported, 0 already there; new: 85 accounts, 7 products, 41 people, 6 teams" "$bureau" deals import "$real"
  cp out report
  expect 0 "1480 with a product by another spelling, 1425 without an account, 2089 without a close date" cat report
  for again in 1 2; do # the same figures, also after a second import
    expect 0 '"won":{"count":4238,"currency":"USD","value_minor":1000553400}' "$bureau" deals forecast --format json
    expect 0 '"lost":{"count":2473,"currency":"USD","value_minor":0}' "$bureau" deals forecast --format json
    expect 0 '"open":{"count":2089,' "$bureau" deals forecast --format json
    expect 0 '"win_rate_bp":6315' "$bureau" deals funnel --format json
    expect 0 'Engaging,8300,' "$bureau" deals funnel --format csv
    expect 0 'Prospecting,0,0.00 USD,0,0.00 USD,500,' "$bureau" deals forecast --by stage --format csv
    expect 0 'Engaging,0,0.00 USD,0,0.00 USD,1589,' "$bureau" deals forecast --by stage --format csv
    [ $again = 2 ] || expect 0 "0 imported, 8800 already there; new: 0 accounts, 0 products, 0 people, 0 teams" "$bureau" deals import "$real"
  done
  echo "the real opportunities come to what is known of them"
  exit 0
fi

for command in import list forecast funnel win lose move reopen; do
  expect 0 "--help" "$bureau" deals $command --help
done
expect 2 "" "$bureau" deals
expect 0 "made" "$bureau" init
expect 0 '{"lost":{"count":0,"currency":null,"value_minor":0},"months":[],' "$bureau" deals forecast --format json
expect 0 "5 imported, 0 already there; new: 3 accounts, 2 products, 5 people, 2 teams" "$bureau" deals import "$sample"
cp out report
expect 0 "2 with a product by another spelling, 1 without an account, 2 without a close date" cat report
expect 0 "0 imported, 5 already there; new: 0 accounts, 0 products, 0 people, 0 teams" "$bureau" deals import "$sample"
expect 0 "" "$bureau" deals forecast --format json
cat >expected <<'JSON'
{"lost":{"count":1,"currency":"USD","value_minor":0},"months":[{"lost":{"count":0,"currency":"USD","value_minor":0},"month":null,"open":{"count":2,"currency":"USD","value_minor":1130050},"weighted":{"count":2,"currency":"USD","value_minor":505025},"won":{"count":0,"currency":"USD","value_minor":0}},{"lost":{"count":1,"currency":"USD","value_minor":0},"month":"2024-02","open":{"count":0,"currency":"USD","value_minor":0},"weighted":{"count":0,"currency":"USD","value_minor":0},"won":{"count":1,"currency":"USD","value_minor":145000}},{"lost":{"count":0,"currency":"USD","value_minor":0},"month":"2024-03","open":{"count":0,"currency":"USD","value_minor":0},"weighted":{"count":0,"currency":"USD","value_minor":0},"won":{"count":1,"currency":"USD","value_minor":990000}}],"open":{"count":2,"currency":"USD","value_minor":1130050},"weighted":{"count":2,"currency":"USD","value_minor":505025},"won":{"count":2,"currency":"USD","value_minor":1135000}}
JSON
cmp expected out
expect 0 "Ines Okafor,2,11350.00 USD," "$bureau" deals forecast --by owner --format csv
expect 0 "total" "$bureau" deals forecast
expect 0 "66.67 %" "$bureau" deals funnel
expect 0 "Loom Pro for Quay & Sons" "$bureau" deals list --where 'state = "won"'
expect 0 '"title":"Loom Pro"' "$bureau" deals list --format json --where 'account is null'
expect 0 "external_id" "$bureau" deals list --format csv
expect 1 "column" "$bureau" deals list --where 'state = '
expect 2 "" "$bureau" deals list --format xml
expect 2 "" "$bureau" deals forecast --by weather
expect 1 "active ISO 4217" "$bureau" deals forecast --currency xyz
expect 0 "open" "$bureau" deals move S005 Engaging
expect 1 "has no \"Dancing\"" "$bureau" deals move S005 Dancing
expect 1 "won or lost by name" "$bureau" deals move S005 Won
expect 0 '"state":"won"' "$bureau" deals win S005 --format json --value "1400.00 USD"
expect 1 "only an open one can be won" "$bureau" deals win S005
expect 1 "none with the external id" "$bureau" deals win S999
expect 0 "open" "$bureau" deals reopen S005
expect 2 "" "$bureau" deals lose S005
expect 1 "lost_reason" "$bureau" deals lose S005 --reason " "
expect 0 "lost" "$bureau" deals lose S005 --reason "No budget"
expect 0 "" "$bureau" deals reopen S003
expect 1 "a won deal has a value above 0" "$bureau" deals win S003
expect 0 "won" "$bureau" deals win S003 --value "700 EUR"
expect 1 "name one with --currency" "$bureau" deals forecast --format json
expect 0 '"won":{"count":1,"currency":"EUR","value_minor":70000}' "$bureau" deals forecast --format json --currency EUR
deal=$("$bureau" list deals --where 'external_id = "S003"' --columns id --format json | sed 's/.*"id":"\([^"]*\)".*/\1/')
expect 1 "title: it is empty" "$bureau" change "$deal" 'title= '
expect 1 'custom: [1] is not an object' "$bureau" change "$deal" title=Taken 'custom=[1]'
expect 0 "" "$bureau" change "$deal" 'title=Loom for S003' 'custom={"floor":3}'
expect 0 '"title":"Loom for S003"' "$bureau" deals list --format json
expect 1 "title: it is empty" "$bureau" create deals 'title= ' value_minor=100 currency=USD
expect 0 "dea_" "$bureau" create deals title=Own value_minor=1000 currency=USD probability_bp=7000
own=$(cat out)
expect 0 "700" "$bureau" list deals --where "id = \"$own\"" --columns weighted_minor --format csv
expect 0 "changed" "$bureau" change "$own" probability_bp= # the stage's again
expect 0 '"own_probability":false,' "$bureau" show "$own" --format json
expect 0 '"weighted_minor":100}' "$bureau" list deals --where "id = \"$own\"" --columns weighted_minor --format json
expect 1 "64-bit integer" "$bureau" change "$own" value_minor=
printf 'title,value_minor,currency,probability_bp\nBlank,100,USD,\nGiven,100,USD,9000\n' >blank.csv
expect 0 "2 imported" "$bureau" import deals blank.csv
expect 0 "Blank,10,false" "$bureau" list deals --where 'title in ("Blank", "Given")' --order 'title' --columns title,weighted_minor,own_probability --format csv
cp out report
expect 0 "Given,90,true" cat report
printf '{"title":"None","value_minor":100,"currency":"USD","probability_bp":null}\n' >none.jsonl
expect 0 "1 imported" "$bureau" import deals none.jsonl
expect 0 '"change":"insert"' "$bureau" watch deals --after 0 --once

bad() { # bad FILE TEXT SED: what an import of the sample, so changed, says
  rm -rf changed
  cp -R "$sample" changed
  chmod -R u+w changed
  sed "$3" "$sample/$1" >"changed/$1"
  expect 1 "$2" "$bureau" --office other.db deals import changed
}
expect 0 "made" "$bureau" --office other.db init
expect 1 "cannot be read" "$bureau" --office other.db deals import nowhere
bad sales_pipeline.csv "line 2, product: \"Anvil\" is not in products.csv" 's/Loom 3,Harrow/Anvil,Harrow/'
bad sales_pipeline.csv "line 2, account: \"Nobody\"" 's/Harrow Mills,Won/Nobody,Won/'
bad sales_pipeline.csv "line 2, sales_agent: \"Nemo\"" 's/Ines Okafor,Loom 3/Nemo,Loom 3/'
bad sales_pipeline.csv "line 2, deal_stage: \"Dancing\"" '2s/Won/Dancing/'
bad sales_pipeline.csv "line 2, close_value: is empty" '2s/1450//'
bad sales_pipeline.csv "line 2, close_value" '2s/1450/much/'
bad sales_pipeline.csv "a won deal has a value above 0" '2s/1450/0/'
bad sales_pipeline.csv "line 2, close_date: is empty" '2s/2024-02-02//'
bad sales_pipeline.csv "before the engage_date" '2s/2024-02-02/2023-02-02/'
bad sales_pipeline.csv "line 3, opportunity_id: \"S001\" is there twice" 's/S002/S001/'
bad sales_pipeline.csv "needs a column product" 's/product/produkt/'
bad products.csv "differ in case or spaces alone" 's/Loom 3/loompro/'
bad accounts.csv "in a circle" 's/Iceland,$/Iceland,Harrow Mills/'
bad accounts.csv "there is no account \"Nobody\"" 's/Iceland,$/Iceland,Nobody/'
expect 0 "[]" "$bureau" --office other.db deals list --format json
echo "the deals of the command line do what they say"

# A pipeline of one's own. A deal is found by its id before the id that somebody gave it; a stage is one
# of the deal's own pipeline, whatever its name.
expect 0 "Renewals: 4 stages" "$bureau" deals pipeline Renewals --open Prospecting=12.5%,30d --open Offer=60% --won Renewed --lost Gone
expect 0 "1250" "$bureau" list stages --where 'name = "Prospecting" and probability_bp = 1250' --columns probability_bp
for stage in Offer Offer=60 Offer=160% Offer=60%,30 =60% Offer=60%,0d; do
  expect 1 "is not NAME=PERCENT" "$bureau" deals pipeline Other --open "$stage" --won W --lost L
done
expect 1 "Renewals" "$bureau" deals pipeline Renewals --open A=1% --won W --lost L
expect 2 "--won" "$bureau" deals pipeline Other --open A=1% --lost L
victim=$("$bureau" create deals title=Victim value_minor=100 currency=USD)
"$bureau" create deals title=Other value_minor=100 currency=USD external_id="$victim" >/dev/null
expect 0 "Victim" "$bureau" deals win "$victim"
theirs=$("$bureau" list stages --where 'name = "Prospecting" and probability_bp = 1250' --format csv | tail -n 1 | cut -d, -f1)
renewal=$("$bureau" create deals title=Renewal value_minor=100 currency=USD stage="$theirs")
pipeline=$("$bureau" list pipelines --where 'name = "Renewals"' --format csv | tail -n 1 | cut -d, -f1)
expect 0 "$pipeline" "$bureau" show "$renewal"
ours=$("$bureau" list stages --where 'name = "Prospecting" and probability_bp = 1000' --format csv | tail -n 1 | cut -d, -f1)
expect 1 'is of the pipeline "Sales", the deal of "Renewals"' "$bureau" change "$renewal" stage="$ours"
