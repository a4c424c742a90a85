"""The tests of apps/pulse as a user would try it: pulse.py CASE BUILD, where CASE is a function below.

Each case runs the real program in a directory of its own. Real time passes, but nothing is asserted about how little
of it, except where Pulse promises a second. Exit status 0 passed, 1 failed, 77 skipped.
"""
import contextlib
import fcntl
import gzip
import json
import os
import pathlib
import pty
import re
import select
import signal
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
import browser

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[2]).resolve()
PULSE = BUILD / "apps/pulse/pulse"
RUN = [ROOT / "apps/pulse/run.sh", BUILD, "--listen=127.0.0.1:0"]
DEMO = ("127.0.0.1", 7801)
LINE = re.compile(r"(\S+Z)  (up|down) +(\S+) +(.+)")
PATIENCE = 30
started = []


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def expect(truth, *what):
    if not truth:
        raise AssertionError(" ".join(map(str, what)))


def equal(got, wanted, what=""):
    expect(got == wanted, f"{what}: got {got!r}, expected {wanted!r}")


# --- what is watched -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def service(address):
    """Accepts and closes; yields the address as it stands in a targets file."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"unix:{address}" if family == socket.AF_UNIX else "tcp://%s:%d" % listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def silent_service():
    """A listener whose queue is full: a connection to it neither stands nor fails."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield "tcp://%s:%d" % listener.getsockname()


def reply(status, body=b"", **headers):
    """The bytes of an answer; "_" in the name of a header is a hyphen."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.contextmanager
def site(answers, certificate=None):
    """Answers each request for a path by those bytes, and closes, or not at all when there are none for it. Yields the
    URL and the list of the heads that have come; with a certificate (its file and that of its key) it is HTTPS."""
    heads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)

        def answer(connection):
            with contextlib.suppress(OSError):
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(4096)):
                    head += data
                    if head[0] == 0x16:  # TLS, where there is none
                        head = b"TLS /tls \r\n\r\n"
                heads.append(head.decode())
                path = head.split(b" ")[1].decode() if head else ""
                if path in answers:
                    connection.sendall(answers[path])
                else:
                    connection.recv(1)
                connection.close()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        scheme, host = ("https", "localhost") if certificate else ("http", "127.0.0.1")
        yield f"{scheme}://{host}:{listener.getsockname()[1]}", heads
        listener.shutdown(socket.SHUT_RDWR)


def make_certificate(name, days, host="localhost"):
    """One that signs itself; returns the files of it and of its key."""
    files = f"{name}.pem", f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    str(days), "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-out", files[0],
                    "-keyout", files[1]], check=True, capture_output=True)
    return files


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "tcp://%s:%d" % probe.getsockname()


def write_targets(targets, **defaults):
    """A targets file from name: address, or name: all keys but that; JSON is YAML."""
    items = [{"name": name, **(keys if isinstance(keys, dict) else {"address": keys})} for name, keys in targets.items()]
    pathlib.Path("targets.yaml").write_text(json.dumps({"defaults": defaults, "targets": items}))


# --- running it ------------------------------------------------------------------------------------------------------


def plain_signals():
    """What a shell's foreground command starts with, however the tests were started."""
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def start(*command, terminal=None, **more):
    """With terminal, it is the controlling one of a session of its own, and everything that the process has."""

    def prepare():
        plain_signals()
        if terminal is not None:
            os.setsid()
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    ends = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    if terminal is not None:
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    process = subprocess.Popen([str(part) for part in command], preexec_fn=prepare, **ends, **more)
    started.append(process)
    return process


def pulse(*arguments, status=0):
    """Runs it to its end; returns what it printed to standard output and to standard error."""
    process = start(PULSE, *arguments)
    out, err = process.communicate(timeout=PATIENCE)
    equal(process.returncode, status, f"exit status, standard error is {err!r}")
    return out, err


def shown(text):
    lines = text.splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    expect(all(found), "a line of another form:", lines)
    return [match.groups() for match in found]


def stored(path="results.jsonl"):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def check_stored(lines, results):
    """Every line that was shown is in the file, in the same order."""
    keys = [(result["time"], result["state"], result["target"]) for result in results]
    equal([line[:3] for line in lines], keys[: len(lines)], "shown and stored")
    for result in results:
        up = result["state"] == "up"
        wanted = {"time", "target", "address", "state", "attempts"} | ({"latency_ms"} if up else {"code", "error"})
        equal(set(result) - {"status", "certificate_days"}, wanted, "keys of a result")


def end(process, number, status):
    """Sends a signal; the process has to end within the second, with that status."""
    begin = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    took = time.monotonic() - begin
    equal(process.returncode, status, f"exit status, standard error is {err!r}")
    expect(took < 1, f"{signal.Signals(number).name} took {took:.2f} s")
    return out


def refuses(address):
    with socket.socket() as probe:
        return probe.connect_ex(address) != 0


# --- the cases -------------------------------------------------------------------------------------------------------


def demo():
    """The demo in lines: services go and come, SIGTERM ends everything, a second demo says why not."""
    if not refuses(DEMO):
        skip("something listens where the demo's service would")
    process = start(*RUN)
    lines, states, begin = [], {name: [] for name in ("flapper", "checkout", "orders")}, time.monotonic()
    while not all({"up down up", "down up down"} & {" ".join(s[i : i + 3]) for i in range(len(s))} for s in states.values()):
        expect(time.monotonic() - begin < PATIENCE, "services did not go and come:", lines)
        line = process.stdout.readline()
        expect(line, "Pulse has ended:", line or process.stderr.read())
        lines += shown(line)
        _, state, name, _ = lines[-1]
        if name in states and states[name][-1:] != [state]:
            states[name].append(state)

    second = start(*RUN, "--results", "second.jsonl")
    _, err = second.communicate(timeout=PATIENCE)
    expect(second.returncode == 1 and "127.0.0.1:7801" in err, "a second demo:", second.returncode, err)

    lines += shown(end(process, signal.SIGTERM, 0))
    check_stored(lines, stored())
    equal({state for _, state, name, _ in lines if name == "greeter"}, {"up"}, "states of the greeter")
    expect(any(state == "up" for _, state, name, _ in lines if name == "shop"), "the shop is never up:", lines)
    expect(any("certificate ends in" in words for *_, name, words in lines if name == "vault"), "no warning:", lines)
    services_end()


def services_end():
    deadline = time.monotonic() + 5
    while not refuses(DEMO):
        expect(time.monotonic() < deadline, "the demo's services outlive Pulse")
        time.sleep(0.01)
    for file in "/tmp/pulse-demo.sock", "/tmp/pulse-demo.pem":
        while os.path.exists(file):
            expect(time.monotonic() < deadline, "the demo's services left", file)
            time.sleep(0.01)


def killed():
    """The services end with Pulse even when it is killed."""
    if not refuses(DEMO):
        skip("something listens where the demo's service would")
    process = start(*RUN)
    expect(process.stdout.readline(), "no line")
    process.kill()
    process.communicate(timeout=PATIENCE)
    services_end()


def signals():
    """SIGTERM and SIGINT in the middle of connects that would last for minutes, and from a shell."""
    with silent_service() as silent:
        write_targets({f"silent {i}": silent for i in range(20)}, timeout="5m", interval="5m")
        for number, status in (signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT):
            process = start(PULSE, "--targets", "targets.yaml", "--in-flight", 10)
            time.sleep(0.5)
            expect(process.poll() is None, "it has ended by itself")
            equal(end(process, number, status), "", "shown")
        script = f"'{PULSE}' --targets targets.yaml & child=$!; sleep 0.5; kill -TERM $child; wait $child; echo $?"
        equal(start("sh", "-c", script).communicate(timeout=PATIENCE)[0], "0\n", "status in the shell")
        script = f"timeout --foreground --preserve-status -s INT 0.5 '{PULSE}' --targets targets.yaml; echo $?"
        equal(start("sh", "-c", script).communicate(timeout=PATIENCE)[0], "130\n", "status in the shell")


def stuck():
    """SIGTERM while nobody reads what is shown: a pipe that is full, and a terminal that was stopped with Ctrl-S."""
    write_targets({f"target{i}": "unix:nowhere" for i in range(300)}, interval="100ms", retries=0)
    process = start(PULSE, "--targets", "targets.yaml")
    time.sleep(2)
    begin = time.monotonic()
    process.terminate()
    equal(process.wait(PATIENCE), 0, "exit status")
    expect(time.monotonic() - begin < 1, "it did not end within the second")
    check_stored(shown(process.stdout.read().rpartition("\n")[0]), stored())

    screen = Terminal()
    screen.wait_for("down")
    screen.type("\x13")
    time.sleep(1)
    kept = len(stored())
    time.sleep(1)
    expect(len(stored()) > kept, "a terminal that stands still stops the checks")
    screen.process.terminate()
    equal(screen.process.wait(1), 0, "exit status")
    screen.type("\x11")


def once():
    """Both kinds of address, up and down, the exit status, the attempts, the deadline, and how many are in flight."""
    with service(("127.0.0.1", 0)) as tcp, service("socket") as unix, silent_service() as silent:
        write_targets({"tcp": tcp, "unix": unix}, timeout="5s")
        out, _ = pulse("--targets", "targets.yaml", "--once")
        lines = shown(out)
        equal(sorted(line[1:3] for line in lines), [("up", "tcp"), ("up", "unix")], "states")
        check_stored(lines, stored())

        write_targets({"tcp": tcp, "closed": closed_port(), "nowhere": "unix:nowhere"}, retries=2, timeout="5s")
        out, _ = pulse("--targets", "targets.yaml", "--once", "--results", "b.jsonl", status=1)
        check_stored(shown(out), stored("b.jsonl"))
        found = {result["target"]: result for result in stored("b.jsonl")}
        equal((found["closed"]["code"], found["closed"]["attempts"]), ("ECONNREFUSED", 3), "the closed port")
        equal((found["nowhere"]["code"], found["nowhere"]["attempts"]), ("ENOENT", 3), "the missing socket")
        equal(found["tcp"]["attempts"], 1, "attempts of what is up")

        write_targets({f"silent{i}": silent for i in range(4)}, timeout="300ms")
        took = []
        for in_flight in 4, 1:
            begin = time.monotonic()
            pulse("--targets", "targets.yaml", "--once", "--in-flight", in_flight, "--results", "c.jsonl", status=1)
            took.append(time.monotonic() - begin)
        equal({result["code"] for result in stored("c.jsonl")}, {"ETIMEDOUT"}, "codes of what is silent")
        write_targets({"silent": silent, "nowhere": "unix:nowhere"}, timeout="5m", retries=0)
        process = start(PULSE, "--targets", "targets.yaml", "--once", "--results", "d.jsonl")
        expect(process.stdout.readline(), "no line")
        end(process, signal.SIGTERM, 0)
        expect(0.3 <= took[0] and 1.2 <= took[1], "four checks at once and one by one took", took)


def check_http(url, **keys):
    """The result of one check of an HTTP target."""
    pathlib.Path("results.jsonl").unlink(missing_ok=True)
    write_targets({"it": {"address": url, "retries": 0, "timeout": "20s", **keys}})
    process = start(PULSE, "--targets", "targets.yaml", "--once")
    out, err = process.communicate(timeout=PATIENCE)
    result = stored()[0]
    equal(process.returncode, 0 if result["state"] == "up" else 1, f"exit status for {url} {keys}, {err!r}")
    check_stored(shown(out), [result])
    return result


def http():
    """What an HTTP target is asked, and which answers are good: statuses, bodies, redirects; and no answers at all."""
    page = b"x" * 4090 + b"all is well" + b"y" * 9000
    answers = {
        "/": reply("200 OK", page), "/none": reply("204 No Content"), "/busy": reply("503 Service Unavailable"),
        "/to": reply("302 Found", Location="/"), "/round": reply("302 Found", Location="/round"),
        "/cut": reply("200 OK", page)[:-1], "/noise": b"220 mail.example.org ESMTP\r\n",
        "/?a=b": reply("204 No Content"), "/long": reply("200 OK", b"x" * (1 << 20) + b"all is well"), "/empty": b"",
        "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n6\r\ns well\r\n0\r\n\r\n",
        "/bomb": reply("200 OK", gzip.compress(b"x" * (64 << 20)), Content_Encoding="gzip"),
    }
    up = lambda *arguments, **keys: equal(check_http(*arguments, **keys)["state"], "up", f"{arguments} {keys}")

    def down(codes, words, *arguments, **keys):
        result = check_http(*arguments, **keys)
        expect(result.get("code") in codes.split(), f"{arguments} {keys} is {result}, expected {codes}")
        expect(words in result["error"], f"{arguments}: {result['error']!r} has no {words!r}")

    with site(answers) as (url, heads):
        up(f"{url}/")
        up(f"{url}/none", status=204)
        up(f"{url}/busy", status=[200, "500-599"])
        down("COIR_ESTATUS", "status 503 Service Unavailable", f"{url}/busy")
        down("COIR_ESTATUS", "status 200", f"{url}/", status="201-599")
        for text in "all is well", "wellyyy", "y" * 256:
            up(f"{url}/", body=text)
        up(f"{url}/chunks", body="all is well")
        up(f"{url}/long")
        up(f"{url}/bomb", body="xxx")
        down("EBADMSG", f"body without 'all is bad' in {len(page)} bytes", f"{url}/", body="all is bad")
        down("EBADMSG", "in its first 1048576 bytes", f"{url}/long", body="well")
        equal(check_http(f"{url}/to")["status"], 200, "a redirect")
        equal(check_http(f"{url}/to", status=302)["status"], 302, "a redirect that is expected")
        down("COIR_EREDIRECTS", "redirects", f"{url}/round")
        down("COIR_EEOF", "", f"{url}/cut")
        down("COIR_EEOF", "closed", f"{url}/empty")
        down("COIR_EHTTP", "no response of HTTP", f"{url}/noise")
        down("ETIMEDOUT", "", f"{url}/silence", timeout="200ms")
        heads.clear()
        up(f"{url}/?a=b", method="OPTIONS", headers={"X-Trace": "7", "User-Agent": "me"}, status=204)
        lines = heads[0].split("\r\n")
        equal(lines[0], "OPTIONS /?a=b HTTP/1.1", "request line")
        expect({"X-Trace: 7", "User-Agent: me", "Connection: close"} <= set(lines), "headers:", lines)
        expect(not any(line.startswith("User-Agent: pulse") for line in lines), "two User-Agents:", lines)
    down("ECONNREFUSED", "connection refused", f"{url}/")
    secure_sites(answers, up, down)


def secure_sites(answers, up, down):
    """Whom HTTPS trusts, and how long."""
    if not shutil.which("openssl"):
        return
    files = make_certificate("mine", 9)
    with site(answers, files) as (url, _):
        down("COIR_ECERTIFICATE", "certificate", f"{url}/")
        for days, warning in (8, ""), (10, "  certificate ends in [89] days"):
            result = check_http(f"{url}/", trust="mine.pem", certificate_days=days, body="all is well")
            expect(result["state"] == "up" and result["certificate_days"] in (8, 9), "certificate:", result)
            out, _ = pulse("--targets", "targets.yaml", "--once")
            expect(re.search(f" ms{warning}\n$", out), out)
        down("COIR_ECERTIFICATE", "it is for localhost", url.replace("localhost", "127.0.0.1"), trust="mine.pem")
        down("COIR_EEOF ECONNRESET", "", url.replace("https", "http"))
        with site({"/": reply("301 Moved", Location=f"{url}/")}) as (plain, _):
            expect(check_http(f"{plain}/", trust="mine.pem")["certificate_days"] in (8, 9), "behind a redirect")
    with site({"/tls": reply("400 Bad Request")}) as (url, _):
        down("COIR_ETLS", "", url.replace("http", "https"))


def wrong():
    """Each wrong file of tests/data/pulse/wrong.txt gets its messages, exit status 2, and nothing is started."""
    text = (ROOT / "tests/data/pulse/wrong.txt").read_text(encoding="utf-8")
    sections = re.split(r"^=== (.*)\n", text, flags=re.MULTILINE)[1:]
    expect(len(sections) > 20, "the table is empty")
    for title, body in zip(sections[::2], sections[1::2]):
        lines = body.splitlines(keepends=True)
        pathlib.Path("wrong.yaml").write_text("".join(line for line in lines if not line.startswith("! ")))
        wanted = "".join("wrong.yaml:" + line[2:] for line in lines if line.startswith("! "))
        out, err = pulse("--targets", "wrong.yaml", status=2)
        equal((out, err), ("", wanted), title)
    expect("nowhere.yaml: expected a readable file" in pulse("--targets", "nowhere.yaml", status=2)[1], "no file")
    pathlib.Path("bytes.yaml").write_bytes(b"targets:\n  - name: \xff\x9b2J\n")
    expect(pulse("--targets", "bytes.yaml", status=2)[1].startswith("bytes.yaml:2: line "), "bytes")
    pathlib.Path("big.yaml").write_bytes(b"#" * (16 << 20) + b"\n")
    expect("16 MiB" in pulse("--targets", "big.yaml", status=2)[1], "a big file")
    for options in ["--in-flight", "0"], ["--in-flight", "many"], ["--unknown"], ["word"], ["--targets"]:
        pulse(*options, status=2)
    equal(sorted(os.listdir()), ["big.yaml", "bytes.yaml", "wrong.yaml"], "files")


def results():
    """The file of results: appended to, a torn line ended, one writer, and nothing is shown that it does not hold."""
    with service(("127.0.0.1", 0)) as tcp:
        write_targets({"tcp": tcp}, interval="100ms")
        pathlib.Path("results.jsonl").write_text('{"torn": ')
        pulse("--targets", "targets.yaml", "--once")
        pulse("--targets", "targets.yaml", "--once")
        text = pathlib.Path("results.jsonl").read_text().splitlines()
        equal((len(text), text[0], json.loads(text[2])["target"]), (3, '{"torn": ', "tcp"), "the file")

        out, err = pulse("--targets", "targets.yaml", "--results", "/dev/full", status=1)
        expect(out == "" and "no space left" in err, "a full disk:", out, err)
        _, err = pulse("--targets", "targets.yaml", "--results", "no/such/directory", status=1)
        expect("no such file or directory" in err, err)
        process = start(PULSE, "--targets", "targets.yaml")
        expect(process.stdout.readline(), "no line")
        expect("another Pulse" in pulse("--targets", "targets.yaml", status=1)[1], "a second writer")
        end(process, signal.SIGTERM, 0)


class Terminal:
    """Pulse on a terminal of its own."""

    def __init__(self, columns=120, command=(PULSE, "--targets", "targets.yaml"), **environment):
        self.master, slave = pty.openpty()
        self.text = ""
        self.resize(columns)
        environment = {"TERM": "xterm", "LANG": "C.UTF-8", "PATH": os.environ["PATH"], **environment}
        self.process = start(*command, terminal=slave, env=environment)
        self.slave = slave
        os.set_blocking(self.master, False)

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, seconds=0.0):
        if select.select([self.master], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # nothing there, or nobody
                self.text += os.read(self.master, 1 << 16).decode("utf-8", "replace")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def wait_for(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            expect(time.monotonic() < deadline, f"no {pattern!r} on the terminal:", repr(self.text[-2000:]))
            self.read(0.1)

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def finish(self, status):
        begin = time.monotonic()
        while self.process.poll() is None:
            expect(time.monotonic() - begin < 1, "it did not end within the second, expected status", status)
            self.read(0.01)
        self.read(0.1)
        equal(self.process.returncode, status, "exit status")
        left = self.text.rfind("\033[?1049l")
        expect(left > self.text.rfind("\033[?1049h"), "the alternate screen was not left")
        expect(self.text.rfind("\033[?25h") > self.text.rfind("\033[?25l"), "the cursor was not shown again")
        expect(self.echoes(), "the terminal does not echo any more")
        os.close(self.master)
        os.close(self.slave)
        return self.text[left:]


def terminal():
    """The table on a terminal, after a resize, a stop, and every way to end it; the terminal is as it was."""
    with service(("127.0.0.1", 0)) as tcp:
        write_targets({"Bücher 図書": tcp, "closed": closed_port()}, interval="100ms", retries=0)
        ways = [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT), (signal.SIGHUP, -signal.SIGHUP),
                (signal.SIGQUIT, -signal.SIGQUIT), (signal.SIGABRT, -signal.SIGABRT)]
        for number, status in ways:
            screen = Terminal()
            screen.wait_for("●.*Bücher 図書.*up")
            screen.wait_for("✗.*closed.*down.*connection refused")
            expect(not screen.echoes(), "keys are echoed")
            screen.process.send_signal(number)
            last = screen.finish(status)
            expect(status != 0 or "Bücher 図書" in last, "the last table is not left behind:", last)
        plain = Terminal(NO_COLOR="1", LANG="C")
        plain.wait_for(r"\+ .*B\?cher \?\?\?\? .*up")
        equal(re.findall("\033\\[[0-9;]*m|[^\0-\x7f]", plain.text), [], "colours and UTF-8 where neither is wanted")
        plain.process.terminate()
        plain.finish(0)
        quit = Terminal()
        quit.wait_for("closed.*down")
        quit.type("\x1c")  # Ctrl-\\, which comes from the kernel
        quit.finish(-signal.SIGQUIT)


def keys():
    """In an interactive shell: a resize is followed at once, Ctrl-Z gives the terminal back, fg takes it again, Ctrl-C
    ends it as a shell expects."""
    with service(("127.0.0.1", 0)) as tcp:
        write_targets({"tcp": tcp}, interval="1h")
        screen = Terminal(command=["bash", "--norc", "--noprofile", "-i"])
        screen.type(f"'{PULSE}' --targets targets.yaml\n")
        screen.wait_for("tcp.*up")
        screen.text = ""
        screen.resize(60)
        screen.wait_for("(?s)Pulse.*NAME.*up")
        screen.type("\x1a")
        screen.wait_for("(?s)\033\\[\\?1049l.*Stopped")
        screen.type("fg\n")
        screen.wait_for("(?s)Stopped.*\033\\[\\?1049h.*tcp.*up")
        screen.type("\x03")
        screen.wait_for("(?s)Stopped.*\033\\[\\?1049h.*\033\\[\\?1049l")
        screen.type("echo status $?\n")
        screen.wait_for("status 130")
        screen.type("exit 7\n")
        screen.finish(7)


def web():
    """The page, its events and the JSON say the same; names are data; SIGTERM ends it with a client that listens."""
    nasty = "<script>alert(1)</script> & \"co\""
    with service(("127.0.0.1", 0)) as tcp:
        write_targets({nasty: tcp, "gone": closed_port()}, interval="200ms", retries=0)
        process = start(PULSE, "--targets", "targets.yaml", "--listen", "127.0.0.1:0")
        base = re.fullmatch(r"pulse: (http://127\.0\.0\.1:\d+/)\n", process.stderr.readline())[1]
        with urllib.request.urlopen(base, timeout=PATIENCE) as page:
            expect("default-src 'none'" in page.headers["Content-Security-Policy"], "policy:", page.headers)
            files = re.findall(r'(?:href|src)="(page\.\w+)"', page.read().decode())
        equal(sorted(files), ["page.css", "page.js"], "files of the page")
        for name in files:
            with urllib.request.urlopen(base + name, timeout=PATIENCE) as file:
                equal(file.read(), (ROOT / "apps/pulse/web" / name).read_bytes(), name)
        events = urllib.request.urlopen(base + "events", timeout=PATIENCE)
        state = {"unknown": 2}
        while state["unknown"] > 0:
            state = json.loads(events.readline().removeprefix(b"data: "))
            equal(events.readline(), b"\n", "behind an event")
        equal([(t["name"], t["state"]) for t in state["targets"]], [(nasty, "up"), ("gone", "down")], "states")
        equal(state["targets"][1]["last_error"], "connection refused", "error")
        equal(set(state["targets"][1]["history"]), {None}, "history of what is down")
        with urllib.request.urlopen(base + "api/status", timeout=PATIENCE) as answer:
            equal(json.load(answer).keys(), state.keys(), "keys")
        socket = browser.Socket(base.replace("http", "ws") + "live")
        first = json.loads(socket.receive())
        equal([(t["index"], t["name"]) for t in first["targets"]], [(0, nasty), (1, "gone")], "what comes first")
        while len(state["targets"]) != 1:  # then only what has changed
            state = json.loads(socket.receive())
            expect(state["results"] >= first["results"], "results go back:", state)
        equal(state.keys(), first.keys(), "keys by WebSocket")
        try:
            urllib.request.urlopen(base + "nothing", timeout=PATIENCE)
            raise AssertionError("/nothing is there")
        except urllib.error.HTTPError as error:
            equal(error.code, 404, "/nothing")
        _, err = pulse("--listen", base.split("/")[2], "--targets", "targets.yaml", "--results", "other", status=1)
        expect("address already in use" in err.lower(), "a second one at the same address:", err)
        end(process, signal.SIGTERM, 0)
        events.close()
        socket.close()


# The least contrast of a text with what is behind it, as WCAG 2.1 counts it.
CONTRAST = """(() => {
    const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) =>
        sum + weight * (c[i] / 255 <= 0.03928 ? c[i] / 255 / 12.92 : ((c[i] / 255 + 0.055) / 1.055) ** 2.4), 0);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = numbers(getComputedStyle(element).backgroundColor);
            if (colour.length == 3 || colour[3] > 0) return light(colour);
        }
    };
    return Math.min(...[...document.querySelectorAll("h1, p, strong, span, a, label")]
        .filter((element) => element.textContent && !element.closest("[hidden]"))
        .map((element) => [light(numbers(getComputedStyle(element).color)), behind(element)].sort((a, b) => b - a))
        .map(([bright, dark]) => (bright + 0.05) / (dark + 0.05)));
})()"""


def page():
    """The page in Chromium: drawn, alive, searched, in the light and the dark, at 400 pixels, and when Pulse has gone."""
    if not browser.find():
        skip("no Chromium is installed")
    names = ["<b>bold</b>", "other", *(f"target {i}" for i in range(8))]
    with site({"/": reply("200 OK")}) as (url, _), browser.Browser() as chromium:
        targets = {name: f"{url}/" for name in names}
        targets["other"] = closed_port()
        write_targets(targets, interval="200ms", retries=0, timeout="5s")
        process = start(PULSE, "--targets", "targets.yaml", "--listen", "127.0.0.1:0")
        base = re.fullmatch(r"pulse: (http://\S+)\n", process.stderr.readline())[1]
        page = chromium.open(base)
        page.wait("document.querySelectorAll('.target.up').length == 9")
        page.wait("document.getElementById('connection').textContent == 'live'")
        shown = lambda selector: page.evaluate(f"[...document.querySelectorAll('{selector}')]"
                                               ".filter((e) => !e.closest('[hidden]')).map((e) => e.textContent)")
        equal(shown(".name"), names, "names")
        equal(shown(".down .note"), ["connect " + targets["other"][6:] + ": connection refused"], "what is wrong")
        equal(shown("#summary"), ["1 of 10 targets is down"], "summary")
        equal(page.evaluate("document.title"), "1 down · Pulse", "title")
        was = page.evaluate("document.getElementById('footer').textContent")
        page.wait(f"document.getElementById('footer').textContent != {json.dumps(was)}")
        with service((("127.0.0.1", int(targets["other"].rpartition(":")[2])))):
            page.wait("document.getElementById('summary').textContent == 'All 10 targets are up'")
        page.wait("document.getElementById('summary').textContent == '1 of 10 targets is down'")
        page.type("#filter", "TARGET 7")
        equal(shown(".name"), ["target 7"], "what is found")
        page.evaluate("filter.value = ''; problems.click()")
        equal(shown(".name"), ["other"], "problems")
        page.evaluate("problems.click()")
        for dark in False, True:
            page.size(400, 800, dark)
            expect(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is wider than 400 pixels")
            contrast = page.evaluate(CONTRAST)
            expect(contrast >= 4.5, "contrast in the", "dark" if dark else "light", contrast)
        other = chromium.open(base, before="window.WebSocket = function () { setTimeout(() => this.onclose()); };")
        other.wait("document.getElementById('connection').textContent == 'live, by events'")
        other.wait("document.querySelectorAll('.target.up').length == 9")
        end(process, signal.SIGTERM, 0)
        for each in page, other:
            each.wait("document.getElementById('connection').textContent.includes('does not answer')")
        process = start(PULSE, "--targets", "targets.yaml", "--listen", base.split("/")[2])
        for each, words in (page, "live"), (other, "live, by events"):
            each.wait(f"document.getElementById('connection').textContent == '{words}'")
        end(process, signal.SIGTERM, 0)


def main():
    cases = demo, killed, signals, stuck, once, http, wrong, results, terminal, keys, web, page
    case = {f.__name__: f for f in cases}[sys.argv[1]]
    if not PULSE.exists():
        skip("Pulse is not built")
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            case()
        finally:
            os.chdir(ROOT)
            for process in started:
                if process.poll() is None:
                    process.kill()


main()
