#!/bin/sh
# The reference is complete and whole: each public declaration has its pages, links resolve, man pages are well formed.
exec python3 "$(dirname -- "$0")/reference.py"
