from __future__ import annotations

import pytest

from torrentlite import limits
from torrentlite.metainfo.urls import UrlFilter, clean_url


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        (b"http://t.example/announce", "http://t.example/announce"),
        ("udp://t.example:6969", "udp://t.example:6969"),
        (b"  https://t.example/a\n", "https://t.example/a"),
        (b"http://w.example/My File.iso", "http://w.example/My%20File.iso"),
        ("http://[2001:db8::1]:80/a?b=c#d", "http://[2001:db8::1]:80/a?b=c#d"),
        ("http://bücher.example/a".encode(), "http://bücher.example/a"),
        ("wss://t.example", "wss://t.example"),
    ],
)
def test_usable(raw: bytes | str, url: str) -> None:
    assert clean_url(raw) == url
    assert clean_url(url) == url


@pytest.mark.parametrize(
    "raw",
    [b"", b"t.example/announce", b"http://", b"://x", b"http:x", b"1http://x", "http://x/\r\nHost: y", b"http://x/\ny",
     b"http://x/\0", b"http://x/\x1b[2J", "http://x/\u202ey", b"http://x/\xff", "http://x/\ud800", "http://x/\u3000y",
     5, None, [b"http://x/"], {}, b"http://x/" + b"y" * limits.MAX_URL],
)  # fmt: skip
def test_unusable(raw: object) -> None:
    assert clean_url(raw) is None


def test_filter() -> None:
    urls = UrlFilter(3)
    assert urls.take([b"http://a/", "http://b/", b"http://a/", 5]) == ("http://a/", "http://b/")
    assert urls.take([b"http://b/", b"http://c/", b"http://d/", b"http://a/"]) == ("http://c/",)
    assert urls.left_out == 2
