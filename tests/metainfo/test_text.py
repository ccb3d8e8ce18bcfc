from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from torrentlite.metainfo.text import display


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("foo... bar [/] [link=file:///x]", "foo... bar [/] [link=file:///x]"),
        ("日本語 é ❤️ 🏴", "日本語 é ❤️ 🏴"),
        (b"na\xc3\xafve", "naïve"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("a\x00b\x7fc", "a\ufffdb\ufffdc"),
        ("one\ntwo\r\nthree\rfour\tfive", "one two three four five"),
        ("a\u2028b\u2029c\x85d\x0be", "a b c d e"),
        ("photo\u202egpj.exe", "photo\ufffdgpj.exe"),
        ("\u2066a\u2069\u200e\u061c", "\ufffda\ufffd\ufffd\ufffd"),
        ("a\u200bb\u200dc\ufeffd\u2060e\u00adf", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"),
        ("\u3164\u115f", "\ufffd\ufffd"),
        ("\U000e0041", "\ufffd"),
        ("\ud800 and \udcff", "\ufffd and \ufffd"),
    ],
)
def test_table(text: str | bytes, shown: str) -> None:
    assert display(text) == shown


def test_length() -> None:
    assert display("x" * 255) == "x" * 255
    assert display("x" * 256) == "x" * 254 + "…"
    assert display("abcdef", limit=6) == "abcdef"
    assert display("abcdefg", limit=6) == "abcde…"
    assert display("é".encode() * 10**6, limit=3) == "éé…"
    assert display("😀".encode() * 3, limit=3) == "😀😀😀"
    assert display("😀".encode() * 4, limit=3) == "😀😀…"


@given(st.text(st.characters()) | st.binary(), st.integers(1, 40))
def test_nothing_that_is_hidden_or_breaks_a_line_gets_through(text: str | bytes, limit: int) -> None:
    shown = display(text, limit=limit)
    assert len(shown) <= limit
    assert display(shown, limit=limit) == shown
    shown.encode()
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN",
        ), ascii(character)  # fmt: skip
