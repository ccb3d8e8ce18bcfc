from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite import bencode, limits
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.build import automatic_piece_length, build_info, build_metainfo, check_piece_length
from torrentlite.metainfo.metainfo import Metainfo, Origin

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("total", "length"),
    [(0, 16 * KIB), (1, 16 * KIB), (31 * MIB, 16 * KIB), (32 * MIB, 32 * KIB), (700 * MIB, 512 * KIB),
     (4 * GIB, 4 * MIB), (30 * GIB, 16 * MIB), (1000 * GIB, 16 * MIB), (32 << 40, 16 * MIB),
     ((32 << 40) + 1, 32 * MIB)],
)  # fmt: skip
def test_automatic_piece_length(total: int, length: int) -> None:
    assert automatic_piece_length(total) == length


@given(st.integers(1, 1 << 48))
def test_the_rule_for_all_sizes(total: int) -> None:
    length = automatic_piece_length(total)
    count = -(-total // length)
    assert check_piece_length(length) == length
    assert count <= limits.MAX_PIECES
    assert count <= 2000 or length >= 16 * MIB
    assert count >= 1000 or length == 16 * KIB
    assert length >= automatic_piece_length(total - 1)


@pytest.mark.parametrize("length", [0, -16384, 1, 8192, 16383, 16385, 48 * KIB, limits.MAX_PIECE_LENGTH * 2])
def test_piece_lengths_that_new_torrents_do_not_get(length: int) -> None:
    with pytest.raises(MetainfoError, match=str(length)) as raised:
        check_piece_length(length)
    assert "16 KiB" in raised.value.hint


def test_one_file() -> None:
    info = build_info("file", [((), 5)], piece_length=16384, pieces=b"h" * 20)
    assert info.raw == b"d6:lengthi5e4:name4:file12:piece lengthi16384e6:pieces20:" + b"h" * 20 + b"e"


def test_a_folder() -> None:
    info = build_info(
        "top",
        [((b"a",), 5), ((b"sub", b"b"), 7)],
        piece_length=16384,
        pieces=b"h" * 20,
        private=True,
        source="SITE",
        executable=[1],
    )
    assert bencode.decode(info.raw) == {
        b"files": [{b"length": 5, b"path": [b"a"]}, {b"attr": b"x", b"length": 7, b"path": [b"sub", b"b"]}],
        b"name": b"top",
        b"piece length": 16384,
        b"pieces": b"h" * 20,
        b"private": 1,
        b"source": b"SITE",
    }
    assert (info.private, info.source, info.multi) == (True, "SITE", True)
    assert [file.executable for file in info.files] == [False, True]


def test_a_folder_of_one_file_stays_a_folder() -> None:
    info = build_info("top", [((b"a",), 5)], piece_length=16384, pieces=b"h" * 20)
    assert [file.path for file in info.files] == [("top", "a")]


def test_names_that_are_not_utf8() -> None:
    for name in (b"\xff", "\udcff"):
        info = build_info(name, [((b"\xfe",), 5)], piece_length=16384, pieces=b"h" * 20)
        assert info.files[0].raw_path == (b"\xff", b"\xfe")


@pytest.mark.parametrize(
    ("files", "words"),
    [([], "list of files is empty"), ([((b"a",), 0)], "holds no data"), ([((b"a",), 20_000)], "piece hashes are 1"),
     ([((b"d",) * 101, 5)], "101 folders deep")],
)  # fmt: skip
def test_what_nobody_could_read_is_not_made(files: list[tuple[tuple[bytes, ...], int]], words: str) -> None:
    with pytest.raises(MetainfoError, match=words):
        build_info("top", files, piece_length=16384, pieces=b"h" * 20)


def test_a_torrent_around_it() -> None:
    info = build_info("file", [((), 5)], piece_length=16384, pieces=b"h" * 20)
    origin = Origin("/data/file", (None,))
    metainfo = build_metainfo(
        info,
        trackers=["http://a/announce", ["udp://b:1", "http://a/announce"], ["http://a/announce"]],
        web_seeds=["http://w/"],
        comment="hello",
        created_by="somebody",
        creation_date=5,
        origin=origin,
    )
    assert metainfo.trackers == (("http://a/announce",), ("udp://b:1",))
    assert (metainfo.web_seeds, metainfo.comment, metainfo.creation_date) == (("http://w/",), "hello", 5)
    assert metainfo.origin is origin
    assert Metainfo.from_bytes(metainfo.encode()) == metainfo


def test_nothing_around_it() -> None:
    info = build_info("file", [((), 5)], piece_length=16384, pieces=b"h" * 20)
    assert build_metainfo(info).encode() == b"d4:info" + info.raw + b"e"


def test_a_comment_that_is_not_unicode() -> None:
    info = build_info("file", [((), 5)], piece_length=16384, pieces=b"h" * 20)
    assert b"\xef\xbf\xbd" in build_metainfo(info, comment="\udcff").encode()


def test_urls_that_are_none() -> None:
    info = build_info("file", [((), 5)], piece_length=16384, pieces=b"h" * 20)
    with pytest.raises(MetainfoError, match=r"the tracker 't\.example' is not a URL"):
        build_metainfo(info, trackers=["t.example"])
    with pytest.raises(MetainfoError, match=r"the web seed 'http://x/\\nHost: y' is not a URL"):
        build_metainfo(info, web_seeds=["http://x/\nHost: y"])
