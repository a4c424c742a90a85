#!/bin/sh
# SIGTERM ends Pulse within a second while nobody reads what it shows.
exec python3 "$(dirname -- "$0")/pulse.py" stuck "$1"
