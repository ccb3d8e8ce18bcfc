"""What the person at the keyboard has chosen to see, and what a key makes of it. Pure."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final


class Page(enum.Enum):
    """What the lower part shows."""

    OVERVIEW = "overview"
    FILES = "files"
    TRACKERS = "trackers"
    LOG = "log"
    LINK = "link"
    HELP = "help"


class Sort(enum.Enum):
    """By what peers are sorted; the values are the words that people see."""

    DOWN = "↓"
    UP = "↑"
    HAVE = "have"
    ADDRESS = "address"
    CLIENT = "client"


_PAGES: Final = {"f": Page.FILES, "t": Page.TRACKERS, "l": Page.LOG, "m": Page.LINK, "?": Page.HELP, "h": Page.HELP}
_SORTS: Final = tuple(Sort)
_BACK: Final = ("escape", "enter", "o")


@dataclasses.dataclass(frozen=True, slots=True)
class Choices:
    """Frozen, since it is drawn in another thread.

    Attributes:
        torrent: the index of the chosen job.
        scrolled: rows by which the list of this page is scrolled (the log: back from its end).
    """

    page: Page = Page.OVERVIEW
    torrent: int = 0
    scrolled: int = 0
    sort: Sort = Sort.DOWN


def press(key: str, chosen: Choices, *, torrents: int, rows: int, room: int) -> Choices:
    """What is chosen after this key; one that means nothing changes nothing.

    Args:
        key: as ``keys.decode`` names it.
        chosen: what was chosen before.
        torrents: how many there are.
        rows: of the list on this page; ``room`` of them are seen at once.
    """
    if key in _PAGES:
        page = Page.OVERVIEW if chosen.page is _PAGES[key] else _PAGES[key]
        return dataclasses.replace(chosen, page=page, scrolled=0)
    if key in _BACK:
        return dataclasses.replace(chosen, page=Page.OVERVIEW, scrolled=0)
    if key == "s":
        after = _SORTS[(_SORTS.index(chosen.sort) + 1) % len(_SORTS)]
        return dataclasses.replace(chosen, sort=after, page=Page.OVERVIEW, scrolled=0)
    if key in ("left", "right", "tab"):
        step = -1 if key == "left" else 1
        return dataclasses.replace(chosen, torrent=(chosen.torrent + step) % max(1, torrents), scrolled=0)
    steps = {"up": -1, "down": 1, "page up": -room, "page down": room, "home": -rows, "end": rows}
    if key not in steps:
        return chosen
    step = steps[key] if chosen.page is not Page.LOG else -steps[key]
    most = max(0, rows - room)
    return dataclasses.replace(chosen, scrolled=max(0, min(min(chosen.scrolled, most) + step, most)))
