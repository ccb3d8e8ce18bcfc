"""Texts from outside that would like to rule the terminal: the Big List of Naughty Strings, and 10,000 made up.

Whatever stands in a name, a client, a tracker's message or an error: the terminal gets the very control sequences that
it would get with harmless text there, and nothing else that it obeys or that turns text around.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import random
import re
from collections.abc import Iterator

import pytest

from torrentlite import PeerBanned, PieceFailed, StateChanged, TrackerReplied, WebSeedFailed
from torrentlite.cli import exits, live, progress
from torrentlite.cli.telling import in_words
from torrentlite.errors import StorageError, TrackerError
from torrentlite.metainfo.text import display
from torrentlite.stats import (
    DhtStats,
    FileStats,
    LsdStats,
    PortMapStats,
    Reason,
    SourceStats,
    State,
    WebSeedStats,
    Why,
)
from torrentlite.tui.choices import Choices, Page
from torrentlite.tui.paint import paint
from torrentlite.tui.snapshot import Detail, Snapshot
from torrentlite.tui.views import view

from .snapshots import PEER, SESSION, TRACKER, pieces, shown

LIST = pathlib.Path(__file__).parent.parent / "data/blns.json"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
OBEYED = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f{BIDI}\ud800-\udfff]")
SEQUENCE = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")
AT_ONCE = 60
"""Strings in one screen."""
TEMPTING = (
    *"\x00\x07\x08\t\n\v\f\r\x0e\x0f\x1b\x7f\x80\x84\x85\x88\x8d\x8e\x90\x98\x9b\x9c\x9d\x9e\x9f\u2028\u2029\ufeff", *BIDI,
    "\x1b[2J", "\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1b]52;c;YQ==\x07", "\x1bP", "\x1b_", "\x1bc", "\x1b[?1049l",
    "\x1b[6n", "\x9b31m", "\x9d0;x\x9c", "[/]", "[bold]", "[link=file:///]", "{", "%s", "\ud800", "\udc9b", "e\u0301", "👩‍👩‍👧", "日本", "ﷺ", "a", "/", " ",
)  # fmt: skip


def naughty() -> list[str]:
    return list(json.loads(LIST.read_text(encoding="utf-8")))


def made_up(count: int = 10_000) -> list[str]:
    dice = random.Random(1)
    found = []
    for _ in range(count):
        parts = [
            dice.choice(TEMPTING) if dice.random() < 0.8 else chr(dice.randrange(0x300))
            for _ in range(dice.randrange(1, 9))
        ]
        found.append("".join(parts))
    return found


def screens(strings: list[str]) -> Iterator[tuple[str, bytes]]:
    """Every screen with these in every field that comes from outside."""
    text = itertools.cycle(strings).__next__
    why = Why(Reason.ERROR, text(), (("quiet", 3),))
    peers = tuple(PEER._replace(host=text(), client=text(), source=text()) for _ in range(12))
    trackers = tuple(TRACKER._replace(url=text(), message=text(), state=state) for state in ("ok", "failed") * 3)
    files = tuple(FileStats(text(), 10, 4, True) for _ in range(20))
    events = (
        StateChanged(State.METADATA, State.ERROR, text()), TrackerReplied(text(), False, text(), 0),
        TrackerReplied(text(), True, text(), 3), PieceFailed(3, (text(), text())), PeerBanned(text(), text()),
        WebSeedFailed(text(), text(), True),
    )  # fmt: skip
    log = tuple(in_words(event, {}) for event in events)
    jobs = (
        shown(why, name=text(), state=State.ERROR, error=text()),
        shown(why, name=text()),
        shown(Why(Reason.FINE, text()), name=text()),
    )
    sources = tuple(SourceStats(name, "ok", text(), 3, 4.0) for name in ("dht", "lsd", text()))
    states = ("waiting", "asking", "downloading", "idle", "failed", "dropped")
    seeds = tuple(WebSeedStats(text(), state, text(), 1.0, 1, 1, 1, 3.0, True) for state in states)
    session = SESSION._replace(
        port_map=PortMapStats("failed", text()),
        dht=DhtStats("joined", text()),
        lsd=LsdStats("none", text()),
    )
    what = Snapshot(jobs, Detail(peers, files, pieces(200), trackers, sources, seeds), session, log, "tl fetch")
    for page in (Page.OVERVIEW, Page.FILES, Page.TRACKERS, Page.LOG):
        for width, height in ((80, 24), (170, 60)):
            seen = view(what, Choices(page=page), width, height).lines
            yield f"{page} {width}", b"\n".join(paint(seen, width, colour=True).rows)
    glances = [job.glance for job in jobs]
    for number in (1, 3):
        yield "live", b"\n".join(live.paint(live.view(glances[-number:], 80, 24), colour=True).lines)
    yield "plain", "\n".join(map(progress.line, glances)).encode()
    for error in (
        StorageError(text(), path=text(), hint=text()),
        TrackerError(text()),
        OSError(5, text(), text()),
        RuntimeError(text()),
    ):
        yield "error", "\n".join(exits.explain(error)).encode()


def harmless(string: str) -> str:
    return "x" if display(string) else ""


@pytest.mark.parametrize("strings", [naughty(), made_up()], ids=["blns", "made up"])
def test_a_terminal_obeys_only_us(strings: list[str]) -> None:
    drawn = 0
    for start in range(0, len(strings), AT_ONCE):
        part = strings[start : start + AT_ONCE]
        plain = screens([harmless(string) for string in part])
        for (name, hostile), (_, tame) in zip(screens(part), plain, strict=True):
            text = hostile.decode("utf-8")
            assert SEQUENCE.findall(text) == SEQUENCE.findall(tame.decode()), name
            left = SEQUENCE.sub("", text)
            assert not OBEYED.search(left), (name, OBEYED.search(left))
            if name != "error":
                assert text.count("\n") == tame.count(b"\n"), name
            drawn += 1
    assert drawn >= len(strings) // AT_ONCE * 15


def test_they_are_really_on_the_screen() -> None:
    words = [f"{number}\x1b[2J\u202e" for number in range(AT_ONCE)]
    everything = b"\n".join(data for _, data in screens(words)).decode()
    for number in range(AT_ONCE):
        assert f"{number}\ufffd[2J\ufffd" in everything


def test_the_check_itself_notices() -> None:
    for string in ("\x9b2J", "\u202e", "\x1b]0;x\x07", "\x1b[2J"):
        assert OBEYED.search(SEQUENCE.sub("", string)) or SEQUENCE.findall(string)
