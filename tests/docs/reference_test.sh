#!/bin/sh
# Arguments: the root of the tree, where to write.
set -eu
cd "$1"
rm -rf "$2"
mkdir -p "$2"
{
  cat docs/Doxyfile
  printf 'OUTPUT_DIRECTORY = "%s"\n' "$2"
} | doxygen -
[ -s "$2/html/classbureau_1_1Session.html" ] || {
  echo "the reference has no page on bureau::Session" >&2
  exit 1
}
