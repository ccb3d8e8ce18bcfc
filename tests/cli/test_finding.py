"""Peers without a server, as a person finds them: the DHT over loopback, with nodes run by ``tl`` itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator

import pytest

from torrentlite.bencode import decode, encode
from torrentlite.dht import SigningKey

from .running import Place

LOOPBACK = ("--listen", "127.0.0.1:0")
NOBODY = "ab" * 20


@contextlib.contextmanager
def node(place: Place, *flags: str) -> Iterator[str]:
    """A node; gives what ``--bootstrap`` takes."""
    with place.start("dht", "node", *LOOPBACK, *flags) as run:
        address, slash, kind = run.line().partition("/")
        assert (slash, kind) == ("/", "udp")
        yield address
        result = run.end(signal.SIGINT)
        assert result.code == 0, result


def lines(text: str, event: str) -> list[dict[str, object]]:
    return [each for each in map(json.loads, text.splitlines()) if each["event"] == event]


def test_an_info_hash_is_all_it_takes(place: Place) -> None:
    data = place.make_file("film.bin", 300_000)
    with node(place) as first, node(place, "--bootstrap", first), contextlib.ExitStack() as stack:
        dht = (*LOOPBACK, "--bootstrap", first)
        seed = stack.enter_context(place.start("seed", "film.bin", *dht, "--json", TL_NO_DHT="0"))
        port = seed.event("listening")["port"]
        info_hash = seed.event("seeding")["info_hash"]
        assert seed.event("dht", state="joined")["nodes"] > 0
        found = place.tl("dht", "lookup", info_hash, *dht)
        assert (found.code, found.out) == (0, f"127.0.0.1:{port}\n"), (
            "the fetcher did not stay, or is not in it any more"
        )
        told = place.tl("dht", "lookup", f"magnet:?xt=urn:btih:{info_hash}", *dht, "--json")
        assert lines(told.out, "peer")[0] | {"ts": 0} == {
            "v": 1, "event": "peer", "ts": 0, "info_hash": info_hash,
            "host": "127.0.0.1", "port": port, "sources": ["dht"],
        }  # fmt: skip
        nobody = place.tl("dht", "lookup", NOBODY, *dht)
        assert (nobody.code, nobody.out) == (3, "")
        assert "knows no peer" in nobody.err

        who = place.tl("peers", info_hash, *dht, TL_NO_DHT="0")
        assert who.code == 0, who.err
        assert who.out.splitlines()[1:] == [f"127.0.0.1:{port}  dht"]
        assert who.out.startswith("DHT  names 1 peer, about 1 seed and 0 leechers, of ")
        # Without a word of where it is; who comes too early asks again.
        fetched = place.tl("fetch", info_hash, "-o", "down", *dht, "--json", "--timeout", "60s", TL_NO_DHT="0")
        assert fetched.code == 0, fetched.err
        assert (place / "down/film.bin").read_bytes() == data
        assert lines(fetched.out, "progress")[-1]["sources"] == {"dht": 1}
        assert lines(fetched.out, "dht")[-1]["nodes"]
        assert seed.end(signal.SIGINT).code == 0


def test_a_link_that_stays(place: Place) -> None:
    key, old, new = place / "film.key", place.make_file("old.bin", 50_000), place.make_file("new.bin", 60_000)
    assert old != new
    with node(place) as first, node(place, "--bootstrap", first), contextlib.ExitStack() as stack:
        dht = (*LOOPBACK, "--bootstrap", first)

        def publish(name: str) -> tuple[str, str]:
            seed = stack.enter_context(place.start("seed", name, "--publish", str(key), *dht, "--json", TL_NO_DHT="0"))
            said, published = seed.event("seeding"), seed.event("published")
            assert (published["link"], published["info_hash"]) == (said["link"], said["info_hash"])
            return said["link"], said["info_hash"]

        link, old_hash = publish("old.bin")
        secret = key.read_text().strip()
        assert link == f"magnet:?xs=urn:btpk:{SigningKey(bytes.fromhex(secret)).public.hex()}"
        assert key.stat().st_mode & 0o777 == 0o600
        # Whoever only asks leaves no node behind, that others would have to wait for in so small a network.
        assert f"leads to {old_hash} now" in place.tl("peers", link, *dht, TL_NO_DHT="0").err
        key.write_text(f" {secret.upper()} ")
        assert publish("new.bin") == (link, new_hash := make_hash(place, "new.bin")), "it stays"
        nobody = place.tl("peers", f"magnet:?xs=urn:btpk:{NOBODY}{'0' * 24}", *dht, TL_NO_DHT="0")
        assert nobody.code == 7, nobody
        assert "nobody in the DHT knows" in nobody.err
        fetched = place.tl("fetch", link, "-o", "down", *dht, "--json", TL_NO_DHT="0")
        assert fetched.code == 0, fetched.err
        (resolved,) = lines(fetched.out, "resolved")
        assert (resolved["link"], resolved["info_hash"]) == (link, new_hash)
        assert (place / "down/new.bin").read_bytes() == new


def test_the_link_that_stays_is_for_the_other_computer(place: Place) -> None:
    place.make_file("film.bin", 1000)
    flags = ("--listen", "0", "--bootstrap", "127.0.0.1:9", "--seed-time", "0")
    told = place.tl("seed", "film.bin", "--publish", str(place / "film.key"), *flags, TL_NO_DHT="0")
    assert told.code == 0, told
    magnet, link = told.out.splitlines()
    assert link.startswith("magnet:?xs=urn:btpk:")
    assert f"On the other computer: tl fetch '{link}'" in told.err
    told = place.tl("seed", "film.bin", *flags)
    assert f"On the other computer: tl fetch '{magnet.partition('&')[0]}" in told.err


def make_hash(place: Place, name: str) -> str:
    """The info-hash of a file."""
    assert place.tl("create", name, "-O", f"{name}.torrent").code == 0
    return str(json.loads(place.tl("info", f"{name}.torrent", "--json").out)["info_hash"])


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("film.bin", "other.bin", "--publish", "film.key"), 2, "one PATH"),
        (("film.bin", "--publish", "film.key", "--no-dht"), 2, "--no-dht"),
        (("film.bin", "--publish", "other.bin"), 4, "holds no key"),
        (("film.bin", "--publish", "gone/film.key"), 5, "cannot use the key"),
        (("film.bin", "--publish", "folder"), 5, "cannot use the key"),
        (("film.bin", "--publish", "pipe"), 4, "holds no key"),
        (("film.bin", "--publish", ""), 5, "cannot use the key"),
        (("film.bin", "--publish", "long"), 4, "holds no key"),
        ((".", "--publish", "film.key"), 2, "would be shared"),
        (("film.bin", "--publish", "film.bin"), 2, "would be shared"),
        (("link", "--publish", "folder/film.key"), 2, "would be shared"),
        (("folder.torrent", "--publish", "folder/old.key"), 2, "would be shared"),
        (("magnet:?xs=urn:btpk:" + "0" * 64,), 4, "this is a link"),
        (("private.torrent", "--publish", "old.key"), 4, "private"),
        (("v2.torrent", "--publish", "old.key"), 4, "version 2 alone"),
    ],
)
def test_links_that_cannot_be_published(place: Place, words: tuple[str, ...], code: int, why: str) -> None:
    for name in ("film.bin", "other.bin"):
        place.make_file(name, 1000)
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    (place / "old.key").write_text("ab" * 32)
    (place / "long").write_text("ab" * 32 + " " * 1000 + "x")
    (place / "link").symlink_to("folder")
    (place / "folder/old.key").write_text("ab" * 32)
    place.tl("create", "folder", "-O", "folder.torrent")
    place.tl("create", "film.bin", "--private", "-t", "http://127.0.0.1:1/announce", "-O", "private.torrent")
    place.tl("create", "film.bin", "--v2", "-O", "v2.torrent")
    told = place.tl("seed", *words, *LOOPBACK, "--bootstrap", "127.0.0.1:9", TL_NO_DHT="0")
    assert (told.code, told.out) == (code, ""), told
    assert why in told.err
    assert not (place / "film.key").exists()


def test_a_link_that_does_not_lead_here_is_not_passed_over(place: Place) -> None:
    place.make_file("film.bin", 1000)
    nobody = (*LOOPBACK, "--bootstrap", "127.0.0.1:9")
    with place.start("seed", "film.bin", "--publish", "film.key", *nobody, "--json", TL_NO_DHT="0") as seed:
        assert "does not lead here yet" in seed.event("unpublished")["message"]
        assert seed.end(signal.SIGINT).code == 0
    told = place.tl("seed", "film.bin", "--publish", "film.key", *nobody, "--seed-time", "1s", TL_NO_DHT="0")
    assert (told.code, len(told.out.splitlines())) == (0, 2), told
    assert "never led here" in told.err


def test_a_link_that_stays_needs_the_dht(place: Place) -> None:
    link = f"magnet:?xs=urn:btpk:{NOBODY}{'0' * 24}"
    for words in (
        ("fetch", link),
        ("magnet", link),
        ("info", link),
        ("stream", link),
        ("peers", link),
        ("dht", "lookup", link),
    ):
        told = place.tl(*words)
        assert (told.code, told.out) == (2, ""), told
        assert "only the DHT knows" in told.err or "names a key" in told.err


@pytest.fixture
def private(place: Place) -> str:
    """A private .torrent that names a node all the same."""
    place.make_file("film.bin", 100_000)
    assert place.tl("create", "film.bin", "--private", "-t", "http://127.0.0.1:1/announce").code == 0
    path = place / "film.bin.torrent"
    torrent = decode(path.read_bytes())
    assert isinstance(torrent, dict)
    path.write_bytes(encode(torrent | {b"nodes": [[b"127.0.0.1", 9]]}))
    return str(path)


def test_who_has_a_private_torrent_is_asked_of_its_tracker_only(place: Place, private: str) -> None:
    asked = place.tl("peers", private, *LOOPBACK, "--bootstrap", "127.0.0.1:9", TL_NO_DHT="0")
    assert asked.code == 3
    assert "DHT  not asked: the torrent is private" in asked.out
    assert "http://127.0.0.1:1/announce  fails: " in asked.out


def test_where_nobody_is_asked_nobody_can_know(place: Place) -> None:
    nobody = place.tl("peers", NOBODY, *LOOPBACK)
    assert nobody.code == 3
    assert nobody.err.splitlines() == [
        f"tl: {NOBODY}: no tracker is known and the DHT is not asked, so there is nobody to ask",
        "    -t URL names a tracker",
    ]
    silent = place.tl("peers", NOBODY, *LOOPBACK, "-t", "http://127.0.0.1:1/announce")
    assert silent.err == f"tl: {NOBODY}: nobody who was asked answers\n"


def test_a_seed_that_no_other_computer_can_find(place: Place) -> None:
    place.make_file("film.bin", 100_000)
    for more, said in (
        (("-t", "http://127.0.0.1:1/announce"), "On the other computer: tl fetch 'magnet:"),
        ((), "no other computer can find this: this one has no address in any network"),
    ):
        seed = place.tl("seed", "film.bin", "--interface", "lo", "--seed-time", "0.1s", *more)
        assert said in seed.err
        assert seed.err.count("other computer") == 1
    assert place.tl("create", "film.bin", "--private", "-O", "private.torrent").code == 0
    seed = place.tl("seed", "private.torrent", "--seed-time", "0.1s")
    assert "no other computer can find this: it is private" in seed.err
    assert "On the other" not in seed.err


def test_a_dht_that_is_not_there(place: Place) -> None:
    silent = place.tl("dht", "lookup", NOBODY, *LOOPBACK, "--bootstrap", "127.0.0.1:9", "--timeout", "1s")
    assert (silent.code, silent.out) == (7, "")
    assert "no node of the DHT answers" in silent.err
    why = place.tl("fetch", NOBODY, *LOOPBACK, "--bootstrap", "127.0.0.1:9", "--timeout", "2s", TL_NO_DHT="0")
    assert why.code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lookup",), "missing: HASH"),
        (("lookup", "xyz"), "'xyz' is no info-hash"),
        (("node", NOBODY), "a node is about no torrent"),
        (("dig", NOBODY), "invalid choice: 'dig'"),
    ],
)
def test_words_that_make_no_sense(place: Place, words: tuple[str, ...], said: str) -> None:
    result = place.tl("dht", *words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
