#!/bin/sh
# The house rules: layers, sizes, banned calls, documentation, links.
exec python3 "$(dirname -- "$0")/../lint/tidy.py"
