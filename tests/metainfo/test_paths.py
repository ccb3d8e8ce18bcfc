from __future__ import annotations

import os
import pathlib
import re
import unicodedata

import pytest
from hypothesis import example, given, settings, strategies as st

from torrentlite import limits
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.paths import original_path, safe_name, safe_paths, system_path

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {a + b for a in ("COM", "LPT") for b in "0123456789¹²³"}
"""Names of Windows' devices, whatever follows after a full stop, a colon or a space (Windows, "Naming Files")."""


@pytest.mark.parametrize(
    "name",
    ["foo... bar", "[_]", ".hidden", "a b", " a", "-rf", "~", "*", "What?", "ab:c", "Movie: 2", "$HOME", "%2e%2e",
     "日本語", "e\u0301", "❤️", "console", "auxiliary", "com10", "nul_", "a.nul", "x.part", "Foo Inc", "😀" * 59],
)  # fmt: skip
def test_what_is_merely_unusual_stays(name: str) -> None:
    assert safe_name(name.encode()) == name


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        (b"", "_"),
        (b".", "_"),
        (b"..", "__"),
        (b"...", "___"),
        (b"/", "_"),
        (b"/etc/passwd", "_etc_passwd"),
        (b"a/../../b", "a_.._.._b"),
        (b"..\\..\\b", ".._.._b"),
        (b"C:", "C_"),
        (b"c:\\windows", "c__windows"),
        (b"\\\\host\\share", "__host_share"),
        (b"[/]", "[_]"),
        (b"a\0b", "a_b"),
        (b"a\r\nb\x1b[2J", "a__b_[2J"),
        ("a\u202egpj.exe".encode(), "a_gpj.exe"),
        ("a\u200bb\ufeff".encode(), "a_b_"),
        (b"\xff\xfe.txt", "__.txt"),
        (b"\xc0\xae\xc0\xae", "____"),  # ".." in overlong UTF-8
        (b"\xed\xa0\x80", "___"),  # half a surrogate pair
        (b"CON", "CON_"),
        (b"aux.c", "aux_.c"),
        (b"nul .txt", "nul_ .txt"),
        (b"Lpt1.tar.gz", "Lpt1_.tar.gz"),
        ("com¹".encode(), "com¹_"),
        (b"conin$", "conin$_"),
        (b"name.", "name_"),
        (b"name. . ", "name____"),
        (b"x" * 300, "x" * 239),
        (b"x" * 300 + b".mkv", "x" * 235 + ".mkv"),
        (b"x" * 300 + b".not an extension", "x" * 239),
        ("é".encode() * 200, "é" * 119),
        (b"x" * 238 + b"/.", "x" * 238 + "_"),
        (b"." * 1000, "_" * 239),
        (b"x.12aBcd90.part", "x.12aBcd90_part"),
        (b".x.12345678.PARTS", ".x.12345678_PARTS"),
        (b"x.12345678.temp", "x.12345678_temp"),
        (b"x" * 225 + b".12345678 and more.part", "x" * 225 + ".12345678_part"),
    ],
)
def test_what_is_not_safe(raw: bytes, safe: str) -> None:
    assert safe_name(raw) == safe


NAMES = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass"))
FEW = st.sampled_from(
    [
        b"a",
        b"A",
        b"b",
        b"a.00000000.part",
        b"A.00000000.PART",
        b"a (1)",
        b"a (2)",
        "é".encode(),
        "E\u0301".encode(),
        b".",
    ]
)


@given(NAMES)
@example(b"\xf3\xa0\x81\x81" * 500 + b".x")
@example(b"\0:")
def test_every_name(raw: bytes) -> None:
    name = safe_name(raw)
    assert 0 < len(name.encode()) <= limits.MAX_NAME
    assert safe_name(name.encode()) == name
    assert not set(name) & set("/\\\0\n\x1b\u202e\u200b")
    assert name[-1] not in ". "
    assert pathlib.PurePosixPath(name).name == name
    assert not re.match("[A-Za-z]:", name)
    there = name.replace(":", "_")  # on Windows; from Python 3.12 on, pathlib takes anything before a colon for a drive
    assert pathlib.PureWindowsPath(there).name == there
    assert re.split("[.: ]", name)[0].upper() not in DEVICES


@given(st.lists(st.lists(FEW | NAMES, min_size=1, max_size=4), max_size=30))
def test_every_torrent(raw: list[list[bytes]]) -> None:
    paths = safe_paths(raw)
    assert paths == safe_paths(raw)
    assert [len(path) for path in paths] == [len(components) for components in raw]

    folded = [tuple(unicodedata.normalize("NFC", name).casefold() for name in path) for path in paths]
    assert len(set(folded)) == len(paths), "two files meet"
    for path in paths:
        for name in path:
            assert safe_name(name.encode()) == name
    folders = {path[:depth] for path in folded for depth in range(1, len(path))}
    assert not folders & set(folded), "a file is also a folder"
    partial = {(*path[:-1], path[-1] + ".00000000.part") for path in folded}
    assert not partial & (set(folded) | folders), "an unfinished file meets another"
    spellings = {path[:depth] for path in paths for depth in range(1, len(path))}
    assert len(spellings) == len(folders), "two folders meet"

    by_raw: dict[tuple[bytes, ...], tuple[str, ...]] = {}
    for components, path in zip(raw, paths, strict=True):
        for depth in range(1, len(path)):
            assert by_raw.setdefault(tuple(components[:depth]), path[:depth]) == path[:depth]


@given(st.text("CONconAUaux1.-_ ()[]{}:x/", max_size=8).map(str.encode))
def test_ordinary_names_are_only_a_shorter_way(raw: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torrentlite.metainfo.paths._ORDINARY", re.compile(b"(?!)"))
        name = safe_name(raw)
    assert safe_name(raw) == name


def test_names_that_meet_are_numbered() -> None:
    raw = [b"a", b"a", b"A", b"a.txt", b"a.TXT", b"e\xcc\x81", "é".encode(), b".", b"/"]
    names = [path[1] for path in safe_paths([[b"top", name] for name in raw])]
    assert names == ["a", "a (1)", "A (2)", "a.txt", "a (3).TXT", "e\u0301", "é (4)", "_", "_ (5)"]


def test_numbers_that_are_taken_already() -> None:
    assert safe_paths([[b"a (1)"], [b"a"], [b"a"]]) == [("a (1)",), ("a",), ("a (2)",)]


def test_a_file_that_is_also_a_folder() -> None:
    assert safe_paths([[b"a"], [b"a", b"b"], [b"a", b"c"]]) == [("a",), ("a (1)", "b"), ("a (1)", "c")]
    assert safe_paths([[b"a", b"b"], [b"a"]]) == [("a", "b"), ("a (1)",)]


def test_folders_that_differ_in_case_stay_apart() -> None:
    assert safe_paths([[b"A", b"x"], [b"a", b"x"], [b"A", b"y"]]) == [("A", "x"), ("a (1)", "x"), ("A", "y")]


def test_an_unfinished_file_and_one_of_its_name() -> None:
    assert safe_paths([[b"x"], [b"x.part"]]) == [("x",), ("x.part",)]
    assert safe_paths([[b"x"], [b"x.0123abcd.part"]]) == [("x",), ("x.0123abcd_part",)]


def test_long_names_that_meet_once_they_are_cut() -> None:
    names = [path[0] for path in safe_paths([[b"x" * 300 + b"%d.mkv" % number] for number in range(3)])]
    assert names == ["x" * 235 + ".mkv", "x" * 231 + " (1).mkv", "x" * 231 + " (2).mkv"]


@pytest.mark.parametrize(
    "raw",
    [
        [[b"a"]] * 4000,
        [[b"a (%d)" % number] for number in range(2000)] + [[b"a"]] * 2000,
        [[b"a (%d)" % number] for number in range(2000, 0, -1)] + [[b"a"]] * 2000,
        [[b"x" * 240 + b"%d" % number] for number in range(4000)],
    ],
    ids=["all the same", "numbers taken", "numbers taken backwards", "cut"],
)
def test_names_that_meet_cost_linear_work(raw: list[list[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    original = unicodedata.normalize

    def counted(name: str) -> str:
        nonlocal looks
        looks += 1
        return original("NFC", name).casefold()

    monkeypatch.setattr("torrentlite.metainfo.paths._fold", counted)
    assert len(set(safe_paths(raw))) == len(raw)
    assert looks <= 3 * len(raw)


def test_depth() -> None:
    deepest = [b"d"] * limits.MAX_FILE_DEPTH + [b"file"]
    assert len(safe_paths([deepest])[0]) == limits.MAX_FILE_DEPTH + 1
    with pytest.raises(MetainfoError, match="101 folders deep"):
        safe_paths([[b"d", *deepest]])


def test_number_of_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FOLDERS", 10)
    assert len(safe_paths([[b"%d" % number, b"x"] for number in range(9)])) == 9
    with pytest.raises(MetainfoError, match="more than 10 folders"):
        safe_paths([[b"%d" % number, b"x"] for number in range(10)])


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_original_paths_stay_beneath(raw: list[bytes]) -> None:
    path = original_path(raw)
    if path is None:
        assert any(name in (b"", b".", b"..") or b"/" in name or b"\0" in name for name in raw)
    else:
        assert list(map(os.fsencode, path)) == raw
        assert os.path.normpath(os.path.join("/top", *path)) == "/".join(["/top", *path])


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_what_the_system_is_asked_for(raw: list[bytes]) -> None:
    """Their UTF-8 bytes, also where Python would write others (``tests/cli/test_locales.py`` runs it so)."""
    (path,) = safe_paths([raw])
    assert system_path(path) is path
    for encoding in ("ascii", "iso8859-1", "euc-jp"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torrentlite.metainfo.paths._ENCODING", encoding)
            there, original = system_path(path), original_path(raw)
        assert [name.encode(encoding, "surrogateescape") for name in there] == [name.encode() for name in path]
        assert original is None or [name.encode(encoding, "surrogateescape") for name in original] == raw


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"/etc", b"a\0"])
def test_no_original_path(name: bytes) -> None:
    assert original_path([b"top", name]) is None
    assert original_path([name, b"a"]) is None


@settings(max_examples=30)
@given(NAMES)
def test_the_file_system_takes_every_name(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    place = tmp_path_factory.mktemp("names")
    names = {safe_name(raw), f"{safe_name(raw)}.00000000.part", f".{safe_name(raw)}.00000000.parts"}
    for name in names:
        (place / name).write_bytes(b"")
    assert {path.name for path in place.iterdir()} == names
