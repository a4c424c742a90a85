#!/bin/sh
# The Autobahn suite judges both ends of a WebSocket, where its wstest is installed: our server in each way in which it
# serves a socket and packs, and our client. Each case must be OK or a question of taste (INFORMATIONAL), and so must how
# it closes. Those that take long (9: sizes; 12 and 13: compression) are tried in one of the ways each.
# WS_CASES='"1.*", "7.*"' in the environment are all that are tried.
set -eu
program=$1/tests/program-ws
[ -x "$program" ] && command -v wstest >/dev/null && command -v python3 >/dev/null || exit 77
here=$(cd -- "$(dirname -- "$0")" && pwd)
. "$here/lib/scratch.sh"
cases=${WS_CASES-'"*"'}
cd "$work"

# specify FOLDER WHERE: what is tried, to $work/FOLDER.json.
specify() {
    cat >"$1.json" <<JSON
{"outdir": "$1", $2, "cases": [$cases], "exclude-cases": [], "exclude-agent-cases": {
    "echo": ["13.*"], "default": ["13.*"], "context": ["9.*", "12.*"],
    "handlers": ["9.*", "12.*", "13.*"], "plain": ["9.*", "12.*", "13.*"]}}
JSON
}

# judge FOLDER COUNT: the verdicts on so many programs.
judge() {
    python3 - "$1/index.json" "$2" <<'PYTHON' || fail "$1: something is not as it should be"
import collections, json, sys
report = json.load(open(sys.argv[1]))
good = "OK", "INFORMATIONAL"
bad = len(report) != int(sys.argv[2])
for agent, cases in report.items():
    print(agent, dict(collections.Counter(case["behavior"] for case in cases.values())))
    for name, case in cases.items():
        if case["behavior"] not in good or case["behaviorClose"] not in good:
            bad = True
            print(f"    {name}: {case['behavior']}, closes {case['behaviorClose']}")
sys.exit(bad)
PYTHON
}

"$program" serve >port 2>err &
pids="$pids $!"
until_true grep -q PORT port || fail 'our server does not serve'
servers=
for path in echo handlers context plain; do
    servers="$servers${servers:+, }{\"agent\": \"$path\", \"url\": \"ws://127.0.0.1:$(sed -n 's/^PORT //p' port)/$path\"}"
done
specify servers "\"servers\": [$servers]"
wstest -m fuzzingclient -s servers.json >servers.log 2>&1 &
asking=$!
pids="$pids $asking"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
specify clients "\"url\": \"ws://127.0.0.1:$port\""
wstest -m fuzzingserver -u 0 -s clients.json >clients.log 2>&1 &
pids="$pids $!"
until_true python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" || fail 'the suite does not serve'
for how in default context plain; do
    "$program" suite "ws://127.0.0.1:$port" "$how" >out 2>err || fail "our client, $how"
done
wait "$asking" || fail 'the suite asks no more'
judge servers 4
judge clients 3
[ "$failures" -eq 0 ]
