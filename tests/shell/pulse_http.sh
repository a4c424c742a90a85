#!/bin/sh
# Pulse at HTTP and HTTPS targets: statuses, bodies, headers, redirects, certificates, and servers that answer badly.
exec python3 "$(dirname -- "$0")/pulse.py" http "$1"
