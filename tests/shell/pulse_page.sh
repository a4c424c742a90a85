#!/bin/sh
# Pulse's page in Chromium: it is drawn, follows what happens, can be searched and read, on a telephone and in the dark.
exec python3 "$(dirname -- "$0")/pulse.py" page "$1"
