"""Thousands of connections that say nothing: real peers are served all the same, and the silent ones go."""

import json
import random
import resource
import subprocess
import sys
import time

import psutil
import pytest
import trio

SILENT = 3000


@pytest.fixture
def many_files():
    """Room for the sockets, here and (inherited) in the seed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = SILENT + 500
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def fetch(magnet, folder):
    """Seconds that a transfer took, from the first byte to the last, as the command itself reports."""
    command = [sys.executable, "-m", "torrentlite", "fetch", magnet, "-o", str(folder), "--listen", "127.0.0.1:0",
               "--state-dir", str(folder) + "-state", "--json", "--timeout", "60s"]  # fmt: skip
    started = time.monotonic()
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


async def test_silent_connections(tmp_path, many_files, record_property):
    path = tmp_path / "data.bin"
    path.write_bytes(random.Random(3).randbytes(128 << 20))
    command = [sys.executable, "-m", "torrentlite", "seed", str(path), "--listen", "127.0.0.1:0", "--json",
               "--state-dir", str(tmp_path / "seed-state")]  # fmt: skip
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        magnet, port, text = "", 0, b""
        while not magnet:
            text += await process.stdout.receive_some()
            for line in text.splitlines():
                event = json.loads(line) if line.endswith(b"}") else {}
                port = event.get("port", port)
                magnet = event.get("magnet", magnet)
        async with trio.open_nursery() as nursery:

            async def drain():
                async for _ in process.stdout:
                    pass

            nursery.start_soon(drain)
            alone = await fetch(magnet, tmp_path / "one")
            memory = psutil.Process(process.pid).memory_info().rss

            sockets = []
            for number in range(SILENT):
                sock = trio.socket.socket()
                await sock.bind((f"127.0.{1 + number % 20}.{1 + number // 20}", 0))
                await sock.connect(("127.0.0.1", port))
                sockets.append(sock)
            opened = trio.current_time()
            crowded = await fetch(magnet, tmp_path / "two")
            growth = psutil.Process(process.pid).memory_info().rss - memory

            async def gone(sock):
                try:
                    assert await sock.recv(1) == b""
                except ConnectionResetError:
                    pass

            with trio.fail_after(15):
                for sock in sockets:
                    await gone(sock)
            record_property("seconds until all silent connections were gone", trio.current_time() - opened)
            record_property("whole command, alone over crowded", alone / crowded)
            record_property("memory growth, MiB", growth / 2**20)
            for sock in sockets:
                sock.close()
            process.terminate()
            await process.wait()
        assert (tmp_path / "two" / "data.bin").read_bytes() == path.read_bytes()
        assert growth < 50 << 20
        print(
            f"\nalone {alone:.2f} s, with {SILENT} silent connections {crowded:.2f} s, memory +{growth / 2**20:.1f} MiB"
        )
    finally:
        if process.poll() is None:
            process.kill()
            await process.wait()
