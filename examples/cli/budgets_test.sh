#!/bin/sh
# `bureau budgets`, as a user types them.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 0 "made" "$bureau" init
expect 0 "" "$bureau" create users email=ada@example.com name=Ada role=manager status=active
expect 0 "" "$bureau" create users email=cleo@example.com name=Cleo role=agent status=active

expect 0 "all: bud_" "$bureau" budgets create all --whole-tenant --money "100 EUR" --period month
expect 0 "research: bud_" "$bureau" --as ada@example.com budgets create research --tokens 5000 \
  --calls 20 --seconds 60.5
expect 0 "part: bud_" "$bureau" budgets create part --parent research --tokens 1000
expect 0 "0 of 5000" "$bureau" budgets list
expect 0 "0 of 60.5" "$bureau" budgets list
expect 0 "0.00 EUR of 100.00 EUR" "$bureau" budgets list
for format in table json csv; do
  expect 0 "research" "$bureau" budgets list --format $format
done
expect 0 '"tokens":5000' "$bureau" budgets show research --format json
expect 0 "changed" "$bureau" budgets change research --tokens none --calls 30
expect 0 '"tokens":null' "$bureau" budgets show research --format json
expect 0 '"calls":30' "$bureau" budgets show research --format json
expect 0 '"time_us":60500000' "$bureau" budgets show research --format json
expect 0 "changed" "$bureau" budgets change all --allow-unpriced

expect 1 "tokens: -1 is not from 0" "$bureau" budgets create bad --tokens=-1
expect 1 "neither a whole number nor none" "$bureau" budgets create bad --tokens many
expect 1 "such as 12.50 EUR" "$bureau" budgets create bad --money "12"
expect 1 "currency: USD" "$bureau" budgets create bad --money "12 USD"
expect 1 "is taken" "$bureau" budgets create twice --whole-tenant
expect 1 "is named \"nothing\"" "$bureau" budgets show nothing
expect 1 "there are budgets below it" "$bureau" budgets remove research
expect 1 "is not allowed" "$bureau" --as ada@example.com budgets change all --money "1000 EUR"
expect 1 "is not allowed" "$bureau" --as cleo@example.com budgets create hers --tokens 5
expect 1 "is named \"research\"" "$bureau" --as cleo@example.com budgets show research
expect 2 "" "$bureau" budgets create bad --period week

expect 0 "part: removed" "$bureau" budgets remove part
expect 0 "research: removed" "$bureau" budgets remove research
