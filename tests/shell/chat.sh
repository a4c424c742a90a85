#!/bin/sh
# The chat room of examples/chat in Chromium: two windows type and read, one leaves, the server goes and comes back.
[ -x "$1/examples/chat" ] || exit 77
exec python3 "$(dirname -- "$0")/chat.py" "$1/examples/chat"
