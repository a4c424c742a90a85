"""Runs a server and the load for it, for the cases that measure servers.

A server says `PORT n` on its standard output when it listens on 127.0.0.1, and serves until it is killed. The load
generator (bench/load) knows its process id, reads its CPU clock at both ends of the time that it counts, and prints the
results. Server and load are on one cpu when CPU time per message is measured: no wake-ups between cpus, and the ratios
hold still. For a rate each has its own, and so has a client that is measured. Called by run.py.
"""
import os
import resource
import selectors
import subprocess

CPUS = sorted(os.sched_getaffinity(0))
START_S, LIMIT_S, COUNT_S = 20, 60, 1
DESCRIPTORS = 8192


def pinned(cpu):
    """For preexec_fn: puts the new process on cpu, with enough descriptors."""
    def apply():
        os.sched_setaffinity(0, {cpu})
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return apply


def wait_for_port(server):
    """The port that a server says. Raises RuntimeError when it says none in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        words = server.stdout.readline().split() if selector.select(START_S) else []
    if len(words) != 2 or words[0] != "PORT":
        raise RuntimeError(f"the server did not start, exit status {server.poll()}")
    return words[1]


def serve(program, load, command, env):
    """Starts the server `command`, runs the load against it, and kills it.

    Returns the exit status and the output of the load. A server that ends at once with 2 has no match for the case.
    """
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env,
                              preexec_fn=pinned(CPUS[0]))
    try:
        port = wait_for_port(server)
        cpu = CPUS[0] if load.same_cpu else CPUS[-1]
        words = [port, server.pid, load.connections, load.size, COUNT_S, *load.more]
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=LIMIT_S,
                              check=False, preexec_fn=pinned(cpu))
    except RuntimeError:
        try:
            status = server.wait(1)  # it has closed its output, and is about to end
        except subprocess.TimeoutExpired:
            status = None
        if status == 2:
            return subprocess.CompletedProcess(command, 2, "", "")
        raise
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def ask(server_command, command, env):
    """Starts a server, on the last cpu, and runs the client `command` against it, on the first, with the port behind it.

    Returns the exit status and the output of the client.
    """
    server = subprocess.Popen(server_command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(CPUS[-1]))
    try:
        return subprocess.run([*command, wait_for_port(server)], capture_output=True, text=True, timeout=LIMIT_S,
                              check=False, env=env, preexec_fn=pinned(CPUS[0]))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
