"""Letting a link that stays lead to a torrent (BEP 46)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from ..dht.item import Item, torrent_value
from ..dht.signing import SigningKey
from ..errors import DhtError, TorrentRemovedError
from ..limits import DHT_ITEM_AGAIN, DHT_ITEM_RETRY
from ..metainfo.mutable import MutableLink
from .crew import Crew

if TYPE_CHECKING:
    from ..metainfo.info import Info
    from .dht import Dht

log = logging.getLogger("torrentlite.dht")


def why_not(info: Info) -> str:
    """Why no link that stays can lead to this; empty where one can."""
    if info.private:
        return "it is private, and the DHT is not told of it (BEP 27)"
    if info.hashes.only_v2:
        return "it is of version 2 alone, and such a link names the v1 hash (BEP 46)"
    return ""


class Publication:
    """What the owner of a key says that a link leads to, kept alive in the DHT. See ``Torrent.publish``.

    Attributes:
        link: the link.
    """

    def __init__(self, info: Info, key: bytes, salt: bytes, dht: Dht | None, wall: Callable[[], float]) -> None:
        if why := why_not(info):
            raise DhtError(why)
        if dht is None:
            raise DhtError("the DHT is switched off")
        self._dht: Final = dht
        self._signer: Final = SigningKey(key)
        self._value: Final = torrent_value(info.hashes.wire)
        self._wall: Final = wall
        self._scope: trio.CancelScope | None = None
        self._told: Final = trio.Event()
        self._item: Item | None = None
        self._error: DhtError | None = None
        self.link: Final = MutableLink(self._signer.public, salt)

    async def put(self, crew: Crew) -> None:
        """Tell nodes, and have the crew tell them again; cancelled before they were told, it does not."""
        self._scope = crew.start(self._run, name="keep a link in the DHT")
        if self._scope is not None:
            try:
                await self._told.wait()  # the crew may be dismissed meanwhile, and the node gone
            except trio.Cancelled:
                self.end()
                raise
        if self._error is not None:
            raise self._error
        if self._item is None:
            raise TorrentRemovedError("the torrent was removed") if crew.closed else DhtError("nodes were not told")

    def end(self) -> None:
        """Tell them no more."""
        if self._scope is not None:
            self._scope.cancel()

    async def _run(self) -> None:
        try:
            self._item = await self._dht.node.put_mutable(
                self._value, self._signer, salt=self.link.salt, sequence=int(self._wall())
            )
        except DhtError as error:
            self._error = error
            return
        finally:
            self._told.set()
        await self._keep(self._item)

    async def _keep(self, item: Item) -> None:
        """Until the owner has let the link lead elsewhere: then that is for others to do."""
        pause = DHT_ITEM_AGAIN
        while True:
            await trio.sleep(pause * self._dht.jitter())
            try:
                stored = await self._dht.node.keep_mutable(item, self._signer)
            except DhtError as error:
                log.info("%s could not be kept in the DHT: %s", self.link, error)
                pause = DHT_ITEM_RETRY
                continue
            if stored.encoded != item.encoded:
                log.warning("%s leads to another torrent now", self.link)
                return
            item, pause = stored, DHT_ITEM_AGAIN
