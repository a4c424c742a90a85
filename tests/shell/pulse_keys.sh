#!/bin/sh
# Pulse's table under the keys of a terminal: resize, Ctrl-Z, fg, Ctrl-C.
exec python3 "$(dirname -- "$0")/pulse.py" keys "$1"
