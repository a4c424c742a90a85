#!/bin/sh
# Wrong targets files: each message of tests/data/pulse/wrong.txt, exit status 2, nothing started.
exec python3 "$(dirname -- "$0")/pulse.py" wrong "$1"
