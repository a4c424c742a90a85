#!/bin/sh
# Pulse's table on a terminal, which every way of ending gives back as it was.
exec python3 "$(dirname -- "$0")/pulse.py" terminal "$1"
