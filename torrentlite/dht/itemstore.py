"""Items that others put with us (BEP 44). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import NamedTuple

from .. import limits
from .item import Item
from .krpc import Code


class _Stored(NamedTuple):
    item: Item
    owner: Hashable
    expires: float


class ItemStore:
    """Items of one address family: at most 700, each for two hours after its last put."""

    def __init__(self) -> None:
        self._items: dict[bytes, _Stored] = {}  # the one put last is the last
        self._per_owner: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, target: bytes, now: float) -> Item | None:
        """What is stored there."""
        stored = self._items.get(target)
        return None if stored is None or stored.expires <= now else stored.item

    def put(self, item: Item, owner: Hashable, now: float, *, cas: int | None = None) -> Code | None:
        """Store a genuine item, or say why not.

        Args:
            item: its size and signature have been checked.
            owner: whose share of the store it takes.
            now: the time.
            cas: the sequence number of what it is to replace (BEP 44, "CAS").
        """
        target = item.target
        stored = self._items.get(target)
        if stored is not None and stored.expires <= now:
            self._forget(target)
            stored = None
        if stored is not None and item.mutable:
            if cas is not None and cas != stored.item.sequence:
                return Code.CAS_MISMATCH
            same = item.encoded == stored.item.encoded
            if item.sequence < stored.item.sequence or (item.sequence == stored.item.sequence and not same):
                return Code.OLD_SEQUENCE
        if stored is None:
            if self._per_owner[owner] >= limits.DHT_MAX_ITEMS_PER_HOST:
                return Code.SERVER
            if len(self._items) >= limits.DHT_MAX_ITEMS:
                self._forget(next(iter(self._items)))
            self._per_owner[owner] += 1
        else:
            owner = stored.owner
            del self._items[target]
        self._items[target] = _Stored(item, owner, now + limits.DHT_ITEM_LIFE)
        return None

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        for target in [target for target, stored in self._items.items() if stored.expires <= now]:
            self._forget(target)

    def _forget(self, target: bytes) -> None:
        owner = self._items.pop(target).owner
        self._per_owner[owner] -= 1
        if not self._per_owner[owner]:
            del self._per_owner[owner]
