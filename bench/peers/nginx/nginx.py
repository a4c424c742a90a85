"""Peer: nginx. usage: nginx.py WORD: http, http_close or https; for any other word it exits with 2.

One process that answers "/" and "/json" from its configuration and /files/ from COIR_BENCH_HTTP_FILES. A child says the
port as soon as somebody listens there; this process becomes nginx, so that its clock is the server's.
"""
import os
import pathlib
import socket
import subprocess
import sys
import time

CONF = """daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log stderr warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; use epoll; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600; tcp_nodelay on; sendfile on;
  open_file_cache max=100; server_tokens off;
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
  scgi_temp_path {dir}/5;
  server {{
    listen 127.0.0.1:{port}{tls} backlog=4096;
    default_type text/plain;
    location / {{ return 200 "Hello, World!"; }}
    location /json {{ default_type application/json; return 200 '{{"message":"Hello, World!"}}'; }}
    location /files/ {{ alias {files}/; }}
    {certificate}
  }}
}}
"""


def make_certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", "/CN=localhost", "-keyout", f"{directory}/key", "-out", f"{directory}/certificate"],
                   check=True, capture_output=True)
    return f"ssl_certificate {directory}/certificate; ssl_certificate_key {directory}/key;"


def say_when_listening(port):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            print(f"PORT {port}", flush=True)
            return
        except ConnectionRefusedError:
            time.sleep(0.01)


def main():
    word = sys.argv[1]
    if word not in ("http", "http_close", "https"):
        sys.exit(2)
    files = pathlib.Path(os.environ["COIR_BENCH_HTTP_FILES"])
    directory = files.with_name("nginx")  # beside it, below build/
    directory.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    tls = word == "https"
    conf = directory / "conf"
    conf.write_text(CONF.format(dir=directory, port=port, tls=" ssl" if tls else "",
                                files=files,
                                certificate=make_certificate(directory) if tls else ""), encoding="ascii")
    if os.fork() == 0:
        say_when_listening(port)
        return
    os.execvp("nginx", ["nginx", "-e", "stderr", "-p", str(directory), "-c", str(conf)])


main()
