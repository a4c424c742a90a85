#!/bin/sh
# run.sh BUILD [ARGS]: Pulse with ARGS; without --targets among them also the two services of the demo, which Pulse then
# watches, and a web page at 127.0.0.1:7800. This shell becomes Pulse, so signals reach Pulse itself and the exit status
# is Pulse's own; the services are its children and end with it, however it ends (they ask the kernel for that).
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
programs=$1/apps/pulse
shift

page=
"$programs/pulse" --help | grep -q -e --listen && page=--listen=127.0.0.1:7800
for argument in "$@"; do
    case $argument in
    --once | --listen | --listen=*) page= ;;
    --targets | --targets=* | --help | --version) exec "$programs/pulse" "$@" ;;
    esac
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The services say "ready" when both of them listen; a reader that gets nothing knows that they have ended.
mkfifo "$work/ready"
"$programs/pulse-services" 127.0.0.1:7801 /tmp/pulse-demo.sock >"$work/ready" &
if ! read -r ready <"$work/ready" || [ "$ready" != ready ]; then
    echo 'pulse: the demo needs 127.0.0.1:7801 and /tmp/pulse-demo.sock for its two services, see above;' >&2
    echo 'pulse: is another demo running? --targets FILE watches services of yours and starts none' >&2
    exit 1
fi

rm -rf "$work"
exec "$programs/pulse" --targets "$here/pulse.yaml" ${page:+"$page"} "$@"
