#!/bin/sh
# The keys are typed on a pseudo-terminal, which has its usual mode again afterwards.
set -eu
work=$(mktemp)
trap 'rm -f "$work"' EXIT
printf 'abq' | SHELL=/bin/sh script -qec "stty -a | grep -o 'icanon'; $1; stty -a | grep -ow 'icanon'" /dev/null >"$work"
for key in 97 98 113; do
    grep -q "key $key of a screen of" "$work"
done
[ "$(grep -c icanon "$work")" -eq 2 ]
