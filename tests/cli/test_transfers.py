"""Real sharing and fetching over loopback, each ``tl`` a process of its own."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
import trio

from tests.strangers import on_loopback, without_hashes
from torrentlite import Metainfo
from torrentlite.cli.demo import _digest, _generate
from torrentlite.wire.messages import HashRequest

from .running import PATIENCE, Place, Running, command

LOOPBACK = ("--listen", "127.0.0.1:0")


@contextlib.contextmanager
def seeding(place: Place, *paths: str, flags: tuple[str, ...] = ()) -> Iterator[tuple[str, Running]]:
    """Share; gives the magnet."""
    with place.start("seed", *paths, *LOOPBACK, *flags) as run:
        yield run.line(), run
        result = run.end(signal.SIGINT)
        assert result.code == 0, result


def test_a_magnet_is_all_it_takes(place: Place) -> None:
    data = place.make_file("film.bin", 3_000_000)
    with seeding(place, "film.bin") as (magnet, seed):
        assert magnet.startswith("magnet:?xt=urn:btih:")
        assert "x.pe=127.0.0.1:" in magnet
        result = place.tl("fetch", magnet, "-o", "down", *LOOPBACK)
        assert (result.code, result.out) == (0, f"{place / 'down/film.bin'}\n")
        assert (place / "down/film.bin").read_bytes() == data
        assert "film.bin: 2.86 MiB in " in result.err
        assert "\x1b" not in result.err
        again = place.tl("fetch", magnet, "-o", "down", *LOOPBACK)
        assert (again.code, again.out) == (0, f"{place / 'down/film.bin'}\n")
        assert "was here already" in again.err
    assert seed.out == [magnet]
    assert f"In another terminal: tl fetch '{magnet}' --listen 127.0.0.1:0" in seed.err
    # The second came from another port, and may have been too quick to be met.
    shared = r"film\.bin: shared 2\.86 MiB in .*, 1\.00 times its size; (1 other has|2 others have) all of it"
    assert re.fullmatch(shared, seed.err[-1]), seed.err
    assert sorted(os.listdir(place / "down")) == ["film.bin"]


def test_a_folder_by_its_torrent(place: Place) -> None:
    names = {"photos/a.jpg": 70_000, "photos/more/b.jpg": 1_000_000, "photos/empty": 0}
    data = {name: place.make_file(name, size, seed) for seed, (name, size) in enumerate(names.items())}
    created = place.tl("create", "photos", "-O", "p.torrent")
    assert (created.code, created.out) == (0, "p.torrent\n")
    with place.start("seed", "p.torrent", *LOOPBACK, "--json") as seed:
        port = seed.event("listening")["port"]
        assert seed.event("seeding")["total"] == 1_070_000
        result = place.tl("fetch", "p.torrent", "-o", "down", "--peer", f"127.0.0.1:{port}", *LOOPBACK)
        assert (result.code, result.out) == (0, f"{place / 'down/photos'}\n")
        for name, content in data.items():
            assert (place / "down" / name).read_bytes() == content
        assert place.tl("verify", "p.torrent", "down").code == 0

        chosen = place.tl("fetch", "p.torrent", "-o", "some", "-s", "*/b.jpg", "--peer", f"127.0.0.1:{port}", *LOOPBACK)
        assert (chosen.code, chosen.out) == (0, f"{place / 'some/photos/more/b.jpg'}\n")
        assert (place / "some/photos/more/b.jpg").read_bytes() == data["photos/more/b.jpg"]
        assert not (place / "some/photos/a.jpg").exists()

        magnet = place.tl("magnet", "p.torrent").out.strip()
        peer = ("--peer", f"127.0.0.1:{port}", *LOOPBACK)
        listed = place.tl("fetch", magnet, "--list", *peer)
        assert listed.code == 0
        assert listed.out.splitlines()[1].split() == ["2", "0", "B", "photos/empty"]
        info = place.tl("info", magnet, "--json", *peer)
        assert json.loads(info.out)["name"] == "photos"
        by_number = place.tl("fetch", magnet, "-o", "numbers", "-s", "1", *peer)
        assert (by_number.code, by_number.out) == (0, f"{place / 'numbers/photos/a.jpg'}\n")
        assert seed.end(signal.SIGTERM).code == 0


@pytest.mark.parametrize("version", ["--v2", "--hybrid"])
def test_a_folder_of_another_version(place: Place, version: str) -> None:
    names = {"photos/a.jpg": 70_000, "photos/more/b.jpg": 1_000_000, "photos/empty": 0}
    data = {name: place.make_file(name, size, seed) for seed, (name, size) in enumerate(names.items())}
    created = place.tl("create", "photos", "-O", "p.torrent", version, "--magnet")
    path, magnet = created.out.splitlines()
    assert (created.code, path) == (0, "p.torrent")
    assert "xt=urn:btmh:1220" in magnet
    assert ("xt=urn:btih:" in magnet) == (version == "--hybrid")
    shown = place.tl("info", "p.torrent").out
    assert ("info-hash" in shown, "v2 hash" in shown) == (version == "--hybrid", True)
    with seeding(place, "p.torrent") as (link, _):
        fetched = place.tl("fetch", link, "-o", "down", *LOOPBACK)
        assert (fetched.code, fetched.out) == (0, f"{place / 'down/photos'}\n")
        for name, content in data.items():
            assert (place / "down" / name).read_bytes() == content
        # By the v2 hash alone: of a hybrid, its other half.
        digits = re.search("btmh:1220([0-9a-f]{64})", magnet)
        assert digits is not None
        peer = re.search(r"x\.pe=([0-9.:]+)", link)
        assert peer is not None
        if version == "--hybrid":
            mixed = place.tl("fetch", link.replace(digits[1], "11" * 32), "-o", "mixed", *LOOPBACK)
            assert (mixed.code, mixed.out) == (4, "")
            assert "the link's two hashes are not of one torrent" in mixed.err
        if version == "--v2":
            alone = place.tl("fetch", digits[1], "-o", "alone", "--peer", peer[1], *LOOPBACK)
            assert (alone.code, alone.out) == (0, f"{place / 'alone/photos'}\n")
            chosen = place.tl("fetch", link, "-o", "some", "-s", "*/b.jpg", *LOOPBACK)
            assert (chosen.code, chosen.out) == (0, f"{place / 'some/photos/more/b.jpg'}\n")
            assert not (place / "some/photos/a.jpg").exists()
    assert place.tl("verify", "p.torrent", "down").code == 0
    (place / "down/photos/a.jpg").write_bytes(bytes(70_000))
    wrong = place.tl("verify", "p.torrent", "down")
    assert wrong.code == 6
    assert "a.jpg" in wrong.out + wrong.err


def test_a_magnet_is_shown_before_its_hashes_are_here(place: Place) -> None:
    """Of version 2 the hashes of the pieces come after the metadata, and take longer where there are many files."""
    names = {"photos/a.jpg": 70_000, "photos/more/b.jpg": 1_000_000, "photos/more/c.jpg": 300_000}
    for seed, (name, size) in enumerate(names.items()):
        place.make_file(name, size, seed)
    magnet = place.tl("create", "photos", "-O", "p.torrent", "--v2", "--magnet").out.splitlines()[1]
    metainfo = Metainfo.from_bytes((place / "p.torrent").read_bytes())
    url = "http%3A%2F%2F127.0.0.1%3A1%2F"
    magnet += f"&tr={url}a&tr={url}b&ws={url}"
    with on_loopback(metainfo.info, react=without_hashes) as silent:
        here = ("--peer", f"127.0.0.1:{silent.port}", *LOOPBACK)
        info = place.tl("info", magnet, "--json", "--timeout", "10s", *here)
        assert info.code == 0, info
        (told,), (full,) = info.events, place.tl("info", "p.torrent", "--json").events
        around = {"ts", "created_by", "creation_date"}
        differ = {field for field in told.keys() | full.keys() if told.get(field) != full.get(field)} - around
        assert differ == {"trackers", "web_seeds", "magnet"}
        assert told["trackers"] == [["http://127.0.0.1:1/a"], ["http://127.0.0.1:1/b"]]
        assert (told["web_seeds"], told["magnet"]) == (["http://127.0.0.1:1/"], magnet)
        table = place.tl("info", magnet, *here)
        assert (table.code, table.out.splitlines()[-1].split()) == (0, ["3", "293", "KiB", "photos/more/c.jpg"])
        listed = place.tl("fetch", magnet, "--list", *here)
        assert (listed.code, listed.out) == (0, place.tl("fetch", "p.torrent", "--list").out)
        wrong = place.tl("fetch", magnet, "-s", "*.png", *here)
        assert (wrong.code, "--select *.png: no file fits" in wrong.err) == (2, True)
        to_a_pipe = place.tl("fetch", magnet, "-s", "*.png", "-o", "-", "--timeout", "10s", *here)
        assert (to_a_pipe.code, "--select *.png: no file fits" in to_a_pipe.err) == (2, True), to_a_pipe
        streamed = place.tl("stream", magnet, "d.jpg", "--timeout", "10s", *here)
        assert (streamed.code, "FILE d.jpg: no file fits" in streamed.err) == (2, True), streamed
        linked = place.tl("fetch", f"{magnet}&so=77", "--timeout", "10s", *here)
        assert (linked.code, "none of the files that its link names" in linked.err) == (2, True), linked
        several = place.tl("fetch", magnet, "--sha256", "00" * 32, "--timeout", "10s", *here)
        assert (several.code, "a SHA-256 is of one file, and 3 of photos are wanted" in several.err) == (2, True)
        for words in ("verify", magnet, "."), ("fetch", magnet, "-s", "1", "-o", "none"):
            waiting = place.tl(*words, "--timeout", "2s", *here)
            assert (waiting.code, "no hashes of the pieces from 1 peer" in waiting.err) == (3, True), waiting
    data = b"".join((place / name).read_bytes() + bytes(-size % metainfo.piece_length) for name, size in names.items())
    with on_loopback(metainfo.info, data) as seed:
        chosen = place.tl("fetch", magnet, "-s", "*/b.jpg", "--peer", f"127.0.0.1:{seed.port}", *LOOPBACK)
        assert re.search(r"^fetching photos \([\d.]+ KiB in 1 of 3 files\) into \.$", chosen.err, re.MULTILINE)
        assert (chosen.code, chosen.out) == (0, f"{place / 'photos/more/b.jpg'}\n")
        # Who only looks for the names asks too, and has gone before or after that was sent.
        asked = seed.talks[-1].all(HashRequest)
        assert len(asked) == len(set(asked)) == len(metainfo.info.layers_needed)


def test_a_seed_says_what_it_leaves_out(place: Place) -> None:
    place.make_file("set/a", 1000)
    (place / "set/elsewhere").symlink_to("/etc")
    sentence = "left out 'elsewhere': a link that leads out of the folder"
    done = place.tl("seed", "set", "--seed-time", "0", *LOOPBACK)
    assert done.code == 0
    assert sentence in done.err.splitlines()
    events = place.tl("seed", "set", "--seed-time", "0", "--json", *LOOPBACK).events
    assert [event["warnings"] for event in events if event["event"] == "seeding"] == [[sentence]]


def test_a_folder_with_names_that_are_not_safe(place: Place) -> None:
    data = {
        name: place.make_file(f"linux/{name}", 30_000, seed) for seed, name in enumerate(["i2c/aux.c", "X.h", "x.h"])
    }
    note = (
        "2 files have names that are not safe on every system; "
        "tl fetch changes them: 'linux/i2c/aux.c' becomes 'linux/i2c/aux_.c'"
    )
    assert note in place.tl("create", "linux").err.splitlines()
    verified = place.tl("verify", "linux.torrent", "linux")
    assert (verified.code, verified.out) == (0, "all 6 pieces match: 87.9 KiB in linux\n")
    with seeding(place, "linux.torrent") as (magnet, seed):
        seed.wait_for_words(note)
        fetched = place.tl("fetch", magnet, "-o", "down", *LOOPBACK)
        assert fetched.code == 0
        assert note in fetched.err.splitlines()
    for name, saved in zip(data, ("i2c/aux_.c", "X.h", "x (1).h"), strict=True):
        assert (place / "down/linux" / saved).read_bytes() == data[name]
    assert sorted(path.name for path in (place / "linux").rglob("*") if path.is_file()) == ["X.h", "aux.c", "x.h"]
    (place / "linux/x.h").write_bytes(bytes(30_000))
    wrong = place.tl("seed", "linux.torrent", *LOOPBACK)
    assert (wrong.code, wrong.out) == (6, "")


def test_what_json_says(place: Place) -> None:
    place.make_file("x.bin", 2_000_000)
    with place.start("seed", "x.bin", "--json", *LOOPBACK) as seed:
        assert seed.event("listening")["host"] == "127.0.0.1"
        assert seed.event("hashing")["total"] == 2_000_000
        magnet = seed.event("seeding", name="x.bin", total=2_000_000)["magnet"]
        result = place.tl("fetch", magnet, "-o", "down", "--json", *LOOPBACK)
        assert result.code == 0
        assert result.err == ""
        seeded = seed.end(signal.SIGINT)
    events = result.events
    assert all(each["v"] == 1 and each["ts"] > 1e9 for each in events)
    names = [each["event"] for each in events]
    assert names[0] == "listening"
    assert names[-2:] == ["complete", "bye"]
    assert names.index("metadata") < names.index("complete")
    metadata = events[names.index("metadata")]
    assert (metadata["name"], metadata["total"], metadata["files"]) == ("x.bin", 2_000_000, 1)
    last = [each for each in events if each["event"] == "progress"][-1]
    assert (last["done"], last["total"], last["stage"], last["why"]) == (2_000_000, 2_000_000, "done", None)
    assert {"down_bps", "up_bps", "peers", "eta_s", "uploaded"} <= last.keys()
    complete = events[-2]
    assert (complete["path"], complete["total"]) == (str(place / "down/x.bin"), 2_000_000)
    assert 0 < complete["seconds"] < 20
    assert events[-1]["code"] == 0
    assert len({each["info_hash"] for each in events[1:-1]}) == 1
    assert seeded.events[-1]["event"] == "bye"
    assert seeded.events[-1]["code"] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_and_gone_on_with(place: Place, number: signal.Signals, code: int) -> None:
    data = place.make_file("big.bin", 4_000_000)
    with seeding(place, "big.bin") as (magnet, _):
        with place.start("fetch", magnet, "-o", "down", "-d", "1M", "--json", *LOOPBACK) as fetch:
            while fetch.event("progress")["done"] == 0:
                pass
            result = fetch.end(number)
        assert result.code == code
        error, bye = result.events[-2:]
        assert error["kind"] == "interrupted"
        assert "nothing lost" in error["message"]
        assert error["hint"].startswith("tl fetch 'magnet:?xt")
        assert bye["code"] == code
        assert unfinished(place / "down/big.bin", magnet).exists()
        assert not (place / "down/big.bin").exists()
        result = place.tl("fetch", magnet, "-o", "down", "--json", *LOOPBACK)
        assert result.code == 0
        first = next(each for each in result.events if each.get("stage") in ("downloading", "done"))
        assert first["done"] > 0
    assert (place / "down/big.bin").read_bytes() == data


def test_the_words_of_an_interrupted_fetch(place: Place) -> None:
    place.make_file("big.bin", 4_000_000)
    with (
        seeding(place, "big.bin") as (magnet, _),
        place.start("fetch", magnet, "-o", "down", "-d", "500k", *LOOPBACK) as fetch,
    ):
        wait_for(unfinished(place / "down/big.bin", magnet))
        result = fetch.end(signal.SIGINT)
    assert result.code == 130
    assert result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith("Interrupted at ")
    assert f" % — nothing lost. Continue with: tl fetch '{magnet}' -o down -d 500k --listen 127.0.0.1:0" in last


def test_a_second_interrupt_leaves_at_once(place: Place) -> None:
    """The first waits for a tracker that is to be told, and does not answer."""
    place.make_file("x.bin", 100_000)
    asked, over = threading.Semaphore(0), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def track() -> None:
            held = []
            for number in range(2):
                connection, _ = server.accept()
                connection.recv(10_000)
                if number == 0:
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nd8:intervali1800e5:peers0:e")
                    connection.close()
                held.append(connection)
                asked.release()
            over.wait(10)
            held[-1].close()

        tracker = threading.Thread(target=track)
        tracker.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/announce"
        with place.start("seed", "x.bin", "-t", url, "--json", *LOOPBACK) as seed:
            assert asked.acquire(timeout=10)
            seed.event("tracker", ok=True)
            seed.process.send_signal(signal.SIGINT)
            assert asked.acquire(timeout=10)  # "stopped" has been sent
            seed.process.send_signal(signal.SIGINT)
            assert seed.end().code == 130
        over.set()
        tracker.join()


def test_sharing_goes_on(place: Place) -> None:
    data = place.make_file("x.bin", 1_000_000)
    with seeding(place, "x.bin") as (magnet, _):
        with place.start("fetch", magnet, "-o", "one", "--seed", "--json", *LOOPBACK) as first:
            port = first.event("listening")["port"]
            assert first.event("complete")["path"] == str(place / "one/x.bin")
            assert first.event("progress")["stage"] == "seeding"
            hash_only = magnet.split("btih:")[1][:40]
            second = place.tl("fetch", hash_only, "-o", "two", "--peer", f"127.0.0.1:{port}", *LOOPBACK)
            assert second.code == 0
            assert (place / "two/x.bin").read_bytes() == data
            result = first.end(signal.SIGINT)
        assert result.code == 0
        assert result.events[-1] == {**result.events[-1], "event": "bye", "code": 0}


def test_several_sources_the_first_failing_code_wins(place: Place) -> None:
    place.make_file("a.bin", 50_000, 1)
    place.make_file("b.bin", 50_000, 2)
    (place / "bad.torrent").write_bytes(b"no")
    with place.start("seed", "a.bin", "b.bin", *LOOPBACK) as seed:
        one, two = seed.line(), seed.line()
        result = place.tl("fetch", one, "bad.torrent", two, one, "-o", "down", *LOOPBACK)
        assert result.code == 4
        assert sorted(result.out.splitlines()) == [str(place / "down/a.bin"), str(place / "down/b.bin")]
        assert "'bad.torrent': not a .torrent" in result.err
        assert "named twice" in result.err
        assert seed.end(signal.SIGHUP).code == 0


def test_a_path_named_twice_is_shared_once(place: Place) -> None:
    data = place.make_file("x.bin", 50_000)
    assert place.tl("create", "x.bin", "-q").code == 0
    with place.start("seed", "x.bin", "x.bin", "x.bin.torrent", *LOOPBACK) as seed:
        link = seed.line()
        assert [seed.line(), seed.line()] == [link, link]
        assert place.tl("fetch", link, "-o", "down", *LOOPBACK).code == 0
        done = seed.end(signal.SIGINT)
    assert (place / "down/x.bin").read_bytes() == data
    assert done.code == 0
    assert [line for line in done.err.splitlines() if "twice" in line] == [
        "x.bin: named twice, shared once",
        "x.bin.torrent: named twice, shared once",
    ]


def test_a_different_file_in_the_way(place: Place) -> None:
    data = place.make_file("x.bin", 100_000)
    place.make_file("down/x.bin", 100_000, seed=9)
    before = (place / "down/x.bin").read_bytes()
    with seeding(place, "x.bin") as (magnet, _):
        result = place.tl("fetch", magnet, "-o", "down", *LOOPBACK)
        assert result.code == 5
        assert "--overwrite" in result.err
        assert len(result.err.splitlines()) <= 5
        assert (place / "down/x.bin").read_bytes() == before
        assert place.tl("fetch", magnet, "-o", "down", "--overwrite", *LOOPBACK).code == 0
    assert (place / "down/x.bin").read_bytes() == data


def test_a_new_version_of_what_is_here(place: Place) -> None:
    """Only what is new comes; the old one stays as it is."""
    old = {name: place.make_file(f"old/set/{name}", 400_000, seed) for seed, name in enumerate("abc")}
    for name, content in old.items():
        (place / "set").mkdir(exist_ok=True)
        (place / "set" / name).write_bytes(content)
    place.make_file("set/b", 400_000, seed=50)
    with (place / "set/c").open("ab") as grown:
        grown.write(place.make_file("more", 100_000))
    place.tl("create", "set", "--piece-size", "16k", "-O", "new.torrent")
    with place.start("seed", "new.torrent", "--json", *LOOPBACK) as seed:
        magnet = seed.event("seeding")["magnet"]
        result = place.tl("fetch", magnet, "-o", "new", "--reuse", "old", "--json", *LOOPBACK)
        assert result.code == 0
        complete = result.events[-2]
        assert complete["event"] == "complete"
        assert 800_000 - 4 * 16_384 < complete["reused"] < 800_000
        assert complete["total"] == 1_300_000
        for name in "abc":
            assert (place / "new/set" / name).read_bytes() == (place / "set" / name).read_bytes()
            assert (place / "old/set" / name).read_bytes() == old[name]
        shown = place.tl(
            "fetch", "new.torrent", "-o", "third", "--reuse", "old", "--reuse", "new/set", magnet, *LOOPBACK
        )
        assert shown.code == 0
        assert re.search(r"^set: 1\.24 MiB, all of it from old and new/set$", shown.err, re.MULTILINE), shown.err
        some = place.tl("fetch", magnet, "-o", "fourth", "--reuse", "old", *LOOPBACK)
        assert re.search(r"^set: 1\.24 MiB in .*B/s\), 7.. KiB of it from old$", some.err, re.MULTILINE), some.err
        seed.event("progress")
        sent = [each["uploaded"] for each in seed.end(signal.SIGINT).events if each["event"] == "progress"]
    assert sent[-1] < 2 * (500_000 + 5 * 16_384)


def test_what_cannot_be_read_there_is_said_in_the_log(place: Place) -> None:
    """From a thread."""
    place.make_file("old/x.bin", 100_000)
    place.tl("create", "old/x.bin", "-O", "x.torrent")
    folder = os.open(place / "old", os.O_RDONLY)
    for _ in range(20):  # in all longer than a path may be
        os.mkdir("x" * 250, dir_fd=folder)
        inner = os.open("x" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    (place / "old/x.bin").rename(place / "old/y.bin")
    result = place.tl("fetch", "x.torrent", "-o", "new", "--reuse", "old", "-v", "--log-file", "log", *LOOPBACK)
    assert result.code == 0, result
    assert re.search(
        r"^W 1 files or folders to reuse cannot be read: '.*': File name too long$", result.err, re.MULTILINE
    )
    assert "cannot be read" in (place / "log").read_text()


def test_killed_while_it_is_taken_from_elsewhere(place: Place) -> None:
    place.make_file("big.bin", 1_000_000)
    os.truncate(place / "big.bin", 300_000_000)
    (place / "old").mkdir()
    os.link(place / "big.bin", place / "old/other name")
    with seeding(place, "big.bin") as (magnet, _):
        words = ("fetch", magnet, "-o", "new", "--reuse", "old", *LOOPBACK)
        half = unfinished(place / "new/big.bin", magnet).with_suffix(".temp")
        half = half.with_name(f".{half.name}")
        with place.start(*words) as fetch:
            while not half.exists():
                if fetch.process.poll() is not None:
                    pytest.skip("this file system copies in no time (reflinks)")
            fetch.process.kill()
            fetch.process.wait()
        assert half.exists()
        assert [path.name for path in (place / "new").iterdir()] == [half.name]
        result = place.tl(*words)
        assert result.code == 0, result
        assert "big.bin: 286 MiB, all of it from old" in result.err
    assert (place / "new/big.bin").read_bytes() == (place / "big.bin").read_bytes()
    assert (place / "new/big.bin").stat().st_nlink == 1
    assert sorted(os.listdir(place / "new")) == ["big.bin"]


def test_what_is_to_be_reused_has_to_be_there(place: Place) -> None:
    place.make_file("folder/x", 10)
    magnet = ("fetch", "ab" * 20, *LOOPBACK)
    missing = place.tl(*magnet, "--reuse", "folder", "--reuse", "foldr")
    assert missing.code == 5
    assert missing.err.splitlines()[0] == "tl: cannot reuse 'foldr': no such file or folder"
    assert "did you mean 'folder'?" in missing.err
    os.mkfifo(place / "fifo")
    special = place.tl(*magnet, "--reuse", "fifo")
    assert (special.code, "it is neither a file nor a folder" in special.err) == (5, True)
    piped = place.tl(*magnet, "-o", "-", "--reuse", "folder")
    assert (piped.code, piped.err.splitlines()[0]) == (2, "tl: -o - does not go with --reuse")


def test_nobody_there(place: Place) -> None:
    result = place.tl("fetch", "ab" * 20, "--timeout", "0.5s", *LOOPBACK)
    assert result.code == 3
    assert "tl: " in result.err
    assert "no peers" in result.err
    assert "--peer HOST:PORT" in result.err
    assert result.out == ""
    info = place.tl("info", "ab" * 20, "--timeout", "0.5s", "--json", *LOOPBACK)
    assert info.code == 3
    (error,) = info.events
    assert (error["event"], error["kind"]) == ("error", "no_peers")


def test_seed_shares_what_a_torrent_names_only_if_it_is_right(place: Place) -> None:
    data = place.make_file("x.bin", 100_000)
    assert place.tl("create", "x.bin").code == 0
    missing = place.tl("seed", "x.bin.torrent", "-o", "elsewhere", *LOOPBACK)
    assert missing.code == 5
    assert "tl fetch x.bin.torrent -o elsewhere" in missing.err
    assert not (place / "elsewhere").exists()
    (place / "x.bin").write_bytes(data[:-1])
    short = place.tl("seed", "x.bin.torrent", *LOOPBACK)
    assert (short.code, short.out) == (6, "")
    (place / "x.bin").write_bytes(data[:-1] + b"?")
    wrong = place.tl("seed", "x.bin.torrent", *LOOPBACK)
    assert (wrong.code, wrong.out) == (6, "")
    assert "tl verify x.bin.torrent ." in wrong.err
    assert sorted(os.listdir(place.folder)) == sorted({"x.bin", "x.bin.torrent", ".state"})


def test_the_port_is_kept_and_may_be_taken(place: Place) -> None:
    place.make_file("x.bin", 1000)
    place.make_file("y.bin", 1000)
    with place.start("seed", "x.bin", "--json") as first:
        port = first.event("listening")["port"]
        assert 49152 <= port <= 65535
        with place.start("seed", "y.bin", "--json") as second:
            assert second.event("listening")["port"] not in (0, port)
            second.event("seeding")
            taken = place.tl("seed", "x.bin", "--listen", str(port))
            assert taken.code == 7
            assert str(port) in taken.err
            assert second.end(signal.SIGINT).code == 0
        assert first.end(signal.SIGINT).code == 0
    with place.start("seed", "x.bin", "--json") as third:
        assert third.event("listening")["port"] == port


def test_a_reader_that_goes_away(place: Place) -> None:
    place.make_file("x.bin", 4_000_000)
    reader, writer = os.pipe()
    flags = ("--json", "-o", "down", "-d", "300k", *LOOPBACK)
    with seeding(place, "x.bin") as (magnet, _), place.start("fetch", magnet, *flags, stdout=writer) as fetch:
        os.close(writer)
        assert os.read(reader, 1).startswith(b"{")
        os.close(reader)
        result = fetch.end()
    assert result.code == 141
    assert result.err == ""


@pytest.mark.parametrize("words", ["seed x.bin", "seed x.bin --json", "stream x.bin.torrent", "dht node"])
def test_a_reader_that_goes_away_before_it_was_told(words: str, place: Place) -> None:
    place.make_file("x.bin", 1000)
    assert place.tl("create", "x.bin", "-q").code == 0
    reader, writer = os.pipe()
    os.close(reader)
    with place.start(*words.split(), *LOOPBACK, stdout=writer) as run:
        os.close(writer)
        assert run.end().code == 141


@pytest.mark.parametrize("words", ["--help", "info x.bin.torrent", "create x.bin"])
def test_a_reader_that_goes_away_when_all_is_done(words: str, place: Place) -> None:
    place.make_file("x.bin", 1000)
    assert place.tl("create", "x.bin", "-q").code == 0
    reader, writer = os.pipe()
    os.close(reader)
    with place.start(*words.split(), stdout=writer) as run:
        os.close(writer)
        result = run.end()
    assert result.code == 0
    assert "tl:" not in result.err


@pytest.mark.parametrize(("words", "events"), [("info", ["error"]), ("verify", ["error", "bye"])])
def test_an_interrupt_before_the_answer_is_told_in_json(words: str, events: list[str], place: Place) -> None:
    with place.start(words, "ab" * 20, *(["."] if words == "verify" else []), "--json", "-v", *LOOPBACK) as run:
        run.wait_for_words("metadata")
        result = run.end(signal.SIGINT)
    told = [event for event in result.events if event["event"] in ("error", "bye", "info", "verified")]
    assert result.code == 130
    assert [event["event"] for event in told] == events
    assert (told[0]["kind"], told[0]["hint"]) == ("interrupted", "")


def test_results_that_cannot_be_written(place: Place) -> None:
    place.make_file("x.bin", 1000)
    with open("/dev/full", "wb") as full, place.start("create", "x.bin", stdout=full) as create:
        result = create.end()
    assert result.code == 5
    assert "cannot write the results" in result.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", ["--help", "--version", "help fetch", "magnet abababababababababababababababababababab"]
)
def test_a_full_disk_behind_stdout(words: str, unbuffered: str, place: Place) -> None:
    with open("/dev/full", "wb") as full, place.start(*words.split(), stdout=full, PYTHONUNBUFFERED=unbuffered) as run:
        result = run.end()
    assert (result.code, result.err) == (5, "tl: cannot write the results: No space left on device")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "code"),
    [("nonsense", 2), ("fetch", 2), ("info nosuch -vv", 4), ("--help", 0), ("magnet -q " + "ab" * 20, 0)],
)
def test_a_full_disk_behind_stderr_changes_no_code(words: str, code: int, unbuffered: str, place: Place) -> None:
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            command(tuple(words.split())),
            cwd=place.folder,
            env=place.environment(PYTHONUNBUFFERED=unbuffered),
            stdout=subprocess.DEVNULL,
            stderr=full,
            timeout=PATIENCE,
            check=False,
        )
    assert run.returncode == code


def test_a_full_disk_behind_the_log(place: Place) -> None:
    place.make_file("x.bin", 1000)
    done = place.tl("seed", "x.bin", "--seed-time", "0", "--log-file", "/dev/full", "-vv", *LOOPBACK)
    assert done.code == 0
    assert "Traceback" not in done.err
    said = [line for line in done.err.splitlines() if "--log-file" in line]
    assert said == ["tl: --log-file is not written any more: No space left on device"]


def test_the_log(place: Place) -> None:
    place.make_file("x.bin", 1000)
    with seeding(place, "x.bin", flags=("-v", "--log-file", "seed.log")) as (magnet, seed):
        quiet = place.tl("fetch", magnet, "-o", "down", "-q", *LOOPBACK)
        assert (quiet.code, quiet.out, quiet.err) == (0, f"{place / 'down/x.bin'}\n", "")
    log = (place / "seed.log").read_text()
    assert "seeding" in log
    assert any(line.startswith("I ") for line in seed.err)


def unfinished(path: pathlib.Path, magnet: str) -> pathlib.Path:
    """What a file is called while it is not whole."""
    return path.with_name(f"{path.name}.{magnet.partition('btih:')[2][:8]}.part")


def wait_for(path: pathlib.Path) -> None:
    """Wait until a file is there."""
    import time

    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_interrupted_demo_cleans_up(place: Place) -> None:
    (place / "tmp").mkdir()
    with place.start("demo", "--size", "100M", "--json", TMPDIR=str(place / "tmp")) as demo:
        demo.event("hashing")
        result = demo.end(signal.SIGINT)
    assert result.code == 130
    assert os.listdir(place / "tmp") == []
    assert "Traceback" not in result.err


async def test_generating_and_comparing_can_be_interrupted(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "here" / "demo.bin"
    told = []

    def tell(done: int, total: int) -> None:
        told.append(done)
        trio.from_thread.run_sync(scope.cancel)

    with trio.CancelScope() as scope:
        await trio.to_thread.run_sync(_generate, path, 10 << 20, tell)
    assert (path.stat().st_size, told) == (1 << 20, [1 << 20])
    os.truncate(path, 10 << 20)
    with trio.CancelScope() as scope:
        await trio.to_thread.run_sync(_digest, path, tell)
    assert told == [1 << 20] * 2


def test_a_demo_says_what_it_does(place: Place) -> None:
    shown = place.tl("demo", "--size", "3M", "--json")
    assert shown.code == 0
    stages = [event.get("stage", event["event"]) for event in shown.events]
    assert [*dict.fromkeys(stages)][:3] == ["generating", "hashing", "announcing"]
    assert stages[-3:] == ["checking", "demo", "bye"]


def test_an_interrupted_create_writes_nothing(place: Place) -> None:
    place.make_file("x.bin", 1)
    os.truncate(place / "x.bin", 1 << 31)
    with place.start("create", "x.bin", "--json") as create:
        create.event("hashing")
        result = create.end(signal.SIGTERM)
    assert result.code == 143
    assert result.events[-1]["code"] == 143
    assert not (place / "x.bin.torrent").exists()


def test_a_seed_that_has_given_enough_ends_by_itself(place: Place) -> None:
    place.make_file("x.bin", 300_000)
    with place.start("seed", "x.bin", *LOOPBACK, "--ratio", "1") as seed:
        fetched = place.tl("fetch", seed.line(), "-o", "down", *LOOPBACK)
        assert fetched.code == 0
        result = seed.end()
    assert result.code == 0
    assert "x.bin: shared 293 KiB in " in result.err
    assert ", 1.00 times its size; 1 other has all of it" in result.err
    torrent = place.tl("create", "x.bin", "-q")
    again = place.tl("fetch", torrent.out.strip(), "--seed-time", "0.5s", *LOOPBACK)
    assert (again.code, again.out) == (0, f"{place / 'x.bin'}\n")
    assert "shared 0 B" in again.err


def test_a_seed_that_others_can_do_without_ends_by_itself(place: Place) -> None:
    place.make_file("x.bin", 300_000)
    with place.start("seed", "x.bin", *LOOPBACK, "--copies", "2", "--json") as seed:
        magnet = seed.event("seeding")["magnet"]
        for count, folder in enumerate(("one", "two"), 1):
            assert place.tl("fetch", magnet, "-o", folder, *LOOPBACK).code == 0
            if count == 1:
                seed.event("progress", copies=1)
        shared = seed.event("shared")
        result = seed.end()
    assert shared["copies"] == 2
    assert shared["uploaded"] == 600_000
    assert shared["ratio"] == 2
    assert shared["seconds"] > 0
    assert result.code == 0
    for wrong in ("0", "-1", "1.5", "10001", "many"):
        refused = place.tl("seed", "x.bin", f"--copies={wrong}")
        assert refused.code == 2
        assert f"'{wrong}' is not a number of others, from 1 to 10,000" in refused.err


def test_a_url_and_a_torrent_on_stdin(place: Place) -> None:
    data = place.make_file("x.bin", 200_000)
    assert place.tl("create", "x.bin", "-O", "served/x.torrent").code == 5  # there is no such folder
    (place / "served").mkdir()
    assert place.tl("create", "x.bin", "-O", "served/x.torrent").code == 0
    handler = functools.partial(QuietHandler, directory=str(place / "served"))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        place.start("seed", "x.bin", *LOOPBACK, "--json") as seed,
    ):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            peer = ("--peer", f"127.0.0.1:{seed.event('listening')['port']}", *LOOPBACK)
            seed.event("seeding")
            url = f"http://127.0.0.1:{server.server_port}/x.torrent"
            by_url = place.tl("fetch", url, "-o", "url", *peer)
            assert (by_url.code, by_url.out) == (0, f"{place / 'url/x.bin'}\n"), by_url
            assert place.tl("magnet", url).out.startswith("magnet:?xt=urn:btih:")
        finally:
            server.shutdown()
            thread.join()
        torrent = (place / "served/x.torrent").read_bytes()
        by_stdin = place.tl("fetch", "-", "-o", "stdin", *peer, stdin=torrent)
        assert (by_stdin.code, by_stdin.out) == (0, f"{place / 'stdin/x.bin'}\n"), by_stdin
        assert seed.end(signal.SIGINT).code == 0
    assert (place / "url/x.bin").read_bytes() == (place / "stdin/x.bin").read_bytes() == data


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_without_its_state_what_lies_there_is_hashed(place: Place) -> None:
    data = place.make_file("x.bin", 1_000_000)
    (place / "down").mkdir()
    half = (len(data) // 2) & ~0x3FFF
    with seeding(place, "x.bin") as (magnet, _):
        unfinished(place / "down/x.bin", magnet).write_bytes(data[:half] + bytes(len(data) - half))
        result = place.tl("fetch", magnet, "-o", "down", "--json", "--state-dir", str(place / "fresh"), *LOOPBACK)
    assert result.code == 0, result
    assert (place / "down/x.bin").read_bytes() == data
    first = next(each for each in result.events if each.get("stage") in ("downloading", "done", "finishing"))
    assert first["done"] >= half


def test_a_private_torrent_says_what_is_different(place: Place) -> None:
    place.make_file("x.bin", 1000)
    assert place.tl("create", "x.bin", "--private", "-t", "udp://127.0.0.1:9").code == 0
    with place.start("seed", "x.bin.torrent", *LOOPBACK) as seed:
        assert "x.pe=" not in seed.line()
        assert seed.end(signal.SIGINT).code == 0
    assert "x.bin is private: peers come from its trackers only (no DHT, LSD or PEX)" in seed.err
