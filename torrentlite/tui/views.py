"""What one frame shows: a pure function of a snapshot, of what was chosen, and of the size of the window."""

from __future__ import annotations

import dataclasses
from typing import Final

from . import views_head as upper, views_tables as lower
from .choices import Choices, Page
from .frame import Section, framed, keys_line, left_width
from .lines import BOLD, Line, fit, seg
from .snapshot import Snapshot
from .views_help import help_section
from .views_link import link_section

_LEAST: Final = (40, 12)
"""Below this there are no sections."""
_WIDE: Final = 150
"""From here on there are two columns."""
_KEYS: Final = (
    ("q", "quit"), ("p", "pause"), ("d", "less"), ("f", "files"), ("t", "trackers"), ("l", "log"), ("m", "link"),
    ("s", "sort"), ("?", "help"),
)  # fmt: skip
_BACK: Final = ("esc", "back")
_OTHER: Final = ("← →", "torrent")


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """Lines of one window, all of its width, as many as it is high; and what can be scrolled.

    Attributes:
        rows: of the list that the arrows scroll; ``room`` of them are seen.
    """

    lines: list[Line]
    rows: int = 0
    room: int = 0


def view(snapshot: Snapshot, chosen: Choices, width: int, height: int) -> View:
    """The whole window."""
    if not snapshot.jobs or width < _LEAST[0] or height < _LEAST[1]:
        lines = upper.simple(snapshot, width, height)
        return View([*lines, *([fit([], width)] * (height - len(lines)))])
    number = min(chosen.torrent, len(snapshot.jobs) - 1)
    inner = width - 4
    keys = [
        *([_BACK] if chosen.page is not Page.OVERVIEW else []),
        *([_OTHER] if len(snapshot.jobs) > 1 else []),
        *_KEYS,
    ]
    footer = keys_line(keys, width - 6)
    if chosen.page is Page.HELP:
        return View(framed([help_section(inner, height - 2)], width, footer))
    job = snapshot.jobs[number]
    if chosen.page is Page.LINK:
        return View(framed([link_section(job, inner, height - 2)], width, footer))
    top = [Section([seg(snapshot.title, BOLD)], upper.head(job, inner), upper.totals(snapshot.jobs))]
    if len(snapshot.jobs) > 1 and height >= 18:
        top.append(upper.torrents(snapshot, number, inner, min(len(snapshot.jobs), max(3, height // 6))))
    rest = height - 1 - sum(section.height for section in top)
    if chosen.page is Page.OVERVIEW:
        map_rows = 1 if height < 30 else 2 if height < 50 else 5
        # No more than they fill; and where all is here, one row says it.
        map_rows = 1 if job.glance.steady else max(1, min(map_rows, -(-snapshot.detail.pieces.count // inner)))
        if rest >= map_rows + 6:
            top.append(upper.pieces(job, snapshot.detail, inner, map_rows))
            rest -= top[-1].height
        return _overview(top, snapshot, chosen, width, rest, footer)
    room = rest - 1
    detail, back = snapshot.detail, chosen.scrolled
    if chosen.page is Page.FILES:
        section, rows = lower.files(job, detail, back, inner, room), len(detail.files)
    elif chosen.page is Page.TRACKERS:
        section, rows = lower.sources(snapshot, detail, back, inner, room), lower.count_sources(snapshot, detail)
    else:
        section, rows = lower.log(snapshot, back, inner, room), len(snapshot.log)
    return View(framed([*top, section], width, footer), rows, room)


def _overview(top: list[Section], snapshot: Snapshot, chosen: Choices, width: int, rest: int, footer: Line) -> View:
    """Peers, files, sources and the log share what rows are left."""
    job, detail = snapshot.jobs[min(chosen.torrent, len(snapshot.jobs) - 1)], snapshot.detail
    wide = width >= _WIDE
    left = left_width(width) - 2 if wide else width - 4
    right = width - 3 - left_width(width) - 2 if wide else left
    files = len(detail.files) if len(detail.files) > 1 else 0
    sources = lower.count_sources(snapshot, detail)
    plenty = len(snapshot.log) + rest
    wishes = {"files": (files, files and 3), "sources": (sources, 2), "log": (plenty, 2)}
    if wide:
        rows = {"peers": rest - 1} | _share(rest, wishes)
    else:
        # Files come last of those that must have something: there may be no room for them.
        wishes = {"peers": (len(detail.peers) + 1, 5), "sources": wishes["sources"], "files": wishes["files"]}
        rows = _share(rest, wishes | {"log": (plenty, 2)})
    peers = lower.peers(job, detail, chosen.sort, chosen.scrolled, left, rows["peers"])
    others = []
    if rows["files"]:
        others.append(lower.files(job, detail, 0, right, rows["files"]))
    if rows["sources"]:
        others.append(lower.sources(snapshot, detail, 0, right, rows["sources"]))
    if rows["log"]:
        others.append(lower.log(snapshot, 0, right, rows["log"]))
    room = max(0, rows["peers"] - 1)
    if wide and others:
        return View(framed(top, width, footer, ([peers], others)), len(detail.peers), room)
    return View(framed([*top, peers, *others], width, footer), len(detail.peers), room)


def _share(rest: int, wishes: dict[str, tuple[int, int]]) -> dict[str, int]:
    """Rows for sections that want (at most, at least) so many, without their rules; the last takes what is left.

    The first always gets some. The least of each is given first, in their order; of what follows each takes two thirds
    at most, so a long list of peers leaves something for the files.
    """
    rows = dict.fromkeys(wishes, 0)
    first = next(iter(wishes))
    for name, (most, least) in wishes.items():
        if least and (rest > least or name == first):
            rows[name] = min(least, max(most, 1), rest - 1)
            rest -= rows[name] + 1
    for name, (most, _) in wishes.items():
        if rows[name] and rest > 0:
            more = min((rest * 2 + 2) // 3, max(0, most - rows[name]))
            rows[name] += more
            rest -= more
    given = [name for name, count in rows.items() if count] or [first]
    rows[given[-1]] += rest if rows[given[-1]] else rest - 1
    return rows
