"""coir's side of the benchmark pulse/10k: Pulse, checking 10,000 sites each 10 s: pulse.py PULSE SERVER NAME.

The sites are 10,000 addresses of the loopback network, behind which the same server answers with a short text; Pulse makes
a connection for each check. Pulse has the cpu that this program was put on; the server has another one, where there is.
After the first round of checks has passed, its CPU time is counted for half a minute. Prints its share of a cpu, how late
checks began (the 99th percentile, as Pulse counts it), and the most memory that was resident.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.dont_write_bytecode = True

import servers

TARGETS, INTERVAL_S, SETTLE_S, COUNT_S = 10_000, 10, 12, 30


def targets(port):
    hosts = (f"127.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(1 << 16, (1 << 16) + TARGETS))
    lines = [f'  - {{name: "site {host}", address: "http://{host}:{port}/"}}\n' for host in hosts]
    return f"defaults: {{interval: {INTERVAL_S}s, timeout: 5s}}\ntargets:\n" + "".join(lines)


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no {field}")


def measure(pulse, port, directory):
    file = pathlib.Path(directory) / "targets.yaml"
    file.write_text(targets(port), encoding="ascii")
    process = subprocess.Popen([pulse, "--targets", file, "--results", file.with_suffix(".jsonl"), "--in-flight", "256",
                                "--listen", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stderr.readline().split()[1]
        time.sleep(SETTLE_S)
        cpu, begin = cpu_s(process.pid), time.monotonic()
        time.sleep(COUNT_S)
        share = (cpu_s(process.pid) - cpu) / (time.monotonic() - begin)
        settled = resident_mb(process.pid, "VmRSS")
        with urllib.request.urlopen(f"{url}api/status", timeout=30) as answer:
            state = json.load(answer)
        if state["up"] != TARGETS or state["results"] < TARGETS * COUNT_S / INTERVAL_S:
            raise RuntimeError(f"{state['up']} sites are up, {state['results']} results")
        print(f"RESULT pulse/10k/lag_p99_ms {state['lag_ms']['p99']:.3f} ms")
        print(f"RESULT pulse/10k/cpu_pct {100 * share:.2f} %")
        print(f"RESULT pulse/10k/rss_mb {resident_mb(process.pid, 'VmHWM'):.1f} MB")
        print(f"NOTE {state['results']} results; lag p50 {state['lag_ms']['p50']:.2f} ms, max {state['lag_ms']['max']:.0f} ms; "
              f"{settled:.1f} MB resident before the state was asked for")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def main():
    pulse, server, name = sys.argv[1:]
    if name != "pulse/10k":
        return 2
    process = subprocess.Popen([server, "http_everywhere"], stdout=subprocess.PIPE, text=True,
                               preexec_fn=servers.pinned(os.cpu_count() - 1))
    try:
        with tempfile.TemporaryDirectory() as directory:
            measure(pulse, servers.wait_for_port(process), directory)
    finally:
        process.kill()
        process.wait()
    return 0


sys.exit(main())
