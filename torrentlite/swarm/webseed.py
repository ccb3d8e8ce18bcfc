"""One web seed of a torrent (BEP 19): how it behaves, and when it is asked again. Has no task of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import limits
from ..errors import ForbiddenAddressError, NetworkError, SourceError
from ..metainfo.info import Info
from ..metainfo.layout import Block
from ..metainfo.text import display
from ..metainfo.weburls import file_url
from ..net.partial import RefusedError
from ..net.url import HTTP, Url, parse_url
from ..stats import WebSeedStats
from ..strategy.peerlist import RETRY_ANEW
from ..strategy.rate import RateMeter
from ..wire import bitfield
from ..wire.address import Scope

if TYPE_CHECKING:
    from ..net.ranged import Place  # h11 comes with the first ``WebFetch``
    from .webfetch import WebFetch


def shown_url(url: str) -> str:
    """The URL without what may be somebody's key: credentials and the values of its query."""
    try:
        parsed = parse_url(url)
    except SourceError:
        return display(url.partition("?")[0].rpartition("@")[2])
    origin = parsed.origin.removesuffix(f":{HTTP[parsed.scheme]}")
    return display(origin + parsed.path + ("?…" if parsed.query else ""))


class WebSeed:
    """A URL under which a server has the files of a torrent: a source of pieces like a peer that never chokes.

    Args:
        url: of the file, or of the folder in which the torrent's lies.
        key: what it is blamed by, and named in messages.
        within: the narrowest scope that its address may have.

    Attributes:
        fetches: its connections, in the order they were begun.
        joined: it takes part in the choice of pieces.
        proven: it has sent a block since it last failed.
        ranges: it has not answered a range with the whole file.
        most: connections to it that there may be.
        grow_at: when that may be one more, after the server refused one.
        dropped: why it is never asked again, or empty.
        moved: where its redirects led.
    """

    def __init__(self, url: str, key: str, within: Scope, *, connections: int) -> None:
        self.url = url
        self.key = key
        self.within = within
        self.fetches: list[WebFetch] = []
        self.joined = False
        self.proven = False
        self.ranges = True
        self.most = connections
        self.grow_at = 0.0
        self.dropped = ""
        self.message = ""
        self._note = ""
        self.failures = 0
        self.retry_at = 0.0
        self._earliest = 0.0  # whatever a person wishes
        self.moved: dict[str, Place] = {}
        self.meter = RateMeter()
        self._connections = connections
        self._missing: dict[int, float] = {}  # files that it does not have, and when to ask again
        try:
            parse_url(url)
        except SourceError as error:
            self.dropped = self.message = str(error)

    def __repr__(self) -> str:
        return f"<WebSeed {self.key} {len(self.fetches)} connections>"

    # -- what a source of blocks is asked ----------------------------------------------------------------------------

    def cancel(self, block: Block) -> None:
        """Somebody else was faster, or it is not wanted any more."""
        for fetch in self.fetches:
            fetch.cancel(block)

    def is_slow(self, now: float, fastest: float) -> bool:
        """Whether pieces that it has a hand in would wait for it, while the fastest could have them done."""
        return 0 < self.meter.rate(now) * limits.SLOW_SHARE < fastest

    # -- what it has -------------------------------------------------------------------------------------------------

    def file_url(self, info: Info, file: int) -> Url:
        """Where it has one file.

        Raises:
            RefusedError: the file's name makes no URL that could be asked for.
        """
        url = file_url(self.url, info, file)
        try:
            if url is not None:
                return parse_url(url)
        except SourceError:
            pass
        raise RefusedError("the name of a file does not fit into a URL", lasting=True)

    def pieces(self, info: Info, now: float) -> int:
        """The pieces that it may have, as bits: all but those of files that it said it has not."""
        for file in [file for file, at in self._missing.items() if at <= now]:
            del self._missing[file]
        pieces = bitfield.full(info.layout.piece_count)
        for file in self._missing:
            touched = info.layout.pieces_of_file(file)
            if touched:
                pieces &= ~bitfield.span(touched)
        return pieces

    # -- how it went -------------------------------------------------------------------------------------------------

    def usable(self, now: float) -> bool:
        """Whether it may be asked now."""
        return not self.dropped and now >= self.retry_at

    def delivered(self, size: int, now: float) -> None:
        """A block came that was of use."""
        self.meter.add(size, now)
        if not self.proven:
            self.proven = True
            self.failures = 0
            self.message = ""

    def failed(self, error: NetworkError, now: float) -> None:
        """It is left alone for a while, longer each time, or as long as it asks for."""
        self.proven = False
        self.message = str(error)
        self.retry_at = now + self._wait(error)
        asked = error.retry_after if isinstance(error, RefusedError) else None
        self._earliest = now + max(asked or 0.0, RETRY_ANEW)
        self.failures += 1

    def try_again(self, now: float) -> None:
        """It may work again: it is asked, but not within a minute of its failure, nor before the time that it named."""
        self.retry_at = min(self.retry_at, max(now, self._earliest))

    def file_failed(self, info: Info, file: int, error: RefusedError, now: float) -> bool:
        """One file of several is not to be had there; False where that is nothing new, or it has none of them."""
        missing = len(self._missing) + 1
        none = missing >= len(info.wanted_files) or (not self.proven and missing > limits.WEB_SEED_FILES)
        if not info.multi or file in self._missing or none:
            return False
        path = "/".join(info.files[file].path[1:])
        self.message = f"{display(path)}: {error}"
        self._missing[file] = now + self._wait(error)
        return True

    def _wait(self, error: NetworkError) -> float:
        lasting, asked = isinstance(error, ForbiddenAddressError), 0.0
        if isinstance(error, RefusedError):
            lasting, asked = error.lasting, error.retry_after or 0.0
        step = self.failures + (limits.WEB_SEED_LASTING if lasting else 0)
        return max(asked, limits.WEB_SEED_RETRY[min(step, len(limits.WEB_SEED_RETRY) - 1)])

    def without_ranges(self) -> None:
        """It answered a range with the whole file: from now on it is read from the start, by one connection."""
        self.ranges = False
        self.most = 1
        self._note = "it sends no parts of files, so it is read from the start"

    def shrink(self, error: NetworkError, now: float) -> None:
        """It refused one connection while it serves others: that is how many it gives us."""
        self.most = max(1, len(self.fetches))
        self.grow_at = now + limits.WEB_SEED_GROW
        connections = f"{self.most} connections" if self.most > 1 else "one connection"
        self._note = f"{connections} at a time: {error}"

    def grow(self, now: float) -> None:
        """Try one connection more, now and then."""
        if self.ranges and self.most < self._connections and now >= self.grow_at:
            self.most += 1
            self.grow_at = now + limits.WEB_SEED_GROW

    def drop(self, reason: str) -> None:
        """Never ask it again."""
        self.dropped = self.message = reason

    # -- a look ------------------------------------------------------------------------------------------------------

    def stats(self, now: float) -> WebSeedStats:
        """A snapshot."""
        failed = not self.dropped and now < self.retry_at
        return WebSeedStats(
            url=self.key,
            state="dropped" if self.dropped else "failed" if failed else self._doing(),
            message=self.message or self._note,
            down_rate=self.meter.rate(now),
            downloaded=self.meter.total,
            connections=len(self.fetches),
            failures=self.failures,
            retry_in=self.retry_at - now if failed else -1,
            ranges=self.ranges,
        )

    def _doing(self) -> str:
        busy = [fetch for fetch in self.fetches if not fetch.resting]
        if busy:
            return "downloading" if self.proven else "asking"
        return "idle" if self.fetches else "waiting"


def key_for(url: str, taken: Iterable[str]) -> str:
    """What to call a web seed: as it may be shown, and unlike the others."""
    shown, others = shown_url(url), set(taken)
    key, number = shown, 1
    while key in others:
        number += 1
        key = f"{shown} ({number})"
    return key
