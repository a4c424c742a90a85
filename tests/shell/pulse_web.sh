#!/bin/sh
# Pulse's web page, its events and its JSON, as browsers and programs ask for them.
exec python3 "$(dirname -- "$0")/pulse.py" web "$1"
