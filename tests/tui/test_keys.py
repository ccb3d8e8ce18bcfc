from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite.tui.choices import Choices, Page, Sort, press
from torrentlite.tui.keys import decode


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]), (b"Q?", ["q", "?"]), (b"\x1b[A\x1b[B", ["up", "down"]), (b"\x1bOC", ["right"]), (b"\x1b", ["escape"]),
        (b"\x1b[5~\x1b[6~", ["page up", "page down"]), (b"\t\r", ["tab", "enter"]), (b"jk", ["down", "up"]),
        # A key that we do not know is one key, not its letters: F5, Ctrl-Up, a mouse that moves.
        (b"\x1b[15~q", ["q"]), (b"\x1b[1;5Aq", ["q"]), (b"\x1b[<35;10;5Mq", ["q"]), ("ü日".encode(), []), (b"\x00\x7f", []),
        # Pasted text has a q somewhere.
        (b"sudo apt install quux\n", []), (b"\x1b[A" * 30, ["up"] * 30),
    ],
)  # fmt: skip
def test_keys(data: bytes, keys: list[str]) -> None:
    assert decode(data) == keys


def after(*keys: str, rows: int = 100, room: int = 10, torrents: int = 3) -> Choices:
    chosen = Choices()
    for key in keys:
        chosen = press(key, chosen, torrents=torrents, rows=rows, room=room)
    return chosen


def test_pages_come_and_go() -> None:
    assert after("f").page is Page.FILES
    assert after("f", "t").page is Page.TRACKERS
    assert after("f", "f").page is Page.OVERVIEW
    assert after("?", "escape").page is Page.OVERVIEW
    assert after("l").page is Page.LOG


def test_scrolling_ends_at_both_ends() -> None:
    assert after("up").scrolled == 0
    assert after("end").scrolled == 90
    # Not one key press is lost at the end.
    assert after("end", "down", "down", "up").scrolled == 89
    assert after("page down", "page down", "page up").scrolled == 10
    assert after("down", rows=5).scrolled == 0
    # The log is read from its end.
    assert after("l", "up", "up").scrolled == 2
    assert after("l", "home").scrolled == 90
    assert after("down", "f").scrolled == 0


def test_torrents_and_order() -> None:
    assert after("right").torrent == 1
    assert after("left").torrent == 2
    assert after("tab", "tab", "tab").torrent == 0
    assert after("s").sort is Sort.UP
    assert after(*["s"] * len(Sort)).sort is Sort.DOWN


@given(st.lists(st.binary(max_size=12), max_size=20), st.integers(0, 30), st.integers(0, 30))
def test_anything_typed(typed: list[bytes], rows: int, room: int) -> None:
    chosen = Choices()
    for data in typed:
        for key in decode(data):
            chosen = press(key, chosen, torrents=2, rows=rows, room=room)
            assert 0 <= chosen.scrolled <= max(0, rows - room)
            assert chosen.torrent in (0, 1)
