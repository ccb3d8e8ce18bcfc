"""What a person sees, through a terminal emulator, in each state and at three sizes."""

from __future__ import annotations

import dataclasses

import pyte
import pytest
from rich.cells import cell_len

from torrentlite.cli import qr
from torrentlite.cli.screen import Screen
from torrentlite.stats import (
    DhtStats,
    FileStats,
    LsdStats,
    PieceStats,
    PortMapStats,
    Reason,
    SourceStats,
    State,
    TrackerStats,
    WebSeedStats,
    Why,
)
from torrentlite.tui.choices import Choices, Page, Sort
from torrentlite.tui.lines import width_of
from torrentlite.tui.paint import paint
from torrentlite.tui.snapshot import Shown, Snapshot
from torrentlite.tui.views import view
from torrentlite.tui.views_head import totals

from .snapshots import LOG, PEER, SESSION, STATS, TRACKER, hashing, peers, pieces, shown, snapshot

SIZES = ((80, 24), (120, 40), (200, 60))
NOBODY: dict[str, object] = {"peers": (), "pieces": PieceStats(0, 0, 0, 0, 0, ()), "files": ()}
AT_REST = {"down_rate": 0.0, "up_rate": 0.0}
FAILED = TRACKER._replace(state="failed", message="unregistered torrent", next_announce=38.0, failures=3, peers=0)
STALLS = {
    Reason.NO_SOURCES: "no tracker and no peer is known, so there is nobody to ask",
    Reason.TRACKERS_FAIL: "the tracker fails: unregistered torrent",
    Reason.NO_PEERS: "nobody who was asked knows a peer",
    Reason.UNREACHABLE: "4 peers known, none could be reached",
    Reason.NO_METADATA: "no metadata from 3 peers for 10 min",
    Reason.MISSING_PIECES: "3 peers connected, none with any of the 7 pieces needed",
    Reason.CHOKED: "waiting for a turn: choked by 2 peers that could help",
    Reason.LIMITED: "held back by its download limit",
    Reason.SLOW: "asked 1 peer, and nothing came for 90 s",
    Reason.DISK: "No space left on device: a.iso; waiting to try again",
    Reason.ERROR: "Permission denied: a.iso",
}


def show(what: Snapshot, width: int, height: int, chosen: Choices | None = None) -> pyte.Screen:
    """The window as a terminal shows it."""
    terminal = pyte.Screen(width, height)
    stream = pyte.ByteStream(terminal)
    screen = Screen(write=lambda _descriptor, data: stream.feed(data))
    screen.draw(lambda: paint(view(what, chosen or Choices(), width, height).lines, width, colour=True))
    screen._flush()
    return terminal


def text(terminal: pyte.Screen) -> str:
    return "\n".join(terminal.display)


def framed(terminal: pyte.Screen) -> None:
    """Every row has its edges where they belong, whatever is in between."""
    rows = terminal.display
    assert rows[0][0] == "╭" and rows[0][-1] == "╮"
    assert rows[-1][0] == "╰" and rows[-1][-1] == "╯"
    last = terminal.columns - 1
    for number in range(1, len(rows) - 1):
        assert terminal.buffer[number][0].data in "│├", rows[number]
        assert terminal.buffer[number][last].data in "│┤", rows[number]


STATES: dict[str, tuple[Snapshot, tuple[str, ...]]] = {
    "looking for peers": (
        snapshot(
            shown(Why(Reason.FINE, "calling 3 peers"), peers=0, done=0, left=STATS.total, **AT_REST),
            **NOBODY | {"pieces": pieces(done=0, copies=0)},
        ),
        ("looking for peers", "calling 3 peers", "0.0 %", "nobody is connected", "3 being called"),
    ),
    "metadata": (
        snapshot(
            shown(
                Why(Reason.FINE, "fetching the metadata"),
                state=State.METADATA, total=0, done=0, left=0, metadata_done=16384, metadata_total=49152, **AT_REST,
            ),
            **NOBODY | {"peers": peers(2)},
        ),
        ("metadata", "fetching the metadata", "16.0 of 48.0 KiB"),
    ),
    "checking": (
        snapshot(
            shown(
                Why(Reason.CHECKING, "checking what is on the disk"),
                state=State.CHECKING, checked=1 << 30, check_total=4 << 30, peers=0, **AT_REST,
            ),
            **NOBODY | {"pieces": PieceStats(4812, 0, 0, 0, (1 << 4812) - 1, ())},
        ),
        ("checking", "25.0 %", "1.00 of 4.00 GiB"),
    ),
    "downloading": (
        snapshot(),
        ("downloading", "41.2 %", "↓ 48.7 MiB/s", "↑ 2.10 MiB/s", "58s left", "1,983 of 4,812", "in flight",
         "Transmission", "12 seeds, 26 downloading", "198.51.100.23"),
    ),
    "seeding": (
        snapshot(
            shown(
                Why(Reason.TRACKERS_FAIL, "the tracker fails: unregistered torrent"),
                sharing=True, state=State.SEEDING, left=0, done=STATS.total, down_rate=0.0,
            ),
            pieces=pieces(done=2), trackers=(FAILED,),
        ),
        ("seeding", "100 %", "the tracker fails: unregistered torrent", "1 of 1 tracker failed", "again in 38s"),
    ),
    "error": (
        snapshot(
            shown(Why(Reason.ERROR, "Permission denied: a.iso"), state=State.ERROR, peers=0, **AT_REST), **NOBODY
        ),
        ("stopped by an error", "Permission denied: a.iso"),
    ),
    "paused": (
        snapshot(shown(Why(Reason.PAUSED, "paused"), state=State.PAUSED, peers=0, **AT_REST), peers=()),
        ("paused", "41.2 %"),
    ),
    "hashing": (
        Snapshot((hashing(),), log=LOG, title="tl seed"), ("hashing", "holiday", "tl seed", "30.0 %", "210 MiB/s")
    ),
    "three torrents": (
        snapshot(
            shown(),
            shown(name="ubuntu.iso", state=State.SEEDING, sharing=True, down_rate=0.0),
            shown(Why(Reason.CHOKED, STALLS[Reason.CHOKED]), name="arch.iso", **AT_REST),
        ),
        ("3 torrents", "▸", "ubuntu.iso", "arch.iso", "seeding", "← → torrent"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("state", STATES)
def test_states(state: str, size: tuple[int, int]) -> None:
    what, words = STATES[state]
    terminal = show(what, *size)
    framed(terminal)
    for word in words:
        assert word in text(terminal), text(terminal)
    assert "q quit" in terminal.display[-1] and "? help" in terminal.display[-1]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("reason", STALLS)
def test_why_it_stands_still(reason: Reason, size: tuple[int, int]) -> None:
    why = Why(reason, STALLS[reason], (("quiet", 34), ("known", 5)))
    terminal = show(snapshot(shown(why, **AT_REST)), *size)
    framed(terminal)
    assert STALLS[reason] in terminal.display[4]
    assert ("quiet 34, known 5" in terminal.display[4]) is (size[0] > 100)
    style = terminal.buffer[4][2]
    assert style.fg == ("red" if reason in (Reason.DISK, Reason.ERROR) else "brown")


@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pages(page: Page, size: tuple[int, int]) -> None:
    files = tuple(FileStats(f"photos/{number:03}.jpg", 5 << 20, number << 14, number != 3) for number in range(300))
    terminal = show(snapshot(files=files), *size, Choices(page=page))
    framed(terminal)
    word = {
        Page.OVERVIEW: "flags have", Page.FILES: "1–", Page.TRACKERS: "26 downloading; again in 24m",
        Page.LOG: "banned", Page.LINK: "not known yet", Page.HELP: "snubbed: sent nothing for 60 s",
    }[page]  # fmt: skip
    assert word in text(terminal)
    if page is Page.FILES:
        assert "skip" in text(terminal) and "photos/000.jpg" in text(terminal)
        assert "299 wanted" in text(terminal)


def test_every_letter_is_explained() -> None:
    page = text(show(snapshot(), 80, 24, Choices(page=Page.HELP)))
    for letter in "DdUuSI":
        assert f"{letter}    " in page
    assert "…" not in page.replace("█▓▒", "")
    for word in ("tracker", "pex", "dht", "lsd", "link", "you", "called", "queue", "have", "begun", "missing"):
        assert word in page


@pytest.mark.parametrize("width", [*range(10, 210, 19)])
@pytest.mark.parametrize("height", [1, 5, 11, 12, 15, 18, 24, 33, 70])
def test_any_size(width: int, height: int) -> None:
    for what in (STATES["three torrents"][0], STATES["metadata"][0], STATES["hashing"][0]):
        for page in Page:
            seen = view(what, Choices(page=page, torrent=1), width, height).lines
            assert len(seen) == height
            assert {width_of(line) for line in seen} == {width}


NAMES = {
    "cjk": "日本語のとても長い名前のファイル" * 4 + ".iso",
    "emoji": "🎬🎞️ film 👩‍👩‍👧 🇩🇪 ❤️ 1️⃣ " * 6,
    "combining": "Zalgơ̷̢͎ e\u0301e\u0301e\u0301 नमस्ते ﷽ " * 6,
    "rtl": "مرحبا بالعالم שלום " * 6,
    "wide edge": "x" + "語" * 200,
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_widths_stay_with_names_of_all_the_world(name: str, size: tuple[int, int]) -> None:
    from torrentlite.metainfo.text import display

    foreign = NAMES[name]
    peer = PEER._replace(client=foreign, host=foreign, source=foreign)
    tracker = TRACKER._replace(url=foreign, message=foreign, state="failed")
    files = tuple(FileStats(f"{number}{foreign}", 5, 3, True) for number in range(5))
    what = dataclasses.replace(
        snapshot(
            shown(Why(Reason.DISK, display(foreign)), name=foreign), shown(name=foreign),
            peers=(peer,) * 9, trackers=(tracker,) * 3, files=files,
        ),
        log=(display(foreign),) * 9,
    )  # fmt: skip
    for page in Page:
        framed(show(what, *size, Choices(page=page)))
    # What follows such a text stands in its column, whatever the terminal took the text for.
    terminal = show(what, *size)
    row = next(n for n, line in enumerate(terminal.display) if "flags" in line)
    column = "".join(cell.data for cell in (terminal.buffer[row][x] for x in range(size[0]))).index("flags")
    for number in range(row + 1, row + 4):
        assert terminal.buffer[number][column].data == "D"


def test_peers_are_sorted_and_scrolled() -> None:
    what = snapshot(peers=peers(40))
    first = text(show(what, 120, 40, Choices(sort=Sort.ADDRESS)))
    assert "by address" in first and "203.0.113.7:" in first
    later = text(show(what, 120, 40, Choices(sort=Sort.ADDRESS, scrolled=20)))
    assert "203.0.113.7:" not in later and "21–" in later
    fastest = show(what, 120, 40).display
    start = next(n for n, line in enumerate(fastest) if "flags" in line)
    rates = [line[start + 0 : 200] for line in fastest[start + 1 : start + 4]]
    assert all("M" in rate for rate in rates)


def test_more_trackers_than_room() -> None:
    trackers: tuple[TrackerStats, ...] = tuple(
        (FAILED if n else TRACKER)._replace(url=f"udp://t{n}.example:1") for n in range(9)
    )
    screen = text(show(snapshot(trackers=trackers), 80, 24))
    assert "more trackers" in screen and "8 of 9 trackers failed" in screen
    assert "t8.example" in text(show(snapshot(trackers=trackers), 80, 24, Choices(page=Page.TRACKERS)))


def test_web_seeds_stand_beside_the_trackers() -> None:
    seeds = (
        WebSeedStats("https://mirror.example:443/a.iso", "downloading", "", 5e6, 1 << 30, 4, 0, -1, True),
        WebSeedStats("https://gone.example:443/a.iso", "failed", "it answers 404 (Not Found)", 0, 0, 0, 2, 61.0, True),
        WebSeedStats("https://liar.example:443/a.iso", "dropped", "it sent wrong data", 0, 0, 0, 0, -1, True),
    )
    screen = text(show(snapshot(web_seeds=seeds), 160, 40, Choices(page=Page.TRACKERS)))
    assert "where peers come from, and web seeds" in screen
    assert "mirror.example:443/a.iso" in screen and "1.00 GiB" in screen
    assert "it answers 404 (Not Found), again in" in screen
    assert "dropped" in screen and "it sent wrong data" in screen


def test_an_old_line_of_the_log_is_found_again() -> None:
    what = dataclasses.replace(snapshot(), log=tuple(f"line {number}" for number in range(500)))
    assert "line 499" in text(show(what, 80, 24, Choices(page=Page.LOG)))
    back = text(show(what, 80, 24, Choices(page=Page.LOG, scrolled=400)))
    assert "line 499" not in back and "line 99" in back and "400 newer" in back


def test_no_number_is_cut_in_the_narrowest_window_that_it_is_made_for() -> None:
    screen = text(show(snapshot(shown(total=1 << 50, done=(1 << 50) - 1)), 80, 24))
    assert "99.9 %" in screen
    assert cell_len(screen.splitlines()[0]) == 80


def test_a_tiny_window_says_the_least() -> None:
    terminal = show(snapshot(), 30, 5)
    assert "downloading" in text(terminal) and "41.2 %" in text(terminal)


def test_a_job_without_details_yet() -> None:
    framed(show(Snapshot((Shown(shown().glance),)), 80, 24))


def test_the_time_left_of_all_is_that_of_those_to_whom_something_comes() -> None:
    left, stalled = shown(), shown(Why(Reason.SLOW, STALLS[Reason.SLOW]), down_rate=3.0)
    for jobs, said in (([left, stalled], True), ([stalled, stalled], False), ([stalled], False)):
        assert ("left" in "".join(segment.text for segment in totals(jobs))) is said


def test_where_peers_come_from_in_words() -> None:
    session = SESSION._replace(
        port_map=PortMapStats(
            "mapped", "TCP and UDP 51001 of the gateway 192.168.1.1 lead here", "UPnP", tcp_port=51001
        ),
        dht=DhtStats("joined", "123 IPv4 nodes", 123, read_only=True),
    )
    sources = (
        SourceStats("dht", "ok", "", 12, 240.0), SourceStats("lsd", "ok", "", 1, -1), SourceStats("pex", "off", "", 0, -1)
    )  # fmt: skip
    what = dataclasses.replace(snapshot(sources=sources), session=session)
    screen = text(show(what, 120, 40, Choices(page=Page.TRACKERS)))
    assert "port 51001 · TCP and UDP 51001 of the gateway 192.168.1.1 lead here · 14 peers in all" in screen
    assert "DHT: 123 IPv4 nodes · nobody reaches us · named 12 peers · again in 4m" in screen
    assert "local network: named 1 peer; peers of peers: not asked" in screen
    failed = session._replace(
        port_map=PortMapStats("no gateway", ""), dht=DhtStats("joining", "no node has answered yet")
    )
    sources = (SourceStats("dht", "waiting", "no node has answered yet", 0, -1), SourceStats("lsd", "ok", "", 0, -1))
    failed = failed._replace(lsd=LsdStats("none", "the network has no multicast"))
    screen = text(
        show(dataclasses.replace(snapshot(sources=sources), session=failed), 120, 40, Choices(page=Page.TRACKERS))
    )
    assert "port 51001 · no gateway · 14 peers" in screen
    assert "DHT: no node has answered yet  " in screen
    assert "local network: the network has no multicast" in screen


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_link_is_there_whole_and_as_a_code(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    link = f"magnet:?xt=urn:btih:{'ab' * 20}&dn=film.bin&tr={'udp%3A%2F%2Ftracker.example%3A6969&tr=' * 9}x"
    job = dataclasses.replace(shown(), link=link)
    terminal = show(snapshot(job), *size, Choices(page=Page.LINK))
    framed(terminal)
    rows = [line[1:-1] for line in terminal.display[1:-1]]
    code = len(set("".join(rows)) & set("▀▄█"))
    left = max((max(map(row.rfind, "▀▄█")) for row in rows), default=-1) + 1
    words = "".join(row[left:].strip() for row in rows)
    assert f"tl fetch '{link}'" in words
    assert code == 3
    monkeypatch.setattr("torrentlite.cli.qr.installed", lambda: False)
    qr.fitting.cache_clear()
    plain = text(show(snapshot(job), *size, Choices(page=Page.LINK)))
    assert "pip install 'torrentlite[qr]'" in plain and "▄" not in plain
    qr.fitting.cache_clear()
