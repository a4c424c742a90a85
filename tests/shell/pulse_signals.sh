#!/bin/sh
# SIGTERM and SIGINT end Pulse within a second in the middle of slow connects.
exec python3 "$(dirname -- "$0")/pulse.py" signals "$1"
