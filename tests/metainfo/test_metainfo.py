from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from torrentlite import bencode, limits
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import Metainfo, Origin

from .bad_input import entry, folder, hybrid, info, leaf, torrent


def read(**around: Any) -> Metainfo:
    """A good .torrent with these keys around its info; ``_`` in a key stands for a space."""
    top = {"info": info()} | {key.replace("_", " "): value for key, value in around.items()}
    return Metainfo.from_bytes(bencode.encode(top))


TIERS = [["http://a.example/announce", "udp://b.example:80"], ["http://c.example/announce"]]
FULL = {
    "announce": "http://a.example/announce",
    "announce-list": TIERS,
    "comment": "two\nlines é",
    "created by": "somebody/1.0",
    "creation date": 1_700_000_000,
    "info": info(private=1),
    "nodes": [["192.0.2.1", 6881], ["host.example", 1]],
    "url-list": ["http://w.example/", "https://w.example/x"],
}


def test_everything_at_once() -> None:
    metainfo = Metainfo.from_bytes(bencode.encode(FULL))
    assert metainfo.trackers == (("http://a.example/announce", "udp://b.example:80"), ("http://c.example/announce",))
    assert metainfo.web_seeds == ("http://w.example/", "https://w.example/x")
    assert metainfo.nodes == (("192.0.2.1", 6881), ("host.example", 1))
    assert (metainfo.comment, metainfo.created_by) == ("two\nlines é", "somebody/1.0")
    assert metainfo.creation_date == 1_700_000_000
    assert metainfo.warnings == ()
    assert metainfo.origin is None
    assert (metainfo.name, metainfo.total, metainfo.private, metainfo.piece_length) == ("file", 40_000, True, 16384)
    assert metainfo.info_hash == metainfo.info.hashes.hex
    assert metainfo.files == metainfo.info.files


def test_what_was_read_is_written_again() -> None:
    data = bencode.encode(FULL)
    assert Metainfo.from_bytes(data).encode() == data


def test_keys_without_a_use_are_kept_as_they_are() -> None:
    extra = {"encoding": "UTF-8", "publisher": {"z": [1, "x"]}, "httpseeds": ["http://h.example/"]}
    data = bencode.encode(FULL | extra).replace(b"9:publisherd1:zli1e1:xee", b"9:publisherd1:zi1e1:ai2ee")
    metainfo = Metainfo.from_bytes(data)
    assert metainfo.encode() == data
    assert dict(metainfo.extra)[b"publisher"] == b"d1:zi1e1:ai2ee"


def test_the_info_is_written_as_it_was_received() -> None:
    raw = b"d6:pieces20:" + b"h" * 20 + b"4:name1:x12:piece lengthi16384e6:lengthi5ee"
    metainfo = Metainfo.from_bytes(b"d3:zzzi1e4:info" + raw + b"e")
    assert metainfo.info.raw == raw
    again = Metainfo.from_bytes(metainfo.encode())
    assert again == metainfo
    assert again.info_hash == metainfo.info_hash


@pytest.mark.parametrize(
    ("around", "trackers"),
    [
        ({}, ()),
        ({"announce": "http://a/"}, (("http://a/",),)),
        ({"announce": "http://a/", "announce-list": []}, (("http://a/",),)),
        ({"announce": "http://a/", "announce-list": [[]]}, (("http://a/",),)),
        ({"announce": "http://a/", "announce-list": 5}, (("http://a/",),)),
        ({"announce": "http://a/", "announce-list": [["http://b/"]]}, (("http://b/",),)),
        ({"announce-list": ["http://a/", "http://b/"]}, (("http://a/",), ("http://b/",))),
        ({"announce-list": [["http://a/", "http://b/"], ["http://a/"]]}, (("http://a/", "http://b/"),)),
        ({"announce": ""}, ()),
    ],
)
def test_trackers(around: dict[str, Any], trackers: tuple[tuple[str, ...], ...]) -> None:
    metainfo = read(**around)
    assert metainfo.trackers == trackers
    assert metainfo.warnings == ()


@pytest.mark.parametrize(
    ("value", "web_seeds"),
    [
        ("http://w/", ("http://w/",)),
        (["http://w/"], ("http://w/",)),
        ("", ()),
        ([], ()),
        (["http://w/"] * 2, ("http://w/",)),
    ],
)
def test_web_seeds(value: Any, web_seeds: tuple[str, ...]) -> None:
    metainfo = read(**{"url-list": value})
    assert metainfo.web_seeds == web_seeds
    assert metainfo.warnings == ()


@pytest.mark.parametrize(
    ("around", "warning"),
    [
        ({"announce": "nonsense"}, "trackers left out: 1 "),
        ({"announce": 5}, "trackers left out: 1 "),
        ({"announce-list": [["http://a/\r\nx", b"\xff", 5, []]]}, "trackers left out: 4 "),
        ({"url-list": 5}, "web seeds left out: 1 "),
        ({"url-list": [{}, "w.example"]}, "web seeds left out: 2 "),
        (
            {"nodes": [["h", 0], ["h"], "h", [5, 5], ["h", 65536], ["", 5], ["a\n", 5], [b"\xff", 5]]},
            "DHT nodes left out: 8 ",
        ),
        ({"comment": 5}, "'comment' left out"),
        ({"created_by": []}, "'created by' left out"),
        ({"creation_date": "today"}, "'creation date' left out"),
        ({"creation_date": -1}, "'creation date' left out"),
        ({"creation_date": 253402300800}, "'creation date' left out"),
        ({"creation_date": 10**15}, "'creation date' left out"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_warning(around: dict[str, Any], warning: str) -> None:
    metainfo = read(**around)
    assert (metainfo.trackers, metainfo.web_seeds, metainfo.nodes) == ((), (), ())
    assert (metainfo.comment, metainfo.created_by, metainfo.creation_date) == ("", "", None)
    assert len(metainfo.warnings) == 1
    assert warning in metainfo.warnings[0]


def test_too_many_of_everything() -> None:
    metainfo = read(
        **{"announce-list": [[f"http://t/{number}"] for number in range(10_000)]},
        **{"url-list": [f"http://w/{number}" for number in range(10_000)]},
        nodes=[["h", 1]] * 10_000,
    )
    assert len(metainfo.trackers) == limits.MAX_TRACKERS
    assert len(metainfo.web_seeds) == limits.MAX_WEB_SEEDS
    assert len(metainfo.nodes) == limits.MAX_NODES
    assert [warning.split(" (")[0] for warning in metainfo.warnings] == [
        "trackers left out: 9800",
        "web seeds left out: 9900",
        "DHT nodes left out: 9900",
    ]


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    data = torrent(info())
    monkeypatch.setattr(limits, "MAX_TORRENT_FILE", len(data))
    assert Metainfo.from_bytes(data)
    with pytest.raises(MetainfoError, match="larger than"):
        Metainfo.from_bytes(data + b"x")


def test_a_web_page_instead_of_a_torrent() -> None:
    with pytest.raises(MetainfoError) as raised:
        Metainfo.from_bytes(b"\n<html>")
    assert "web page" in raised.value.hint


def test_the_magnet() -> None:
    metainfo = Metainfo.from_bytes(bencode.encode(FULL))
    magnet = Magnet.parse(metainfo.magnet)
    assert magnet == Magnet(
        hashes=metainfo.info.hashes,
        name="file",
        trackers=("http://a.example/announce", "udp://b.example:80", "http://c.example/announce"),
        web_seeds=metainfo.web_seeds,
    )
    peers = (("192.0.2.1", 6881), ("2001:db8::1", 6882))
    assert Magnet.parse(metainfo.to_magnet(peers)) == magnet._replace(peers=peers)


def test_the_magnet_of_a_hybrid_names_both_hashes() -> None:
    metainfo = Metainfo.from_bytes(hybrid({"file": leaf()}))
    assert metainfo.info.hashes.v2 is not None
    link = Magnet.parse(metainfo.magnet)
    assert link.hashes == metainfo.hashes == metainfo.info.hashes
    assert link.info_hash == metainfo.info_hash


def test_equality_looks_at_what_is_said() -> None:
    metainfo = read(comment="x")
    assert metainfo == read(comment="x")
    assert metainfo == dataclasses.replace(metainfo, origin=Origin("/x", (None,)), warnings=("w",))
    assert metainfo != read(comment="y")
    assert metainfo != dataclasses.replace(metainfo, trackers=(("http://t/",),))


CANONICAL = [
    torrent(info()),
    bencode.encode(FULL),
    folder(entry("a", length=1), entry("b", "c", length=39_000), entry("p", length=999, attr="p")),
    hybrid({"file": leaf()}),
]


@settings(max_examples=200)
@given(st.sampled_from(CANONICAL), st.data())
def test_libtorrent_sees_the_same_torrent_in_damaged_bytes(data: bytes, draw: st.DataObject) -> None:
    libtorrent = pytest.importorskip("libtorrent")
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw.draw(st.sampled_from(b"deil:-0123459apx\xff"))]) + data[at + 1 :]
    try:
        metainfo = Metainfo.from_bytes(data)
    except MetainfoError:
        return
    try:
        oracle = libtorrent.load_torrent_buffer(data).ti
    except RuntimeError:
        return  # stricter than we are: with names, mostly
    assert oracle.info_hashes().v1.to_bytes() == metainfo.info.hashes.v1
    assert oracle.total_size() == metainfo.info.layout.total
    assert oracle.num_pieces() == metainfo.info.layout.piece_count
    assert oracle.priv() == metainfo.private
    assert Metainfo.from_bytes(metainfo.encode()) == metainfo
