"""A mainline DHT node (BEP 5), usable alone.

    async with open_node() as node:
        async for peer in node.get_peers(info_hash):            # as they come, or all at once:
            print(peer)                                         # peers = await node.get_peers(info_hash)
        await node.announce_peer(info_hash, 6881)               # again every 15 minutes
        print(await node.scrape(info_hash))                     # about how many there are (BEP 33)
        item = await node.put({"any": ["value", 1]})            # for two hours (BEP 44)
        print((await node.get(item.target)).value)

It speaks BEP 5, 32 (IPv6, behind the same names), 33, 42, 43, 44 and 51. Mutable items need the extra ``crypto``:

        key = SigningKey(os.urandom(32))
        await node.put_mutable("first", key, salt=b"news")
        print((await node.get_mutable(key.public, salt=b"news")).value)

A wait lasts until the node has joined, so limit it with a cancel scope. ``nodes`` and ``routers`` of ``open_node`` say
by whom it joins; for a network of one's own give nodes, and no routers. ``Node`` is the same on somebody else's socket,
and ``core.Core`` without any socket, clock or dice. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "core": ("Core",),
    "contact": ("Contact",),
    "errand": ("Samples", "Scrape"),
    "item": ("Item", "Signer"),
    "node": ("Announced", "Node"),
    "opening": ("ROUTERS", "open_node"),
    "peersearch": ("PeerSearch",),
    "settings": ("DhtSettings",),
    "signing": ("SigningKey",),
    "stats": ("NodeStats", "SideStats"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*_MODULE_OF]


if not TYPE_CHECKING:  # to a type checker it would mean that there is every name

    def __getattr__(name: str) -> Any:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{module}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from .contact import Contact as Contact
    from .core import Core as Core
    from .errand import Samples as Samples, Scrape as Scrape
    from .item import Item as Item, Signer as Signer
    from .node import Announced as Announced, Node as Node
    from .opening import ROUTERS as ROUTERS, open_node as open_node
    from .peersearch import PeerSearch as PeerSearch
    from .settings import DhtSettings as DhtSettings
    from .signing import SigningKey as SigningKey
    from .stats import NodeStats as NodeStats, SideStats as SideStats
