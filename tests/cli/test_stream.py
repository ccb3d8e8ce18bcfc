"""``tl stream`` and ``tl fetch -o -``: processes over loopback."""

from __future__ import annotations

import io
import os
import random
import signal
import socket
import subprocess
import tarfile
import urllib.error
import urllib.request

from .running import PATIENCE, Place, command
from .test_transfers import LOOPBACK, seeding


def get(url: str, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def piped(place: Place, *words: str) -> tuple[int, bytes, str]:
    done = subprocess.run(
        command(words), cwd=place.folder, env=place.environment(), capture_output=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_a_file_is_served_and_nothing_is_kept(place: Place) -> None:
    place.make_file("set/small.txt", 1000)
    data = place.make_file("set/film.mkv", 5_000_000, 2)
    before = sorted(os.listdir(place.folder))
    with seeding(place, "set") as (magnet, _), place.start("stream", magnet, *LOOPBACK) as run:
        url = run.line()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/set/film.mkv"), "the largest"
        rng = random.Random(5)
        for _ in range(10):
            first = rng.randrange(len(data))
            last = min(len(data) - 1, first + rng.randrange(200_000))
            assert get(url, Range=f"bytes={first}-{last}") == (206, data[first : last + 1])
        assert get(url) == (200, data)
        assert get(url, Host="evil.example")[0] == 403
        assert get(url.replace("film.mkv", "small.txt"))[0] == 200
        assert run.end(signal.SIGINT).code == 0
    assert sorted({*os.listdir(place.folder)} - {".state", ".home"}) == before


def test_a_file_is_served_and_kept(place: Place) -> None:
    data = place.make_file("set/a.bin", 700_000)
    place.make_file("set/b.bin", 900_000, 2)
    with seeding(place, "set") as (magnet, _):
        with place.start("stream", magnet, "a.bin", "-o", "down", "--json", *LOOPBACK) as run:
            serving = run.event("serving")
            assert serving["path"] == "set/a.bin"
            assert serving["size"] == 700_000
            assert get(serving["url"], Range="bytes=600000-") == (206, data[600_000:])
            run.event("progress", done=700_000)
            assert run.end(signal.SIGTERM).code == 0
        assert (place / "down/set/a.bin").read_bytes() == data
        assert not (place / "down/set/b.bin").exists()
        wrong = place.tl("stream", magnet, "*.bin", *LOOPBACK)
        assert wrong.code == 2
        assert "fits 2 files" in wrong.err


def test_a_link_that_names_a_file(place: Place) -> None:
    place.make_file("set/b", 1000)
    (place / "set/a").write_text("what it names")
    with seeding(place, "set") as (magnet, _):
        piped = place.tl("fetch", f"{magnet}&so=0", "-o", "-", *LOOPBACK)
        assert (piped.code, piped.out) == (0, "what it names"), piped
        with place.start("stream", f"{magnet}&so=0", "--json", *LOOPBACK) as run:
            assert run.event("serving")["path"] == "set/a"
            assert run.end(signal.SIGTERM).code == 0
        for words in ("fetch", "-o", "-"), ("stream",):
            wrong = place.tl(*words, f"{magnet}&so=2", *LOOPBACK)
            assert (wrong.code, "none of the files that its link names" in wrong.err) == (2, True), wrong


def test_a_player_gets_the_url_and_its_end_is_the_end(place: Place) -> None:
    data = place.make_file("film.mkv", 300_000)
    (place / "player").write_text('#!/bin/sh\necho "$2" > asked\nexec curl -s -o got "$2"\n')
    (place / "player").chmod(0o755)
    with seeding(place, "film.mkv") as (magnet, _):
        result = place.tl("stream", magnet, "--player", "./player --flag", *LOOPBACK)
        assert result.code == 0, result
        assert (place / "asked").read_text() == result.out
        assert (place / "got").read_bytes() == data
        missing = place.tl("stream", magnet, "--player", "no-such-player", *LOOPBACK)
        assert (missing.code, "cannot run 'no-such-player'" in missing.err) == (2, True)


def test_what_is_wrong_with_a_stream_is_named(place: Place) -> None:
    place.make_file("x.bin", 1000)
    assert place.tl("create", "x.bin", "-q").code == 0
    result = place.tl("stream", "x.bin.torrent", "nosuch", *LOOPBACK)
    assert (result.code, "tl: FILE nosuch: no file fits" in result.err) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = place.tl("stream", "x.bin.torrent", "--port", port, *LOOPBACK)
    assert (result.code, f"cannot listen on port {port}" in result.err) == (7, True)
    assert "--port 0 takes a free one" in result.err


def test_a_checksum_of_several_files(place: Place) -> None:
    place.make_file("set/a", 1000)
    place.make_file("set/b", 1000)
    assert place.tl("create", "set", "-q").code == 0
    result = place.tl("fetch", "set.torrent", "--sha256", "ab" * 32, *LOOPBACK)
    assert (result.code, result.out) == (2, "")
    assert "tl: --sha256: a SHA-256 is of one file, and 2 of set are wanted" in result.err


def test_what_nobody_has_is_given_up(place: Place) -> None:
    place.make_file("x.bin", 100_000)
    assert place.tl("create", "x.bin", "-q").code == 0
    (place / "x.bin").unlink()
    for words in (("stream", "--player", "curl -s -o got"), ("stream", "-o", "down"), ("fetch", "-o", "-")):
        result = place.tl(words[0], "x.bin.torrent", *words[1:], "--timeout", "1s", *LOOPBACK)
        assert result.code == 3, result
        assert "tl: x.bin: no peers for 1.0s: no tracker and no peer is known, so there is nobody to ask" in result.err
        assert "complete" not in result.err


def test_one_file_to_stdout(place: Place) -> None:
    data = place.make_file("film.mkv", 3_000_001)
    with seeding(place, "film.mkv") as (magnet, _):
        code, out, err = piped(place, "fetch", magnet, "-o", "-", *LOOPBACK)
        assert (code, out == data) == (0, True), err
        assert "film.mkv: 2.86 MiB written" in err
        for flags in (("--json",), ("--seed",), ("--list",), ("--ratio", "1")):
            assert place.tl("fetch", magnet, "-o", "-", *flags).code == 2
        assert place.tl("fetch", magnet, magnet, "-o", "-").code == 2
        with subprocess.Popen(
            command(("fetch", magnet, "-o", "-", "-q", *LOOPBACK)),
            cwd=place.folder, env=place.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as early:  # fmt: skip
            assert early.stdout is not None
            assert early.stderr is not None
            assert early.stdout.read(1000) == data[:1000]
            early.stdout.close()
            assert early.wait(PATIENCE) == 141
            assert early.stderr.read() == b"", "a closed pipe ends quietly"
        with (
            open("/dev/full", "wb") as full,
            place.start("fetch", magnet, "-o", "-", "-q", *LOOPBACK, stdout=full) as run,
        ):
            result = run.end()
            assert (result.code, result.err) == (5, "tl: cannot write the results: No space left on device")
        with place.on_terminal("fetch", magnet, "-o", "-") as run:
            assert "would write bytes to the terminal" in run.until("tar x")
            assert run.end() == 2


def test_a_closed_stdout_gets_nothing(place: Place) -> None:
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *command(("fetch", "ab" * 20, "-o", "-", "--timeout", "1s", *LOOPBACK))]
    done = subprocess.run(words, cwd=place.folder, env=place.environment(), stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (2, b"tl: -o - writes to stdout, and that is closed\n")


def test_a_folder_to_stdout_is_a_tar_that_is_always_the_same(place: Place) -> None:
    names = {"photos/a.jpg": 70_000, "photos/more/b.jpg": 1_000_000, "photos/empty": 0, "photos/ü ñ.txt": 512}
    data = {name: place.make_file(name, size, seed) for seed, (name, size) in enumerate(names.items())}
    with seeding(place, "photos") as (magnet, _):
        code, first, err = piped(place, "fetch", magnet, "-o", "-", *LOOPBACK)
        assert code == 0, err
        assert piped(place, "fetch", magnet, "-o", "-", *LOOPBACK)[1] == first
        with tarfile.open(fileobj=io.BytesIO(first)) as tar:
            found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
            assert {(member.mtime, member.uid, member.mode) for member in tar} == {(0, 0, 0o644)}
        assert found == data
        assert len(first) % tarfile.RECORDSIZE == 0
        assert piped(place, "fetch", magnet, "-s", "b.jpg", "-o", "-", *LOOPBACK)[1] == data["photos/more/b.jpg"]
        some = piped(place, "fetch", magnet, "-s", "*.jpg", "-o", "-", *LOOPBACK)[1]
        with tarfile.open(fileobj=io.BytesIO(some)) as tar:
            assert tar.getnames() == ["photos/a.jpg", "photos/more/b.jpg"]
