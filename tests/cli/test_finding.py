"""Peers without a server, as a person finds them: the DHT over loopback, with nodes run by ``tl`` itself."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator

import pytest

from torrentlite.bencode import decode, encode

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
