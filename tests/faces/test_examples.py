"""Every example and every snippet of docs/asyncio.md, run as a user would, against a seed and a tracker on loopback."""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import nbclient
import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

import torrentlite
from examples import aiohttp_app
from tests.faces.conftest import LOCAL
from tests.faces.tracker import tracking
from torrentlite import Magnet, aio, blocking
from torrentlite.bencode import decode

ROOT = pathlib.Path(torrentlite.__file__).parent.parent
SNIPPETS = re.findall(r"<!-- run -->\n```python\n(.*?)```", (ROOT / "docs" / "asyncio.md").read_text(), re.DOTALL)


@pytest.fixture
def world(shared, tmp_path):
    """A folder with ``debian.torrent`` in it, whose tracker knows a seed; and what the file should be."""
    metainfo, folder = shared
    with blocking.open_session(LOCAL) as session, tracking(session.port) as tracker:
        session.add(metainfo, folder).wait_complete(timeout=10)
        named = dataclasses.replace(metainfo, trackers=((tracker,),))
        (tmp_path / "debian.torrent").write_bytes(named.encode())
        yield named, (folder / "data.bin").read_bytes()


@contextlib.contextmanager
def running(command, folder, **environment):
    """A server's process; afterwards it is asked to end, and must do so soon and cleanly."""
    environment = os.environ | {"LISTEN": "127.0.0.1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | environment
    with subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        try:
            said = ""
            while not (found := re.search(r"(http://127\.0\.0\.1:\d+)", said)):
                line = process.stdout.readline()
                assert line, said
                said += line
            yield found[1]
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            said += process.communicate(timeout=20)[0]
            assert time.monotonic() - started < 5
            assert "Traceback" not in said, said
        finally:
            process.kill()


def ask(url, data=None, method=None):
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=20) as reply:
        return reply.read()


def refused(status, url, data=None):
    with pytest.raises(urllib.error.HTTPError, match=str(status)) as caught:
        ask(url, data)
    with caught.value as reply:
        return reply.read()


def test_starlette(world, tmp_path):
    metainfo, data = world
    command = ["-m", "uvicorn", "examples.starlette_app:app", "--port", "0"]
    with running(command, tmp_path, SAVE_TO="out") as url:
        torrent = f"{url}/torrents/{metainfo.info_hash}"
        refused(400, f"{url}/torrents", b"nonsense")
        refused(404, torrent)
        added = json.loads(ask(f"{url}/torrents", metainfo.encode()))
        assert added["info_hash"] == metainfo.info_hash
        refused(409, f"{url}/torrents", metainfo.magnet.encode())
        with urllib.request.urlopen(f"{torrent}/events", timeout=20) as events:
            for line in events:
                stats = json.loads(ask(torrent))
                if stats["progress"] == 1 and stats["paths"]:
                    break
                assert line
        assert (tmp_path / stats["paths"][0]).read_bytes() == data
        for _ in range(100):  # many clients at once, none of which stays for the answer
            with urllib.request.urlopen(f"{torrent}/events", timeout=20) as events:
                assert events.readline() == b"event: Now\n"
        ask(torrent, method="DELETE")
        refused(404, torrent)


def test_aiohttp(world, tmp_path):
    metainfo, data = world
    command = [ROOT / "examples" / "aiohttp_app.py", "0"]

    def get(link, where="", status=200):
        request = urllib.request.Request(f"{url}/get?link={urllib.parse.quote(link)}")
        if where:
            request.add_header("Range", f"bytes={where}")
        with urllib.request.urlopen(request, timeout=20) as reply:
            assert reply.status == status
            return reply.read(), reply.headers

    with running(command, tmp_path, SAVE_TO="out", PATIENCE="0.5") as url:
        tail, headers = get(metainfo.magnet, "2999990-", 206)
        assert tail == data[-10:], "a player looks at the end first"
        assert headers["Content-Range"] == "bytes 2999990-2999999/3000000"
        assert get(metainfo.info_hash, "1000-1999", 206)[0] == data[1000:2000]
        assert get(metainfo.info_hash, "-5", 206)[0] == data[-5:]
        assert get(metainfo.info_hash)[0] == data
        v2 = f"xt=urn:btmh:1220{'ab' * 32}"
        assert get(f"{metainfo.magnet}&{v2}", "-5", 206)[0] == data[-5:], "the session knows it by its v1 hash"
        for link, status in (
            ("nonsense", 400), (f"{metainfo.magnet}", 404), ("cd" * 20, 504), (f"magnet:?{v2}", 504),
        ):  # fmt: skip
            why = refused(status, f"{url}/get?link={urllib.parse.quote(link)}" + "&file=nothing" * (status == 404))
            assert why, "it says why"
        for where in ("3000000-", "99999999-", "5-2", "nonsense"):
            with pytest.raises(urllib.error.HTTPError, match="416") as caught:
                get(metainfo.info_hash, where)
            with caught.value as reply:
                assert reply.headers["Content-Range"] == "bytes */3000000"


def test_aiohttp_pasted(world, tmp_path):
    """A link as it is, unquoted, still has its peers and trackers; so has one for a torrent that is there already."""
    metainfo, data = world
    tracker = metainfo.trackers[0][0]
    port = int.from_bytes(decode(ask(tracker))[b"peers"][4:], "big")
    bare = f"magnet:?xt=urn:btih:{metainfo.info_hash}&dn=data"
    peer, tracked = f"{bare}&x.pe=127.0.0.1:{port}", f"{bare}&tr={urllib.parse.quote(tracker, safe='')}"
    command = [ROOT / "examples" / "aiohttp_app.py", "0"]
    queries = [
        f"link={peer}", f"link={tracked}", f"link={peer}&file=data.bin", f"file=data.bin&link={peer}",
        f"link={urllib.parse.quote(peer)}&file=data.bin", f"link={urllib.parse.quote(peer, safe=':/?')}",
    ]  # fmt: skip
    for number, query in enumerate(queries):
        with running(command, tmp_path, SAVE_TO=f"first{number}", PATIENCE="2") as url:
            assert ask(f"{url}/get?{query}") == data
    for number, query in enumerate(queries[:2]):
        with running(command, tmp_path, SAVE_TO=f"second{number}", PATIENCE="0.5") as url:
            refused(504, f"{url}/get?link={bare}")
            assert ask(f"{url}/get?{query}") == data
    with running(command, tmp_path, SAVE_TO="none", PATIENCE="0.5") as url:
        refused(504, f"{url}/get?link={bare}")
        refused(504, f"{url}/get?link={tracked}%3Freboot=now")  # no more than a first link may do


@pytest.mark.parametrize("private", [False, True])
def test_aiohttp_another_link_to_a_private_torrent_adds_nobody(tmp_path, private):
    link = Magnet.parse("ab" * 20)._replace(trackers=("http://127.0.0.1:9/announce",), peers=(("127.0.0.1", 9),))

    async def known():
        made = await aio.create(tmp_path / "data.bin", private=private, trackers=["http://127.0.0.1:1/announce"])
        async with aio.open_session(LOCAL) as session:
            torrent = session.add(made, tmp_path, paused=True)
            aiohttp_app.add_sources(torrent, link)
            return [tracker.url for tracker in torrent.trackers()], torrent.stats().known_peers

    (tmp_path / "data.bin").write_bytes(b"data")
    trackers, peers = asyncio.run(known())
    assert (len(trackers), peers) == ((1, 0) if private else (2, 1))


def test_aiohttp_head(world, tmp_path):
    metainfo, data = world
    with running([ROOT / "examples" / "aiohttp_app.py", "0"], tmp_path, SAVE_TO="out", PATIENCE="2") as url:
        there = urllib.parse.urlsplit(url)
        with socket.create_connection((there.hostname, there.port), timeout=20) as connection:
            link = urllib.parse.quote(metainfo.magnet)
            connection.sendall(f"HEAD /get?link={link} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, body = b"".join(iter(lambda: connection.recv(1 << 16), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nContent-Length: 3000000" in head
        written = sum(path.stat().st_blocks * 512 for path in (tmp_path / "out").glob(".data.bin*"))
        assert written < len(data), "who looks at the head does not fetch the file"
        assert body == b""


def test_jupyter(world, tmp_path, monkeypatch):
    metainfo, data = world
    monkeypatch.setenv("LISTEN", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": tmp_path}}).execute()
    said = [
        "".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert "<Session port" in said[0]
    assert said[1] == "[('data.bin', 3000000)]"
    assert said[2].endswith("1.0")
    assert said[3:] == ["3000000", "True", "'closed'"]
    assert (tmp_path / "downloads" / "data.bin").read_bytes() == data


def test_jupyter_interrupted(tmp_path, monkeypatch):
    """What waits in a cell ends when the kernel is interrupted, and a session that was open before goes on."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))

    def run(code, interrupt=False):
        sent, said = client.execute(code), ""
        while True:
            message = client.get_iopub_msg(timeout=20)
            content = message["content"]
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "stream" and interrupt:
                manager.interrupt_kernel()
            said += content.get("ename", "") + content.get("data", {}).get("text/plain", "")
            if content.get("execution_state") == "idle":
                return said

    try:
        run("import contextlib\nfrom torrentlite import aio, blocking\nlocal = aio.Settings(host='127.0.0.1')")
        fetch = (
            "blocking.fetch('ab' * 20, 'out', settings=local, progress=lambda stats: print(stats.state, flush=True))"
        )
        assert run(fetch, interrupt=True) == "KeyboardInterrupt"
        run("stack = contextlib.AsyncExitStack()\n"
            "session = await stack.enter_async_context(aio.open_session(local))")  # fmt: skip
        wait = "torrent = session.add('ab' * 20, 'out')\nprint('waits', flush=True)\nawait torrent.wait_complete()"
        assert run(wait, interrupt=True) in ("CancelledError", "KeyboardInterrupt")
        assert run("torrent.state.value") == "'metadata'"
        assert run("await stack.aclose()\ntorrent.state.value") == "'closed'"
        assert (
            run("import threading\n[each.name for each in threading.enumerate() if 'torrentlite' in each.name]") == "[]"
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippets(world, tmp_path, number):
    metainfo, data = world
    snippet = SNIPPETS[number].replace("Settings(", 'Settings(host="127.0.0.1", ')
    snippet = snippet.replace("open_session()", 'open_session(tl.Settings(host="127.0.0.1"))')
    snippet = snippet.replace("timeout=3600, progress", 'timeout=60, settings=tl.Settings(host="127.0.0.1"), progress')
    assert snippet.count('host="127.0.0.1"') == 1
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", snippet], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # asyncio in development mode tells of steps that took long; the first use of HTTP imports what it needs.
    assert [line for line in done.stderr.splitlines() if not re.match("Executing .* took ", line)] == []
    assert "downloads/data.bin" in done.stdout
    assert (tmp_path / "downloads" / "data.bin").read_bytes() == data


def test_there_are_snippets():
    assert len(SNIPPETS) == 4
    assert {path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".ipynb")} == {
        "starlette_app.py", "aiohttp_app.py", "notebook.ipynb",
    }  # fmt: skip
