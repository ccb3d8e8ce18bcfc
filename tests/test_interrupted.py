"""Killed at any moment, the same command again completes, and fetches nothing twice that was verified."""

import json
import random
import signal
import subprocess
import sys

import pytest
import trio

import torrentlite as tl
from tests.scripted import ScriptedSeed

PIECE = 64 << 10
SIZE = 6 << 20


async def fetch(source, folder, state, seed, kill_after=None, how=signal.SIGKILL):
    """Run ``tl fetch``; kill it once it has told the seed of so many pieces. Returns (exit code, its JSON events)."""
    command = [sys.executable, "-m", "torrentlite", "fetch", str(source), "-o", str(folder), "--state-dir", str(state),
               "--peer", f"127.0.0.1:{seed.port}", "--listen", "127.0.0.1:0", "--json", "--timeout", "30s"]  # fmt: skip
    connections = len(seed.told)
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output = bytearray()
    errors = bytearray()

    async def collect(stream, into):
        async for chunk in stream:
            into += chunk

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, process.stdout, output)
        nursery.start_soon(collect, process.stderr, errors)
        if kill_after is not None:
            with trio.move_on_after(20):
                while process.poll() is None:
                    if len(seed.told) > connections and len(seed.told[-1]) >= kill_after:
                        process.send_signal(how)
                        break
                    await trio.sleep(0.002)
        with trio.fail_after(40):
            await process.wait()
    events = [json.loads(line) for line in output.splitlines() if line.endswith(b"}")]
    return process.returncode, events, errors.decode()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("seed_number", range(3))
async def test_killed_and_started_again(tmp_path, how, seed_number):
    rng = random.Random(f"{how} {seed_number}")
    original = tmp_path / "original"
    original.mkdir()
    for number in range(5):
        (original / f"{number}.bin").write_bytes(rng.randbytes(SIZE // 5 + rng.randrange(50_000)))
    metainfo = await tl.create(original, piece_length=PIECE)
    torrent = tmp_path / "x.torrent"
    torrent.write_bytes(metainfo.encode())
    data = b"".join((original / f"{number}.bin").read_bytes() for number in range(5))
    out, state = tmp_path / "out", tmp_path / "state"
    count = metainfo.info.layout.piece_count
    verified: set[int] = set()
    seed = ScriptedSeed(metainfo.info, data, rate=12_000_000)
    async with seed.serving():
        kills = 0
        while kills < 4 and len(verified) < count - 10:
            begun = len(seed.told)
            code, _, errors = await fetch(torrent, out, state, seed, len(verified) + rng.randrange(1, 25), how)
            assert code == (-signal.SIGKILL if how == signal.SIGKILL else 128 + how), errors
            kills += 1
            for asked in seed.asked[begun:]:
                assert not verified & set(asked), "asked again for what was verified"
            for told in seed.told[begun:]:
                assert verified <= told, "forgot what was verified"
                verified |= told
        assert kills >= 2
        assert verified
        begun = len(seed.told)
        code, events, errors = await fetch(torrent, out, state, seed)
        assert code == 0, errors
        for asked in seed.asked[begun:]:
            assert not verified & set(asked), "asked again for what was verified"
    for number in range(5):
        assert (out / "original" / f"{number}.bin").read_bytes() == (original / f"{number}.bin").read_bytes()
    assert not list(out.rglob("*.part")), "nothing is left under a provisional name"
    assert [event["event"] for event in events][-1] == "bye"


async def test_without_state_what_lies_there_is_kept(tmp_path):
    """The state folder is lost between two runs: the files are hashed, and what matches is not fetched."""
    path = tmp_path / "data.bin"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    metainfo = await tl.create(path, piece_length=PIECE)
    torrent = tmp_path / "x.torrent"
    torrent.write_bytes(metainfo.encode())
    seed = ScriptedSeed(metainfo.info, path.read_bytes(), rate=12_000_000)
    async with seed.serving():
        await fetch(torrent, tmp_path / "out", tmp_path / "one", seed, 30)
        verified = set(seed.told[-1])
        assert len(verified) >= 30
        code, _, errors = await fetch(torrent, tmp_path / "out", tmp_path / "two", seed)
        assert code == 0, errors
        assert not verified & set(seed.asked[-1])
    assert (tmp_path / "out" / "data.bin").read_bytes() == path.read_bytes()
