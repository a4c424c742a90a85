#!/usr/bin/python3
"""Runs benchmarks: coir beside its floor and every peer, in interleaved rounds on one cpu.

usage: bench/run.py [NAME]   a set (core), a case (sleepers/1m) or one name (switch/2); core when left out
    --rounds N       how often each program runs; else 5, 3 for the sleepers
    --no-install     do not install the peers' packages
    --build DIR      the meson build of coir (build/); set up when it is not there
    --peers A,B      only these; `none` for none

A round runs ours, then the floor, then each peer; then comes the next round, so that drift of the machine hits all alike.
Prints a table of medians, and writes build/bench/NAME.json (the results) and NAME.meta.json (machine, spread, notes).
Owns no measurement: every program times itself, and names.py says what there is.
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
from build import BENCH, BIN, OUT, ROOT, say

CPU = min(os.sched_getaffinity(0))
LIMIT_S = 600


class NoMatch(Exception):
    """The program's library has nothing that matches this case."""


class Program:
    """One contestant of a case: how to run it once, and what its rounds have given."""

    def __init__(self, role, name, command, env=(), rounds=None):
        self.role, self.name, self.command = role, name, [str(word) for word in command]
        self.env, self.rounds = dict(env), rounds
        self.values = {}  # metric -> one value for each round
        self.notes = set()
        self.out = False

    def once(self):
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              env={**os.environ, **self.env},
                              preexec_fn=lambda: os.sched_setaffinity(0, {CPU}))
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
            self.once()
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


def contestants(case, ours, only, backend):
    """Ours, our static twin, the floor, the peers: the order of a round."""
    launch = [BIN / "launch"] if case.kind == "launch" else []
    call = [case.call]
    program = "coir-bench-startup" if case.kind == "launch" else "coir-bench-core"
    if program in ours:
        env = {"COIR_BACKEND": backend} if case.per_backend else {}
        yield Program("coir", "coir", [*launch, ours[program], *([] if launch else call)], env)
        if case.kind == "run" and not case.warm_mib and "coir-bench-core-static" in ours:
            yield Program("static", "coir, static library", [ours["coir-bench-core-static"], *call], env)
    if case.floor and (BIN / case.floor).exists():
        yield Program("floor", "floor", [*launch, BIN / case.floor, *call])
    for peer in peers(only):
        command = [word.format(bin=BIN, bench=BENCH) for word in peer.command]
        rounds = 1 if case.call in peer.once else None
        yield Program("peer", peer.name, [*launch, *command, *call], peer.env, rounds)


def stripped_kib(library):
    copy = OUT / "stripped.so"
    shutil.copy2(library, copy)
    subprocess.run(["strip", "--strip-unneeded", copy], check=True)
    size = copy.stat().st_size / 1024
    copy.unlink()
    return size


def measure_size(metric, directory, ours):
    """The stripped shared library, and libuv's, which Debian ships stripped, as the one peer."""
    libraries = [path for path in sorted((directory / "src").glob("libcoir.so.*"))
                 if re.fullmatch(r"libcoir\.so\.\d+\.\d+\.\d+", path.name)] if ours else []
    found = []
    if libraries:
        found.append(Program("coir", "coir", []))
        found[0].values[metric] = [stripped_kib(libraries[-1])]
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
    """Whether the target is met: the absolute one, or being ahead of the best peer where there is none."""
    if row["coir"] is None:
        return "-"
    limit = metric.target if metric.target is not None else best(row)
    if limit is None:
        return "-"
    if within(row["coir"], limit, metric.better):
        return "yes"
    if metric.floor_ratio and row["floor"] and within(row["coir"] / row["floor"], metric.floor_ratio, metric.better):
        return "no (yes by floor)"
    return "no"


def make_row(case, metric, backend, programs, rounds):
    by_role = {program.role: program.median(metric.name) for program in programs if program.role != "peer"}
    values = {program.name: program.median(metric.name) for program in programs if program.role == "peer"}
    return {"name": metric.name, "backend": backend, "unit": metric.unit, "better": metric.better,
            "coir": by_role.get("coir"), "floor": by_role.get("floor"),
            "peers": {name: value for name, value in values.items() if value is not None},
            "runs": rounds, "command": f"./dev bench {case.call}"}


def details(case, metric, row, programs):
    """What the row itself has no place for."""
    spread = {p.name: [min(p.values[metric.name]), max(p.values[metric.name])] for p in programs
              if metric.name in p.values}
    static = [p.median(metric.name) for p in programs if p.role == "static"]
    return {"name": metric.name, "backend": row["backend"], "target": metric.target, "floor_ratio": metric.floor_ratio,
            "met": verdict(row, metric), "spread": spread, "static": static[0] if static else None,
            "notes": sorted(f"{case.call}, {p.name}: {note}" for p in programs for note in p.notes)}


def run_case(case, arguments, ours, backend):
    programs = list(contestants(case, ours, arguments.only, backend)) if case.kind != "size" else \
        measure_size(case.metrics[0].name, arguments.build, ours)
    rounds = arguments.rounds or case.rounds
    for number in range(rounds if case.kind != "size" else 0):
        say(f"{case.call}, {backend}: round {number + 1} of {rounds}")
        for program in programs:
            program.round(case, number)
    rows = [make_row(case, metric, backend, programs, rounds) for metric in case.metrics]
    return rows, [details(case, metric, row, programs) for metric, row in zip(case.metrics, rows)]


def number(value):
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio(value, base):
    return f"{value / base:.2f}x" if value is not None and base else "-"


def target_text(metric):
    if metric.target is None:
        return "ahead of peers"
    sign = "<=" if metric.better == "lower" else ">="
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
          f"load {about['load']:.2f}; everything on cpu {CPU}", flush=True)

    default, available = backends(ours)
    rows, info = [], []
    for case in arguments.cases:
        for backend in (available or [default]) if case.per_backend else [default]:
            new_rows, new_info = run_case(case, arguments, ours, backend)
            rows += new_rows
            info += new_info
    print_table(rows, info)
    write(OUT / f"{arguments.name}.json", rows)
    write(OUT / f"{arguments.name}.meta.json", {"machine": about, "absent": build.missing, "results": info})
    say(f"results: {OUT / (arguments.name + '.json')}")
    return 0 if ours and all(row["coir"] is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
