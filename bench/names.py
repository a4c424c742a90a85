"""What the benchmarks are called and how each is measured.

Owns the catalogue: a Case is one invocation that every program understands (ours, its floor, each peer: `program NAME`),
and it yields one or more Metrics, which are the names in the results. To add one, add a Case here and teach the
programs its name; run.py needs no change. A server is called with its kind, `program echo`, and a Load says what it gets
to do.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    better: str = "lower"
    target: float | None = None  # absolute, on the machine of the design; None: ahead of the best peer of the run
    floor_ratio: float | None = None  # the same target as a ratio to the floor: holds on any machine; or the only one
    printed: str = ""  # what the programs call it, if not name

    @property
    def key(self):
        return self.printed or self.name


@dataclass(frozen=True)
class Load:
    """What a program of bench/load does to a server, see bench/servers.py."""
    connections: int
    size: int  # bytes of a message; of http_load: requests in flight on each connection
    same_cpu: bool
    program: str = "echo_load"
    more: tuple = ()  # what else it is called with


@dataclass(frozen=True)
class Case:
    call: str  # what the programs are called with
    metrics: tuple
    floor: str | None = None  # program in bench/floors
    sets: tuple = ("core",)
    rounds: int = 5
    kind: str = "run"  # run; launch: started by bench/launch.c, which prints the result; size: of the library; serve;
    # client: called with the port of a floor's server;
    # pulse: bench/pulse.py runs Pulse
    per_backend: bool = False  # one row for each backend, because it matters; {backend} stands in its floor's name
    load: Load | None = None  # what a server gets to do
    server: str = ""  # what servers are called with instead of call
    program: str = ""  # coir's, coir-bench-PROGRAM; "": that of its kind, which is core, startup, or called as the server
    warm_mib: int = 0  # touched and freed before each run, see bench/warm.c


@dataclass(frozen=True)
class Peer:
    """A program of another library. It exits with 2 for a call that its library has no match for."""
    name: str
    command: tuple  # {bin} is where the programs are built, {bench} this directory
    env: tuple = ()
    once: tuple = ()  # calls for which one round is enough: far behind, and slow


def simple(name, unit, floor, **limits):
    return Case(name, (Metric(name, unit, **limits),), floor)


def files(name, unit, **limits):
    return Case(name, (Metric(name, unit, **limits),), "files_floor", sets=("io",), per_backend=True, program="files")


def echo(name, metric, connections, size, **limits):
    """`metric` is what the load prints: cpu_ns (of the server, on one cpu with the load) or rate."""
    unit, better = ("ns", "lower") if metric == "cpu_ns" else ("/s", "higher")
    return Case(name, (Metric(name, unit, better, printed=metric, **limits),), "echo_{backend}", kind="serve",
                per_backend=True, server="echo", load=Load(connections, size, same_cpu=metric == "cpu_ns"))


def tls(name, unit, better, printed, connections, size):
    """As echo with TLS; a message of no bytes is a handshake. Server and load share the cpu."""
    ratio = 1.05 if better == "lower" else 0.95
    return Case(name, (Metric(name, unit, better, printed=printed, floor_ratio=ratio),), "tls_epoll", ("io",), kind="serve",
                per_backend=True, server="tls", load=Load(connections, size, same_cpu=True, program="tls_load"))


def udp_echo(name, connections, size, **limits):
    """Each connection is a socket of the load's; the server has one for all of them."""
    return Case(name, (Metric(name, "ns", printed="cpu_ns", **limits),), "udp_epoll", ("io",), kind="serve",
                per_backend=True, server="udp_echo", load=Load(connections, size, True, "udp_load"))


def http(name, metric, connections, what="/", depth=1, server="http", floor="echo_{backend}", **limits):
    """`metric` is what the load prints; a rate has a cpu for the load and one for the server."""
    unit, better = {"cpu_ns": ("ns", "lower"), "idle_b": ("B", "lower")}.get(metric, ("/s", "higher"))
    return Case(name, (Metric(name, unit, better, printed=metric, **limits),), floor, ("http",), kind="serve",
                per_backend=True, server=server, program="http",
                load=Load(connections, depth, metric != "rate", "http_load", (what,)))


def websocket(name, metric, connections, what, path, **limits):
    """Connections to `path`, of which `what` is made: echo, room, idle."""
    unit = {"cpu_ns": "ns", "idle_b": "B"}[metric]
    return Case(name, (Metric(name, unit, printed=metric, **limits),), None if metric == "idle_b" else "ws_epoll", ("http",),
                kind="serve", per_backend=True, server="http", program="http",
                load=Load(connections, 64, True, "ws_load", (what, path)))


CASES = (
    simple("switch/2", "ns", "switch_floor", target=6, floor_ratio=2.3),
    simple("switch/1000", "ns", "switch_floor", target=9, floor_ratio=1.3),
    simple("spawn_join/1", "ns", "switch_floor", target=20, floor_ratio=2.5),
    simple("spawn_join/1000", "ns", "switch_floor", target=20, floor_ratio=2.5),
    Case("spawn_join/debug_ratio", (Metric("spawn_join/debug_ratio", "x", target=3),)),
    simple("channel/0", "ns", "chan_floor"),
    simple("channel/1", "ns", "chan_floor", target=30),
    simple("channel/64", "ns", "chan_floor", target=8, floor_ratio=6.7),
    simple("job/1", "ns", "job_floor"),
    simple("job/16", "ns", "job_floor"),
    simple("timers/1m", "ns", "timer_floor", target=35, floor_ratio=2.0),
    simple("timers/churn", "ns", "timer_floor", target=5, floor_ratio=1.06),
    echo("echo/64/cpu_ns", "cpu_ns", 50, 64, floor_ratio=1.02),
    echo("echo/16384/cpu_ns", "cpu_ns", 50, 16384, floor_ratio=1.01),
    echo("echo/64/50/rate", "rate", 50, 64),
    echo("echo/64/1000/rate", "rate", 1000, 64),
    Case("startup/ms", (Metric("startup/ms", "ms", target=1),), "startup_floor", kind="launch", per_backend=True),
    Case("size/core_kb", (Metric("size/core_kb", "KiB", target=200),), kind="size", rounds=1),
    Case("sleepers/1m", (
        Metric("sleepers/1m/cpu_s", "s", target=4.5),
        Metric("sleepers/1m/rss_b", "B", target=4400, floor_ratio=1.07),
        Metric("sleepers/1m/create_s", "s"),
    ), "sleep_floor", rounds=3, warm_mib=5120),
    files("files/small_us", "us", target=3.6, floor_ratio=1.2),
    files("files/big_gbs", "GB/s", better="higher", target=22, floor_ratio=0.9),
    tls("tls_echo/64/cpu_ns", "ns", "lower", "cpu_ns", 50, 64),
    tls("tls_echo/16384/cpu_ns", "ns", "lower", "cpu_ns", 50, 16384),
    tls("tls_handshake/rate", "/s", "higher", "cpu_rate", 50, 0),
    Case("process_spawn/rate", (Metric("process_spawn/rate", "/s", "higher"),), "process_floor", ("io",)),
    udp_echo("udp_echo/64/cpu_ns", 50, 64, floor_ratio=1.1),
    http("hello/64/cpu_ns", "cpu_ns", 64, target=5200, floor_ratio=1.12),
    http("hello/512/rate", "rate", 512),
    http("connect_close/rate", "cpu_rate", 64, "close", server="http_close"),
    http("hello/pipelined16/cpu_ns", "cpu_ns", 64, depth=16, target=520, floor_ratio=1.5),
    http("json/64/cpu_ns", "cpu_ns", 64, "/json", floor=None),
    http("file10k/64/cpu_ns", "cpu_ns", 64, "/files/10k", floor=None),
    http("https/64/cpu_ns", "cpu_ns", 64, "tls", server="https", floor="tls_epoll", floor_ratio=1.05),
    Case("client/get", (
        Metric("client/get/cpu_ns", "ns", target=7500, floor_ratio=1.4),
        Metric("client/get/rate", "/s", "higher", target=130000, floor_ratio=0.9),
    ), "client_epoll", ("http",), kind="client", per_backend=True, program="client"),
    http("idle/http_b", "idle_b", 8000, "idle", floor=None, target=300),
    websocket("ws_echo/50/cpu_ns", "cpu_ns", 50, "echo", "/ws", target=5200, floor_ratio=1.1),
    websocket("ws_broadcast/500/cpu_ns", "cpu_ns", 500, "room", "/ws_room", target=4000, floor_ratio=1.07),
    websocket("idle/ws_b", "idle_b", 8000, "idle", "/ws_room", target=600),
    websocket("idle/ws_task_b", "idle_b", 8000, "idle", "/ws", target=5120),
    Case("pulse/10k", (
        Metric("pulse/10k/lag_p99_ms", "ms", target=20),
        Metric("pulse/10k/cpu_pct", "%"),
        Metric("pulse/10k/rss_mb", "MB", target=100),
    ), sets=("pulse",), rounds=3, kind="pulse", per_backend=True, program="pulse"),
    Case("workers/2/speedup", (Metric("workers/2/speedup", "x", "higher", target=1.9),), "workers_floor", ("io",),
         per_backend=True, program="workers"),
)

PEERS = (
    Peer("go", ("{bin}/gobench",), env=(("GOMAXPROCS", "1"),)),
    Peer("tokio", ("{bin}/tokiobench",)),
    Peer("libuv", ("{bin}/uvbench",)),
    Peer("asyncio", ("/usr/bin/python3", "{bench}/peers/py/aiobench.py", "asyncio"), once=("sleepers/1m",)),
    Peer("node", ("node", "{bench}/peers/node/ws.js"), env=(("NODE_PATH", "/usr/share/nodejs"),)),
    Peer("nginx", ("/usr/bin/python3", "{bench}/peers/nginx/nginx.py")),
    Peer("uvloop", ("/usr/bin/python3", "{bench}/peers/py/aiobench.py", "uvloop"), once=("sleepers/1m",)),
)


def select(wanted):
    """The cases that a name stands for: a set (core), a case, or one of its metrics."""
    if any(wanted in case.sets for case in CASES):
        return [case for case in CASES if wanted in case.sets]
    return [case for case in CASES if wanted == case.call or any(wanted == m.name for m in case.metrics)]
