from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite.cli.live import bar, paint, view
from torrentlite.cli.progress import Glance, look
from torrentlite.stats import Reason, State, Why

from .glances import CHOKED, FINE, stats

glances = st.builds(
    Glance,
    name=st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=80),
    stage=st.sampled_from(["looking for peers", "metadata", "checking", "downloading", "seeding", "hashing"]),
    done=st.integers(0, 1 << 45),
    total=st.integers(0, 1 << 45),
    down_rate=st.floats(0, 1e12),
    up_rate=st.floats(0, 1e12),
    uploaded=st.integers(0, 1 << 50),
    peers=st.integers(0, 10_000),
    eta=st.none() | st.floats(0, 1e7),
    why=st.sampled_from([FINE, CHOKED]),
    steady=st.booleans(),
)


@given(st.lists(glances, min_size=1, max_size=30), st.integers(11, 250), st.integers(3, 60))
def test_no_line_is_too_wide_and_there_are_never_too_many(shown: list[Glance], width: int, height: int) -> None:
    lines = view(shown, width, height)
    assert all(each.cell_len < width for each in lines)
    assert 0 < len(lines) < height
    frame = paint(lines, colour=True)
    assert all(b"\n" not in each for each in frame.lines)


def test_what_a_person_sees() -> None:
    lines = [each.plain for each in view([look(stats(), FINE)], 80, 24)]
    assert lines == [
        "downloading  debian.iso                                        1.65 of 4.00 GiB",
        "41.2 % ━━━━━━━━━━━━━━╸─────────────────────  ↓ 20.5 MiB/s  38 peers  1m57s left",
    ]


def test_the_reason_has_a_line_of_its_own() -> None:
    lines = [each.plain for each in view([look(stats(), CHOKED)], 80, 24)]
    assert lines[2] == "  all 3 peers choke us"


LONG = (
    "both trackers fail, and no node of the DHT answers: no answer within 30 seconds from udp://tracker.example.org:6969",
    "No space left on device: cannot write to '/home/somebody/holidays/dunes.jpg.7d83f140.part'; waiting to try again",
)


@pytest.mark.parametrize("message", LONG)
def test_a_long_reason_has_two_lines(message: str) -> None:
    why = Why(Reason.DISK, message)
    lines = [each.plain for each in view([look(stats(), why)], 80, 24)]
    assert len(lines) == 4
    assert f"{lines[2].strip()} {lines[3].strip()}" == message
    assert all(each.startswith("  ") for each in lines[2:])
    # Where there is no room for that it is cut, and so it is after the second.
    assert [each.plain for each in view([look(stats(), why)], 80, 5)][2:] == [f"  {message}"[:78] + "…"]
    endless = view([look(stats(), why._replace(message="x" * 200 + " y" * 100))], 80, 24)
    assert [each.plain[-1] for each in endless[2:]] == ["…", "…"]
    assert len(endless) == 4


def test_what_it_does_is_said_where_nothing_moves() -> None:
    waiting = Why(Reason.FINE, "connected; waiting for it to give us a turn")
    lines = [each.plain for each in view([look(stats(down_rate=0.0, peers=1), waiting)], 80, 24)]
    assert lines[1].endswith("↓ 0 B/s  1 peer")
    assert lines[2] == "  connected; waiting for it to give us a turn"
    assert len(view([look(stats(), waiting)], 80, 24)) == 2
    # "looking for peers" is said already.
    assert len(view([look(stats(peers=0, down_rate=0.0), Why(Reason.FINE, "looking for peers"))], 80, 24)) == 2


def test_a_hint_where_there_is_room() -> None:
    glance = look(stats(uploaded=1 << 30), FINE)
    line = view([glance], 140, 24, "d: dashboard")[-1]
    assert line.plain.endswith("    d: dashboard")
    assert line.cell_len == 139
    assert "dashboard" not in view([look(stats(), FINE)], 80, 24, "d: dashboard")[-1].plain


def test_a_narrow_terminal_keeps_what_matters() -> None:
    glance = look(stats(uploaded=1 << 30), FINE)
    assert "1.00 GiB shared" in view([glance], 120, 24)[1].plain
    narrow = view([glance], 48, 24)[1].plain
    assert "shared" not in narrow
    assert "41.2 %" in narrow
    assert "1m57s left" in narrow


def test_many_torrents_take_a_line_each() -> None:
    lines = view([look(stats(name=f"t{number}"), FINE) for number in range(40)], 80, 24)
    assert len(lines) == 22
    assert lines[0].plain.startswith("41.2 % downloading t0 ")
    assert lines[-1].plain == "and 19 more"


def test_wide_characters_count_twice() -> None:
    line = view([look(stats(name="日本語" * 30), FINE)], 60, 24)[0]
    assert line.cell_len <= 59
    assert "1.65 of" in line.plain


@pytest.mark.parametrize(("share", "text"), [(0, "────"), (0.5, "━━──"), (0.4, "━╸──"), (1, "━━━━"), (7, "━━━━")])
def test_bar(share: float, text: str) -> None:
    assert bar(share, 4).plain == text


def test_markup_in_a_name_is_text() -> None:
    glance = look(stats(name="[/][bold][link=file:///etc/passwd]x"), FINE)
    frame = paint(view([glance], 80, 24), colour=True)
    assert b"[/][bold][link=file:///etc/passwd]x" in frame.lines[0]
    assert b"\x1b]8" not in frame.lines[0]


def test_without_colour_there_is_no_escape_at_all() -> None:
    lines = view([look(stats(state=State.SEEDING, uploaded=5), CHOKED, sharing=True)], 80, 24)
    assert any(b"\x1b[" in each for each in paint(lines, colour=True).lines)
    assert not any(b"\x1b" in each for each in paint(lines, colour=False).lines)


def test_a_terminal_without_unicode() -> None:
    frame = paint(view([look(stats(name="é"), FINE)], 80, 24), colour=False, encoding="ascii")
    assert all(each.isascii() for each in frame.lines)
    assert b"####" in frame.lines[1]
    assert b"v 20.5 MiB/s" in frame.lines[1]
