#!/bin/sh
# The programs in README.md and docs/ compile, and print what the text says.
exec python3 "$(dirname -- "$0")/snippets.py" "$1"
