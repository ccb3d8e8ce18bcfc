"""``--select``: which files of a torrent are meant by ``1,3-5`` or by a glob."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import Final

from .. import Info, Magnet, Metainfo
from ..swarm.selection import Choice
from .exits import UsageError, closest
from .listing import file_names

_NUMBERS: Final = re.compile(r"\s*\d+\s*(-\s*\d*\s*)?(,\s*\d+\s*(-\s*\d*\s*)?)*")


def choose_files(wishes: Sequence[str], info: Info, flag: str = "--select ") -> list[int]:
    """The indexes of the files that any of the wishes names, in order; see ``choose``."""
    return [info.wanted_files[position] for position in choose(wishes, file_names(info), flag)]


def linked_files(found: Metainfo | Magnet, info: Info) -> list[int]:
    """The indexes of the files that a link names (``so=``); of all where none does.

    Raises:
        NoSuchFileError: none of those is there.
    """
    linked = Choice(found.select, by_hand=False).real(info) if isinstance(found, Magnet) else []
    return linked or list(info.wanted_files)


def choose(wishes: Sequence[str], names: Sequence[str], flag: str = "--select ") -> list[int]:
    """The positions of the files that any of the wishes names, in order.

    Args:
        wishes: each ``1,3-5`` (numbers as ``--list`` shows them, from 1; ``7-`` is open) or a glob. A glob may fit the
            whole path, the path inside the torrent's folder, or the file's own name; case does not matter.
        names: the paths of the files, "/" between components.
        flag: what stands before a wish in the error.

    Raises:
        UsageError: a wish names no file.
    """
    chosen: set[int] = set()
    for wish in wishes:
        found = _numbered(wish, len(names), flag) if _NUMBERS.fullmatch(wish) else _globbed(wish, names, flag)
        chosen.update(found)
    return sorted(chosen)


def _numbered(wish: str, count: int, flag: str) -> set[int]:
    found: set[int] = set()
    for part in wish.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        # Compared as text lengths first: int() of a million digits is slow, and no torrent has that many files.
        if len(first) > 9 or len(last) > 9:
            raise _no_such(wish, count, flag)
        start, end = int(first), int(last or count) if dash else int(first)
        if not 1 <= start <= end <= count:
            raise _no_such(wish, count, flag)
        found.update(range(start - 1, end))
    return found


def _no_such(wish: str, count: int, flag: str) -> UsageError:
    files = "there is 1 file" if count == 1 else f"there are {count:,} files, from 1 on"
    return UsageError(f"{flag}{wish}: {files}", hint="tl fetch SRC --list shows their numbers")


def _globbed(wish: str, names: Sequence[str], flag: str) -> set[int]:
    pattern = re.compile(fnmatch.translate(wish.lower()))
    found = set()
    for position, name in enumerate(names):
        lower = name.lower()
        if any(pattern.match(form) for form in (lower, lower.partition("/")[2], lower.rpartition("/")[2])):
            found.add(position)
    if not found:
        meant = closest(wish, [name.rpartition("/")[2] for name in names[:10_000]])
        raise UsageError(
            f"{flag}{wish}: no file fits",
            hint=f"did you mean '{meant}'?" if meant else "tl fetch SRC --list shows them",
        )
    return found
