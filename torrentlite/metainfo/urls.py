"""URLs of trackers and web seeds as they come out of torrents and magnet links."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .. import limits
from .text import HIDDEN

_URL: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://[^\s{HIDDEN}]+")


def clean_url(raw: object) -> str | None:
    """The URL as text, or None for what cannot be one: no scheme, too long, or a line break or the like inside.

    A bare space inside, as in the wild, is escaped. Whether its scheme is one of ours is asked where it is used.
    """
    if isinstance(raw, bytes):
        raw = raw[: limits.MAX_URL + 1].decode(errors="surrogateescape")  # not UTF-8: surrogates, which are hidden
    if not isinstance(raw, str) or len(raw) > limits.MAX_URL:
        return None
    url = raw.strip().replace(" ", "%20")
    if len(url) > limits.MAX_URL:  # counted as it is kept: an escaped space is three characters
        return None
    return url if _URL.fullmatch(url) else None


class UrlFilter:
    """Takes URLs until there are ``limit`` different ones, and counts those that cannot be used."""

    def __init__(self, limit: int) -> None:
        self.left_out = 0
        self._limit = limit
        self._taken: set[str] = set()

    def take(self, raws: Iterable[object]) -> tuple[str, ...]:
        """The usable ones among these that were not taken before."""
        taken = []
        for raw in raws:
            url = clean_url(raw)
            if url in self._taken:
                continue
            if url is None or len(self._taken) >= self._limit:
                self.left_out += 1
                continue
            self._taken.add(url)
            taken.append(url)
        return tuple(taken)
