"""The URL of a file at a web seed (BEP 19), and names that may not be part of one."""

import pytest

from torrentlite import bencode
from torrentlite.metainfo.info import Info
from torrentlite.metainfo.weburls import file_url


def info(name: bytes, *paths: tuple[bytes, ...]) -> Info:
    fields = {b"name": name, b"piece length": 16384, b"pieces": bytes(20)}
    if paths:
        fields[b"files"] = [{b"path": list(path), b"length": 1} for path in paths]
    else:
        fields[b"length"] = 1
    return Info.from_bytes(bencode.encode(fields))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://mirror.com/file.exe", "http://mirror.com/file.exe"),
        ("http://mirror.com/pub/", "http://mirror.com/pub/a%20%C3%BC%23%3F%25.bin"),
        ("http://mirror.com/get?id=5", "http://mirror.com/get?id=5"),
    ],
)
def test_one_file(url, expected):
    assert file_url(url, info("a ü#?%.bin".encode()), 0) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://mirror.com/pub/", "http://mirror.com/pub/michael/sub/Readme.txt"),
        ("http://mirror.com/pub", "http://mirror.com/pub/michael/sub/Readme.txt"),
        ("http://mirror.com/pub/?key=1", "http://mirror.com/pub/michael/sub/Readme.txt?key=1"),
    ],
)
def test_several_files(url, expected):
    assert file_url(url, info(b"michael", (b"sub", b"Readme.txt")), 0) == expected


def test_names_are_those_of_the_torrent_not_those_on_the_disk():
    """``CON`` and ``a:b`` have other names on the disk; two that differ in case only, too."""
    made = info(b"x", (b"CON",), (b"a:b",), (b"same",), (b"SAME",), (b"\xff\xfe",))
    urls = [file_url("http://w/", made, index) for index in range(5)]
    assert urls == [f"http://w/x/{name}" for name in ("CON", "a%3Ab", "same", "SAME", "%FF%FE")]


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"a\\b", b"..\\..", b"a\0b", b""])
def test_names_that_lead_elsewhere(name):
    assert file_url("http://w/pub/", info(b"x", (name,), (b"fine",)), 0) is None
    if name:
        assert file_url("http://w/pub/", info(name), 0) is None
        assert file_url("http://w/pub/", info(name, (b"fine",)), 0) is None
