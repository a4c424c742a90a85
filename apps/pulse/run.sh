#!/bin/sh
# run.sh BUILD [ARGS]: Pulse with ARGS; without --targets among them also the services of the demo, which Pulse then
# watches, and a web page at 127.0.0.1:8080. This shell becomes Pulse, so signals reach Pulse itself and the exit status
# is Pulse's own; the services are its children and end with it, however it ends (they ask the kernel for that).
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
programs=$1/apps/pulse
shift

if ! [ -x "$programs/pulse" ]; then
    echo 'pulse: it was not built: it needs libcoir-http, see meson_options.txt' >&2
    exit 1
fi
page=--listen=127.0.0.1:8080
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

# A certificate for the demo; Pulse trusts it by name. Moving it there does not follow what somebody may have put there.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 20 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$work/key" -out "$work/pem" 2>"$work/log" ||
    { cat "$work/log" >&2 && exit 1; }
cp "$work/pem" "$work/trusted"
mv -fT "$work/trusted" /tmp/pulse-demo.pem

# The services say "ready" when all of them listen; a reader that gets nothing knows that they have ended.
mkfifo "$work/ready"
"$programs/pulse-services" "$work/pem" "$work/key" >"$work/ready" &
if ! read -r ready <"$work/ready" || [ "$ready" != ready ]; then
    echo 'pulse: the demo needs 127.0.0.1:7801 to 7804 and /tmp/pulse-demo.sock for its services, see above;' >&2
    echo 'pulse: is another demo running? --targets FILE watches services of yours and starts none' >&2
    exit 1
fi

rm -rf "$work"
exec "$programs/pulse" --targets "$here/pulse.yaml" ${page:+"$page"} "$@"
