#!/usr/bin/python3
"""Runs benchmarks: coir beside its floor and every peer, in interleaved rounds on one cpu.

usage: bench/run.py [NAME]   a set (core), a case (sleepers/1m) or one name (switch/2); core when left out
    --rounds N       how often each program runs; else 5, 3 for the sleepers
    --no-install     do not install the peers' packages
    --build DIR      the meson build of coir (build/); set up when it is not there
    --peers A,B      only these; `none` for none

A round runs ours, then the floor (both on each backend where it matters), then each peer; then comes the next round, so
that drift of the machine hits all alike.
Prints a table of medians, and writes build/bench/NAME.json (the results) and NAME.meta.json (machine, spread, notes).
Owns no measurement: every program times itself, or the load does it for a server (servers.py); names.py says what there
is.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is written into the source tree

import build
import names
import servers
from build import BENCH, BIN, OUT, ROOT, say

CPU = servers.CPUS[0]
LIMIT_S = 600


class NoMatch(Exception):
    """The program's library has nothing that matches this case."""


class Program:
    """One contestant of a case: how to run it once, and what its rounds have given."""

    def __init__(self, role, name, command, env=(), rounds=None, backend=None):
        self.role, self.name, self.command = role, name, [str(word) for word in command]
        self.env, self.rounds = dict(env), rounds
        self.backend = backend  # None: has none, or takes part in the rows of all
        self.values = {}  # metric -> one value for each round
        self.notes = set()
        self.out = False

    def run(self, case):
        env = {**os.environ, **self.env}
        if case.kind == "client":
            return servers.ask([BIN / "echo_epoll", "http"], self.command, env)
        if case.load:
            return servers.serve(BIN / case.load.program, case.load, self.command, env)
        return subprocess.run(self.command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=env,
                              preexec_fn=servers.pinned(CPU))

    def once(self, case):
        done = self.run(case)
        if done.returncode == 2 and self.role == "peer":
            raise NoMatch
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-300:] or f"exit status {done.returncode}")
        for name, value in re.findall(r"^RESULT (\S+) (\S+)", done.stdout, re.MULTILINE):
            self.values.setdefault(name, []).append(float(value))
        self.notes.update(re.findall(r"^NOTE (.*)$", done.stdout, re.MULTILINE))

    def round(self, case, number):
        if self.out or number >= (self.rounds or case.rounds):
            return
        if case.warm_mib:
            subprocess.run([BIN / "warm", str(case.warm_mib)], check=False)
        try:
            self.once(case)
        except NoMatch:
            self.out = True
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            self.out = True
            say(f"{case.call}: {self.name} failed: {error}")

    def median(self, metric):
        values = self.values.get(metric)
        return statistics.median(values) if values else None


def external_peers():
    """Peers that no distribution packages: executables in $COIR_BENCH_PEERS, named after the library, that take NAME."""
    directory = os.environ.get("COIR_BENCH_PEERS")
    if not directory:
        return []
    return [names.Peer(path.name, (str(path),)) for path in sorted(pathlib.Path(directory).iterdir())
            if path.is_file() and os.access(path, os.X_OK)]


def peers(only):
    for peer in (*names.PEERS, *external_peers()):
        if peer.name not in build.missing and (only is None or peer.name in only):
            yield peer


def backends(ours):
    """The backend that a program gets when it does not ask, and all that work here."""
    found = []
    if "coir-bench-core" not in ours:
        return "none", []
    for wanted in (None, "uring", "epoll"):
        env = {**os.environ, **({"COIR_BACKEND": wanted} if wanted else {})}
        done = subprocess.run([ours["coir-bench-core"], "backend"], env=env, capture_output=True, text=True, check=False)
        match = re.search(r"^BACKEND (\S+)", done.stdout, re.MULTILINE)
        if match and (wanted is None or match[1] == wanted):
            found.append(match[1])
    return (found[0], found[1:]) if found else ("default", [])


def command_of(case, program):
    """How a program is called for a case."""
    if case.kind == "launch":
        return [BIN / "launch", *program, case.call]
    return [*program, case.server or case.call]


def ours_for(case, ours, backend):
    """coir's own program, and its twin on the static library; or the script that runs Pulse."""
    program = "coir-bench-" + (case.program or {"launch": "startup", "serve": case.server}.get(case.kind, "core"))
    env = {"COIR_BACKEND": backend} if backend else {}
    if case.kind == "pulse" and {"pulse", "coir-bench-http"} <= ours.keys():
        command = ["/usr/bin/python3", BENCH / "pulse.py", ours["pulse"], ours["coir-bench-http"], case.call]
        yield Program("coir", "coir", command, env, backend=backend)
    elif program in ours:
        yield Program("coir", "coir", command_of(case, [ours[program]]), env, backend=backend)
        static = f"{program}-static"
        if case.kind == "run" and not case.warm_mib and static in ours:
            yield Program("static", "coir, static library", command_of(case, [ours[static]]), env, backend=backend)


def contestants(case, ours, only, backends):
    """Ours, our static twin and the floor on each backend, the peers: the order of a round."""
    floors = {}
    for backend in backends if case.per_backend else [None]:
        yield from ours_for(case, ours, backend)
        if case.floor:
            floors.setdefault(case.floor.format(backend=backend), backend)
    for floor, backend in floors.items():
        if (BIN / floor).exists():
            yield Program("floor", "floor", command_of(case, [BIN / floor]),
                          backend=backend if "{backend}" in case.floor else None)
    for peer in peers(only):
        command = [word.format(bin=BIN, bench=BENCH) for word in peer.command]
        rounds = 1 if case.call in peer.once else None
        yield Program("peer", peer.name, command_of(case, command), peer.env, rounds)


def stripped_kib(binary):
    copy = OUT / "stripped"
    shutil.copy2(binary, copy)
    subprocess.run(["strip", "--strip-unneeded", copy], check=True)
    size = copy.stat().st_size / 1024
    copy.unlink()
    return size


def measure_size(metric, directory, ours):
    """The stripped shared library, and libuv's, which Debian ships stripped, as the one peer. Beside it, what the
    smallest program weighs that has the library in it."""
    libraries = [path for path in sorted((directory / "src").glob("libcoir.so.*"))
                 if re.fullmatch(r"libcoir\.so\.\d+\.\d+\.\d+", path.name)] if ours else []
    found = []
    if libraries:
        found.append(Program("coir", "coir", []))
        found[0].values[metric] = [stripped_kib(libraries[-1])]
        if "coir-bench-startup-static" in ours:
            found[0].values["size/static_program_kb"] = [stripped_kib(ours["coir-bench-startup-static"])]
    for library in pathlib.Path("/usr/lib").glob("*-linux-gnu/libuv.so.1"):
        found.append(Program("peer", "libuv", []))
        found[-1].values[metric] = [library.resolve().stat().st_size / 1024]
    return found


def best(row):
    choose = min if row["better"] == "lower" else max
    return choose(row["peers"].values()) if row["peers"] else None


def within(value, limit, better):
    return value <= limit if better == "lower" else value >= limit


def verdict(row, metric):
    """Whether the target is met: the absolute one, the ratio to the floor, or else being ahead of the best peer."""
    if row["coir"] is None:
        return "-"
    limit = metric.target
    if limit is None:
        limit = metric.floor_ratio * row["floor"] if metric.floor_ratio and row["floor"] else best(row)
    if limit is None:
        return "-"
    if within(row["coir"], limit, metric.better):
        return "yes"
    if metric.target and metric.floor_ratio and row["floor"] and within(row["coir"] / row["floor"], metric.floor_ratio, metric.better):
        return "no (yes by floor)"
    return "no"


def make_row(case, metric, backend, programs, rounds):
    by_role = {program.role: program.median(metric.key) for program in programs if program.role != "peer"}
    values = {program.name: program.median(metric.key) for program in programs if program.role == "peer"}
    return {"name": metric.name, "backend": backend, "unit": metric.unit, "better": metric.better,
            "coir": by_role.get("coir"), "floor": by_role.get("floor"),
            "peers": {name: value for name, value in values.items() if value is not None},
            "runs": rounds, "command": f"./dev bench {case.call}"}


def details(case, metric, row, programs):
    """What the row itself has no place for."""
    spread = {p.name: [min(p.values[metric.key]), max(p.values[metric.key])] for p in programs
              if metric.key in p.values}
    static = [p.median(metric.key) for p in programs if p.role == "static"]
    keys = {metric.key for metric in case.metrics}
    also = {p.name: {key: p.median(key) for key in p.values if key not in keys} for p in programs}
    return {"name": metric.name, "backend": row["backend"], "target": metric.target, "floor_ratio": metric.floor_ratio,
            "met": verdict(row, metric), "spread": spread, "static": static[0] if static else None,
            "also": {name: values for name, values in also.items() if values},
            "notes": sorted(f"{case.call}, {p.name}: {note}" for p in programs for note in p.notes)}


def run_case(case, arguments, ours, default, available):
    """All rounds of a case. Returns its rows, one for each backend where that matters, and their details."""
    backends = (available or [default]) if case.per_backend else [default]
    programs = list(contestants(case, ours, arguments.only, available or [None])) if case.kind != "size" else \
        measure_size(case.metrics[0].name, arguments.build, ours)
    rounds = arguments.rounds or case.rounds
    for number in range(rounds if case.kind != "size" else 0):
        say(f"{case.call}: round {number + 1} of {rounds}")
        for program in programs:
            program.round(case, number)
    rows, info = [], []
    for backend in backends:
        mine = [program for program in programs if program.backend in (None, backend)]
        for metric in case.metrics:
            rows.append(make_row(case, metric, backend, mine, rounds))
            info.append(details(case, metric, rows[-1], mine))
    return rows, info


def number(value):
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio(value, base):
    return f"{value / base:.2f}x" if value is not None and base else "-"


def target_text(metric):
    sign = "<=" if metric.better == "lower" else ">="
    if metric.target is None:
        return f"{sign} {metric.floor_ratio:g}x floor" if metric.floor_ratio else "ahead of peers"
    return f"{sign} {metric.target:g}" + (f", {metric.floor_ratio:g}x floor" if metric.floor_ratio else "")


def table_line(row, metric, detail):
    peer = min(row["peers"], key=row["peers"].get) if row["better"] == "lower" and row["peers"] else \
        max(row["peers"], key=row["peers"].get, default=None)
    value = row["peers"].get(peer)
    return (row["name"], row["backend"], row["unit"], number(row["coir"]), number(row["floor"]),
            f"{peer} {number(value)}" if peer else "-", ratio(row["coir"], row["floor"]), ratio(row["coir"], value),
            target_text(metric), detail["met"])


def print_table(rows, info):
    metrics = {metric.name: metric for case in names.CASES for metric in case.metrics}
    lines = [("name", "backend", "unit", "coir", "floor", "best peer", "x floor", "x peer", "target", "met")]
    lines += [table_line(row, metrics[row["name"]], detail) for row, detail in zip(rows, info)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
    for note in sorted({note for detail in info for note in detail["notes"]}):
        print(note)


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()[0]
    except (OSError, IndexError):
        return None


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text("ascii"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu[1] if cpu else platform.machine(), "cpus": os.cpu_count(), "memory_gib": round(memory, 1),
            "kernel": platform.release(), "load": os.getloadavg()[0], "pinned_to_cpu": CPU,
            "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
            "versions": {"cc": first_line("cc", "--version"), "go": first_line("go", "version"),
                         "rustc": first_line("rustc", "--version"), "python": platform.python_version(),
                         "libuv": first_line("pkg-config", "--modversion", "libuv")}}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="core")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--no-install", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--peers")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    arguments.only = arguments.peers.split(",") if arguments.peers else None
    arguments.cases = names.select(arguments.name)
    if not arguments.cases:
        sets = sorted({one for case in names.CASES for one in case.sets})
        parser.error(f"no benchmark '{arguments.name}'; there are {', '.join(sets)} and "
                     + ", ".join(case.call for case in names.CASES))
    return arguments


def main():
    arguments = parse()
    if not arguments.no_install:
        build.install()
    build.build_all()
    ours = build.build_ours(arguments.build)
    for name in ("coir", *build.OURS):
        if name in build.missing:
            say(f"{name} is absent: {build.missing[name]}")
    about = machine()
    print(f"{about['cpu']}, {about['cpus']} cpus, {about['memory_gib']} GiB, Linux {about['kernel']}, "
          f"load {about['load']:.2f}; everything on cpu {CPU}, but the load of rates", flush=True)

    default, available = backends(ours)
    rows, info = [], []
    for case in arguments.cases:
        new_rows, new_info = run_case(case, arguments, ours, default, available)
        rows += new_rows
        info += new_info
    print_table(rows, info)
    write(OUT / f"{arguments.name}.json", rows)
    write(OUT / f"{arguments.name}.meta.json", {"machine": about, "absent": build.missing, "results": info})
    say(f"results: {OUT / (arguments.name + '.json')}")
    return 0 if ours and all(row["coir"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
