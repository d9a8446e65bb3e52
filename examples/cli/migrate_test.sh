#!/bin/sh
# `bureau migrate` of a program without migrations; examples/migrations has some.
# shellcheck source=examples/cli/test_shell.sh
. "$(dirname -- "$0")/test_shell.sh"

expect 1 "there is no such office" "$bureau" migrate status
expect 0 "made" "$bureau" init
expect 0 "number" "$bureau" migrate status
expect 0 "[]" "$bureau" migrate status --format json
expect 0 "nothing to do" "$bureau" migrate
expect 0 "[]" "$bureau" migrate plan --format json
expect 0 "nothing to do" "$bureau" migrate down
expect 0 "nothing to do" "$bureau" migrate --finalize
expect 2 "" "$bureau" migrate sideways
expect 1 "--as" "$bureau" --as nobody@example.com migrate
