"""Builds what is measured: floors, peers and coir's own programs.

Owns build/bench/bin and the list of Debian packages that the peers want. A peer whose toolchain or package is missing is
left out, and `missing` says why; nothing here fails a run for the sake of a peer.
"""
import os
import pathlib
import shutil
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
OUT = ROOT / "build" / "bench"
BIN = OUT / "bin"
FLOORS = ("switch_floor", "chan_floor", "job_floor", "process_floor", "timer_floor", "sleep_floor", "startup_floor")
OURS = ("coir-bench-core", "coir-bench-startup", "coir-bench-echo", "coir-bench-files", "coir-bench-tls",
        "coir-bench-udp_echo", "coir-bench-workers", "coir-bench-http", "coir-bench-client",
        "coir-bench-core-static",
        "coir-bench-startup-static", "pulse")
PACKAGES = {
    "echo_uring": ["liburing-dev"],
    "go": ["golang-go", "golang-github-gorilla-websocket-dev"],
    "tokio": ["librust-tokio-dev", "librust-hyper-dev", "librust-libc-dev"],
    "libuv": ["libuv1-dev"],
    "uvloop": ["python3-uvloop"],
    "nginx": ["nginx-light"],
    "node": ["nodejs", "node-ws"],
}

missing = {}  # what could not be built, and why


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def reason(output):
    """The line that says most about a failure."""
    lines = output.splitlines()
    return next((line for line in lines if "error:" in line or "error[" in line), lines[-1])


def run(command, **more):
    """Runs a command quietly. Returns None, or what it said when it failed."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    return reason(done.stdout.strip() or f"exit status {done.returncode}")


def installed(package):
    query = subprocess.run(["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True, check=False)
    return query.stdout.endswith(" ok installed")


def install():
    """Installs the peers' packages when root on Debian; one call each, so that one failure is one peer's."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    if not shutil.which("cargo"):
        PACKAGES["tokio"] += ["cargo", "rustc"]
    for peer, packages in PACKAGES.items():
        packages = [package for package in packages if not installed(package)]
        if not packages:
            continue
        say(f"installing {' '.join(packages)} for {peer}")
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=900", "install", "-y", "--no-install-recommends"]
        error = run([*command, *packages], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if error:
            say(f"{peer}: {error}")


def compile_c(name, sources, *flags):
    """Compiles a C program when it is older than its sources."""
    target = BIN / name
    inputs = [BENCH / source for source in sources] + [BENCH / "measure.h", *BENCH.glob("floors/*.h")]
    if target.exists() and all(target.stat().st_mtime > path.stat().st_mtime for path in inputs):
        return
    sources = [BENCH / source for source in sources]
    error = run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", target, *sources, *flags])
    if error:
        target.unlink(missing_ok=True)
        missing[name] = error


def build_go():
    env = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(OUT / "go-cache"), "GOFLAGS": ""}
    if not shutil.which("go"):
        missing["go"] = "no go on PATH"
        return
    gorilla = os.path.isdir("/usr/share/gocode/src/github.com/gorilla/websocket")
    tags = ["-tags", "gorilla"] if gorilla else []
    env["GOPATH"] = "/usr/share/gocode"
    error = run(["go", "build", *tags, "-o", BIN / "gobench", "."], cwd=BENCH / "peers" / "go", env=env)
    if error:
        missing["go"] = error


def build_tokio():
    """From Debian's crates and nothing else: cargo is offline, in a copy so that its lock file stays out of the tree."""
    crates = "/usr/share/cargo/registry"
    if not shutil.which("cargo") or not os.path.isdir(crates):
        missing["tokio"] = "no cargo on PATH" if os.path.isdir(crates) else f"no crates in {crates}"
        return
    source = OUT / "tokio-source"
    shutil.copytree(BENCH / "peers" / "tokio", source, dirs_exist_ok=True)
    options = ["--config", 'source.crates-io.replace-with="debian"', "--config", f'source.debian.directory="{crates}"']
    env = {**os.environ, "CARGO_TARGET_DIR": str(OUT / "cargo")}
    error = run(["cargo", "build", "--release", "--offline", "-q", *options], cwd=source, env=env)
    if error:
        missing["tokio"] = error
    else:
        shutil.copy2(OUT / "cargo" / "release" / "tokiobench", BIN / "tokiobench")


def build_peers():
    compile_c("uvbench", ["peers/libuv/uvbench.c"], "-luv")
    if "uvbench" in missing:
        missing["libuv"] = missing.pop("uvbench")
    build_go()
    build_tokio()
    if not shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
        missing["nginx"] = "no nginx on PATH"
    if not shutil.which("node") or not os.path.isdir("/usr/share/nodejs/ws"):
        missing["node"] = "no node, or no node-ws"
    if run(["/usr/bin/python3", "-c", "import uvloop"]):
        missing["uvloop"] = "no python3-uvloop"


def build_ours(directory):
    """coir's own programs, in a meson build that is set up when there is none. Returns their paths, or {}."""
    if not (directory / "build.ninja").exists():
        error = run(["meson", "setup", directory, ROOT, "--buildtype=debugoptimized"])
        if error:
            missing["coir"] = error
            return {}
    built = {}
    for name in OURS:
        target = pathlib.Path("apps/pulse" if name == "pulse" else "bench", name)
        error = run(["ninja", "-C", directory, target])
        if error:
            missing[name] = error
        else:
            built[name] = directory / target
    return built


def make_files():
    """The files that servers of http/ give away."""
    directory = OUT / "http"
    directory.mkdir(exist_ok=True)
    (directory / "10k").write_bytes(b"0123456789abcde\n" * 640)
    os.environ["COIR_BENCH_HTTP_FILES"] = str(directory)


def build_all():
    BIN.mkdir(parents=True, exist_ok=True)
    make_files()
    for name in FLOORS:
        compile_c(name, [f"floors/{name}.c", "floors/context.c"], "-mno-red-zone")
    compile_c("echo_epoll", ["floors/echo_epoll.c"])
    compile_c("echo_uring", ["floors/echo_uring.c"], "-luring")
    compile_c("files_floor", ["floors/files_floor.c"], "-luring")
    compile_c("tls_epoll", ["floors/tls_epoll.c"], "-lssl", "-lcrypto")
    compile_c("udp_epoll", ["floors/udp_epoll.c"])
    compile_c("client_epoll", ["floors/client_epoll.c"])
    compile_c("workers_floor", ["floors/workers_floor.c"], "-pthread")
    compile_c("echo_load", ["load/echo_load.c"])
    compile_c("tls_load", ["load/tls_load.c"], "-lssl", "-lcrypto")
    compile_c("udp_load", ["load/udp_load.c"])
    compile_c("ws_epoll", ["floors/ws_epoll.c"], "-lcrypto")
    compile_c("ws_load", ["load/ws_load.c"])
    compile_c("http_load", ["load/http_load.c"], "-lssl", "-lcrypto")
    compile_c("launch", ["launch.c"])
    compile_c("warm", ["warm.c"])
    build_peers()
    for name, why in missing.items():
        say(f"{name} is absent: {why}")
