"""Peers of a torrent as they are found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import trio

from ..wire.address import Address
from .errand import PeersErrand


class PeerSearch:
    """Peers of a torrent as they are found; made by ``Node.get_peers``.

    ``await`` it for the list of all, or iterate over it. It begins when it is first waited for, and goes on when nobody
    waits, until it has asked all there are (some seconds) or is stopped.

    Args:
        errand: looks for them.
        begin: begins it, as soon as the node has joined.
    """

    def __init__(self, errand: PeersErrand, begin: Callable[[PeersErrand], Awaitable[None]]) -> None:
        self._errand = errand
        self._begin = begin
        self._begun = False
        self._found: list[Address] = []
        self._given = 0
        self._news = trio.Event()
        errand.news = self._got_news

    def __repr__(self) -> str:
        return f"<PeerSearch {self._errand!r}>"

    @property
    def peers(self) -> tuple[Address, ...]:
        """Those found so far."""
        return tuple(self._errand.peers)

    @property
    def stored(self) -> int:
        """Nodes that have stored what was announced by the way."""
        return len(self._errand.stored)

    @property
    def over(self) -> bool:
        """Whether no more will come."""
        return self._errand.over

    def stop(self) -> None:
        """Look no further."""
        self._errand.stop()
        self._errand.over = True
        self._got_news()

    def __await__(self) -> Generator[Any, None, list[Address]]:
        return self._all().__await__()

    def __aiter__(self) -> PeerSearch:
        return self

    async def __anext__(self) -> Address:
        await self._ensure_begun()
        while self._given >= len(self._found):
            self._found = list(self._errand.peers)
            if self._given < len(self._found):
                break
            if self._errand.over:
                raise StopAsyncIteration
            await self._news.wait()
        self._given += 1
        return self._found[self._given - 1]

    async def _all(self) -> list[Address]:
        try:
            await self._ensure_begun()
            while not self._errand.over:
                await self._news.wait()
        finally:
            self.stop()
        return list(self._errand.peers)

    async def _ensure_begun(self) -> None:
        if self._begun:
            await trio.lowlevel.checkpoint()
            return
        self._begun = True
        try:
            await self._begin(self._errand)
        except BaseException:
            self._begun = False
            raise

    def _got_news(self) -> None:
        self._news.set()
        self._news = trio.Event()
