#!/bin/sh
# Pulse's demo in lines: every result shown is in the file, the flapping service goes and comes, SIGTERM ends it all.
exec python3 "$(dirname -- "$0")/pulse.py" demo "$1"
