#!/bin/sh
# Pulse --once: TCP and Unix targets, up and down, exit status, attempts, deadline, checks in flight.
exec python3 "$(dirname -- "$0")/pulse.py" once "$1"
