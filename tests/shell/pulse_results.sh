#!/bin/sh
# results.jsonl: appended to, repaired, one writer, and nothing is shown that it does not hold.
exec python3 "$(dirname -- "$0")/pulse.py" results "$1"
