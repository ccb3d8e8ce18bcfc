"""Real programs read from ``tl stream`` while it downloads: curl, ffprobe and ffmpeg."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cli.running import Place

from .clients import REQUIRED

pytestmark = pytest.mark.interop

LOOPBACK = ("--listen", "127.0.0.1:0", "--no-dht")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        (pytest.fail if REQUIRED else pytest.skip)(f"{name} is not installed")
    return str(found)


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path)


@contextlib.contextmanager
def streaming(place: Place, path: str, *flags: str) -> Iterator[tuple[str, int]]:
    """Share a file from one process, stream it in another; gives the URL and the process."""
    with place.start("seed", path, *LOOPBACK) as seed:
        magnet = seed.line()
        with place.start("stream", magnet, *LOOPBACK, *flags) as run:
            yield run.line(), run.process.pid
            assert run.end(signal.SIGINT).code == 0


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_curl_gets_any_part(place: Place) -> None:
    curl = program("curl")
    data = place.make_file("data.bin", 20_000_000)
    rng = random.Random(7)
    with streaming(place, "data.bin") as (url, _):
        for _ in range(20):
            first = rng.randrange(len(data))
            last = min(len(data) - 1, first + rng.randrange(500_000))
            got = subprocess.run([curl, "-sf", "-r", f"{first}-{last}", url], capture_output=True, check=True).stdout
            assert got == data[first : last + 1]
        got = subprocess.run([curl, "-sf", "-C", "19000000", url], capture_output=True, check=True).stdout
        assert got == data[19_000_000:]


def test_ffprobe_and_a_seek_in_ffmpeg(place: Place) -> None:
    ffmpeg, ffprobe = program("ffmpeg"), program("ffprobe")
    film = place / "film.mp4"
    # The index of this mp4 is at its end, so a player has to jump there first.
    subprocess.run(
        [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15:duration=60", "-g", "30",
         "-c:v", "mpeg4", "-b:v", "2M", str(film)],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    def frame(source: str) -> str:
        """A frame from the middle, as raw pixels."""
        command = [ffmpeg, "-v", "error", "-ss", "47", "-i", source, "-frames:v", "1", "-f", "rawvideo", "-"]
        done = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
        assert len(done.stdout) == 320 * 240 * 3 // 2
        return hashlib.sha256(done.stdout).hexdigest()

    with streaming(place, "film.mp4", "-d", "3M") as (url, _):
        command = [ffprobe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", url]
        assert float(subprocess.run(command, capture_output=True, check=True).stdout) == pytest.approx(60, abs=0.5)
        assert frame(url) == frame(str(film))


def test_a_client_that_does_not_read_holds_no_memory(place: Place) -> None:
    curl = program("curl")
    size = 150_000_000
    with (place / "big.bin").open("wb") as file:
        for number in range(size // 1_000_000):
            file.write(random.Random(number).randbytes(1_000_000))
    with streaming(place, "big.bin", "--cache", "32M") as (url, pid):
        subprocess.run([curl, "-sf", "-r", "0-1000000", "-o", os.devnull, url], check=True)
        before = resident(pid)
        # Each reads a little and then nothing more.
        script = "import sys, time, urllib.request; f = urllib.request.urlopen(sys.argv[1]); f.read(3000000); print(); sys.stdout.flush(); time.sleep(60)"
        stuck = [subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE) for _ in range(5)]
        try:
            for process in stuck:
                assert process.stdout is not None
                process.stdout.readline()
            time.sleep(0.5)
            assert resident(pid) - before < 64 << 20, "the cache, and pieces on their way: not five times the file"
            got = subprocess.run([curl, "-sf", "-r", "149000000-", url], capture_output=True, check=True).stdout
            assert len(got) == 1_000_000
        finally:
            for process in stuck:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
