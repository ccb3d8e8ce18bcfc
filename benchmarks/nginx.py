"""nginx as a child process on loopback: its own configuration, its own folder, gone with the block."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

_CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log {work}/access.log combined buffer=64k flush=1s;
    sendfile on;
    keepalive_requests 10000;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        root {root};
        {server}
    }}
}}
"""


def nginx_program() -> str | None:
    """Where nginx is; Debian keeps it out of a user's path."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def nginx(root: pathlib.Path, work: pathlib.Path, *, server: str = "", http: str = "") -> Iterator[str]:
    """Serve the files below ``root``; gives the URL, with a slash at the end.

    Args:
        root: the folder.
        work: a folder for what it writes.
        server: more lines for the server.
        http: more lines around it.
    """
    program = nginx_program()
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    work.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = work / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_CONFIG.format(user=user, work=work, port=port, root=root, server=server, http=http))
    errors = work / "error.log"
    command = [program, "-p", str(work), "-c", str(config), "-e", str(errors)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                said = errors.read_text(errors="replace") if errors.exists() else ""
                raise RuntimeError(f"nginx does not answer: {said}")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
