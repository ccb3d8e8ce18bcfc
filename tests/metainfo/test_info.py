from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, strategies as st

from torrentlite import bencode, limits
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.metainfo import Info, InfoHashes

from .bad_input import entry, info


def read(*without: str, **changes: Any) -> Info:
    return Info.from_bytes(bencode.encode(info(*without, **changes)))


def read_folder(*files: dict[str, Any], **changes: Any) -> Info:
    return read("length", files=list(files), **changes)


def test_one_file() -> None:
    raw = bencode.encode(info(name="a file", pieces=b"a" * 20 + b"b" * 20 + b"c" * 20))
    read = Info.from_bytes(raw)
    assert read.raw == raw
    assert read.hashes == InfoHashes(hashlib.sha1(raw).digest())
    assert read.hashes.hex == hashlib.sha1(raw).hexdigest()
    assert (read.name, read.display_name, read.multi, read.private) == ("a file", "a file", False, False)
    assert (read.total, read.piece_length, read.layout.piece_count) == (40_000, 16384, 3)
    assert [read.piece_hash(piece) for piece in range(3)] == [b"a" * 20, b"b" * 20, b"c" * 20]
    (file,) = read.files
    assert (file.path, file.raw_path, file.length, file.offset) == (("a file",), (b"a file",), 40_000, 0)
    assert (file.pad, file.symlink, file.executable) == (False, False, False)


def test_a_folder() -> None:
    read = read_folder(
        entry("a", length=1000), entry("sub", "b", length=0), entry("sub", "c", length=39_000), name="top"
    )
    assert (read.name, read.multi, read.total) == ("top", True, 40_000)
    assert [(file.path, file.length, file.offset) for file in read.files] == [
        (("top", "a"), 1000, 0),
        (("top", "sub", "b"), 0, 1000),
        (("top", "sub", "c"), 39_000, 1000),
    ]
    assert read.files[2].raw_path == (b"top", b"sub", b"c")
    assert read.wanted_files == (0, 1, 2)


def test_pad_files() -> None:
    pads = [entry(".pad", "2768", length=2768, attr="p"), {"length": 232, "attr": "p"}]
    read = read_folder(entry("a", length=30_000), *pads, entry(".pad", "2768", length=7000), name="top")
    assert [file.pad for file in read.files] == [False, True, True, False]
    assert read.wanted_files == (0, 3)
    assert (read.total, read.layout.total) == (37_000, 40_000)
    assert [file.offset for file in read.files] == [0, 30_000, 32_768, 33_000]
    assert read.files[2].path == ("top", ".pad", "232")
    assert read.files[3].path == ("top", ".pad", "2768"), "a pad file is in nobody's way"


def test_symlinks() -> None:
    link = {"attr": "l", "path": ["d"], "symlink path": ["..", "..", "etc"]}
    lying = {"attr": "l", "path": ["d"], "length": 10**6, "symlink path": "x"}
    read = read_folder(link, lying, entry("d", "f"), name="top")
    assert [(file.symlink, file.length) for file in read.files] == [(True, 0), (True, 0), (False, 40_000)]
    assert read.wanted_files == (2,)
    assert read.files[2].path == ("top", "d", "f"), "a link is in nobody's way"


@pytest.mark.parametrize(
    ("attr", "flags"),
    [("", (False, False, False)), ("x", (False, False, True)), ("hx?", (False, False, True)),
     (5, (False, False, False)), ("px", (True, False, True))],
)  # fmt: skip
def test_attributes(attr: object, flags: tuple[bool, bool, bool]) -> None:
    file = read_folder(entry("a", attr=attr, length=1), entry("b", length=39_999)).files[0]
    assert (file.pad, file.symlink, file.executable) == flags


def test_attributes_of_one_file() -> None:
    (file,) = read(attr="xpl").files
    assert (file.pad, file.symlink, file.executable) == (False, False, True)


@pytest.mark.parametrize(("value", "private"), [(1, True), (0, False), (2, True), (-1, True), ("1", True), ([], True)])
def test_private(value: object, private: bool) -> None:
    assert read(private=value).private is private
    assert read().private is False


def test_source() -> None:
    assert read(source="SITE").source == "SITE"
    assert read(source=5).source == ""
    assert read().source == ""


def test_names_in_utf8_come_first() -> None:
    read = read_folder(
        entry(b"\xe9", **{"path.utf-8": ["é"]}), name=b"\xfc", **{"name.utf-8": "ü"},
    )  # fmt: skip
    assert read.files[0].path == ("ü", "é")
    assert read.name == "ü"


def test_hostile_names() -> None:
    read = read_folder(
        entry("..", "..", "etc", "passwd", length=10_000),
        entry("/etc/passwd", length=10_000),
        entry("A", length=10_000),
        entry("a", length=10_000),
        name="../\u202ename",
    )
    assert [file.path[1:] for file in read.files] == [
        ("__", "__", "etc", "passwd"),
        ("_etc_passwd",),
        ("A",),
        ("a (1)",),
    ]
    assert {file.path[0] for file in read.files} == {read.name} == {".._" + "_name"}
    assert read.display_name == "../\ufffdname"


@pytest.mark.parametrize(("name", "safe", "shown"), [("", "_", "_"), ("[/]", "[_]", "[/]"), ("..", "__", "..")])
def test_odd_names(name: str, safe: str, shown: str) -> None:
    assert (read(name=name).name, read(name=name).display_name) == (safe, shown)


def test_keys_out_of_order_keep_their_hash() -> None:
    raw = b"d6:pieces20:" + b"h" * 20 + b"4:name1:x12:piece lengthi16384e6:lengthi5ee"
    assert Info.from_bytes(raw).hashes.v1 == hashlib.sha1(raw).digest()


def test_two_are_equal_if_their_bytes_are() -> None:
    assert read() == read()
    assert hash(read()) == hash(read())
    assert read() != read(name="other")
    assert "hhhh" not in repr(read())


def test_numbers_at_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(piece_length=1, length=3).layout.piece_count == 3
    assert read(piece_length=limits.MAX_PIECE_LENGTH, pieces=b"h" * 20).layout.piece_count == 1
    monkeypatch.setattr(limits, "MAX_PIECES", 2)
    with pytest.raises(MetainfoError, match="3 pieces; 2 are allowed"):
        read()
    monkeypatch.setattr(limits, "MAX_FILES", 2)
    assert read_folder(entry("a"), entry("b", length=0), pieces=b"h" * 40, piece_length=20_000)
    with pytest.raises(MetainfoError, match="3 files; 2 are allowed"):
        read_folder(entry("a"), entry("b"), entry("c"))
    monkeypatch.setattr(limits, "MAX_TORRENT_FILE", 100)
    with pytest.raises(MetainfoError, match="100 are allowed"):
        Info.from_bytes(bytes(101))


def test_not_bencoded() -> None:
    with pytest.raises(MetainfoError, match="info dictionary is not bencoded: unexpected b'x' at byte 0"):
        Info.from_bytes(b"x")


ANYTHING = st.recursive(
    st.sampled_from([0, 1, 2, -1, 16384, 40_000, 1 << 62, b"", b"a", b"p", b"l", b"h" * 20, b"h" * 60, b"r" * 32]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([b"", b"a", b"length", b"path"]), inner)
    ),
    max_leaves=8,
)
KEYS = ["name", "piece length", "pieces", "length", "files", "private", "attr", "meta version", "file tree", "source"]


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4), st.sets(st.sampled_from(KEYS), max_size=2))
def test_anything_is_read_or_refused(changes: dict[str, Any], without: set[str]) -> None:
    fields = {key: value for key, value in (info() | changes).items() if key not in without}
    try:
        read = Info.from_bytes(bencode.encode(fields))
    except MetainfoError:
        return
    assert 0 < read.total <= read.layout.total
    assert read.layout.piece_count * 20 == len(read.pieces)
    assert tuple(file.offset for file in read.files) == read.layout.file_offsets
