#!/bin/sh
# The services of Pulse's demo end with it even when it is killed.
exec python3 "$(dirname -- "$0")/pulse.py" killed "$1"
