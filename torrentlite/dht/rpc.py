"""Queries that wait for their replies. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, TypeAlias

from .. import limits
from ..wire.address import Address
from .krpc import Refusal, Reply

Done: TypeAlias = Callable[["Reply | Refusal | None", float], object]
"""Is told the reply, or the error, or (None) that there was none; and the time."""

_NEVER: Final = float("inf")


class Pending:
    """A query under way.

    Attributes:
        to: whom it went to; only that address may answer.
        expected: the id that we know it by, if we do.
        sent: when.
        ended: whether it was answered or given up.
    """

    __slots__ = ("done", "ended", "expected", "key", "sent", "slow", "to")

    def __init__(
        self,
        key: Hashable,
        to: Address,
        expected: bytes | None,
        sent: float,
        done: Done,
        slow: Callable[[float], object] | None,
    ) -> None:
        self.key = key
        self.to = to
        self.expected = expected
        self.sent = sent
        self.done = done
        self.slow = slow
        self.ended = False


class Transactions:
    """Gives queries their transaction ids and finds the query that a reply belongs to.

    Args:
        secret: gives so many random bytes; nobody can guess an id who does not see the query.
    """

    def __init__(self, secret: Callable[[int], bytes]) -> None:
        self._secret = secret
        self._pending: dict[Hashable, Pending] = {}
        # All wait equally long, so they become slow, and are given up, in the order in which they were sent.
        self._fresh: deque[Pending] = deque()
        self._old: deque[Pending] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    def open(
        self,
        to: Address,
        now: float,
        done: Done,
        *,
        expected: bytes | None = None,
        slow: Callable[[float], object] | None = None,
    ) -> bytes | None:
        """A transaction id for a query that is sent now; None: too many are under way."""
        if len(self._pending) >= limits.DHT_MAX_PENDING:
            return None
        transaction = self._secret(limits.DHT_TRANSACTION)
        key = _key(transaction, to)
        if key in self._pending:
            return None
        pending = self._pending[key] = Pending(key, to, expected, now, done, slow)
        self._fresh.append(pending)
        return transaction

    def close(self, transaction: bytes, sender: Address) -> Pending | None:
        """The query that this reply belongs to, which waits no longer; None where nobody asked for it."""
        pending = self._pending.pop(_key(transaction, sender), None)
        if pending is not None:
            pending.ended = True
        return pending

    def due(self, now: float) -> tuple[list[Pending], list[Pending]]:
        """Queries that have become slow, and those that are given up."""
        slow = []
        while self._fresh and (self._fresh[0].ended or self._fresh[0].sent + limits.DHT_SHORT_TIMEOUT <= now):
            pending = self._fresh.popleft()
            if not pending.ended:
                slow.append(pending)
                self._old.append(pending)
        lost = []
        while self._old and (self._old[0].ended or self._old[0].sent + limits.DHT_TIMEOUT <= now):
            pending = self._old.popleft()
            if not pending.ended:
                pending.ended = True
                del self._pending[pending.key]
                lost.append(pending)
        return slow, lost

    def next_due(self) -> float:
        """When ``due`` will have something, at the earliest."""
        while self._fresh and self._fresh[0].ended:
            self._fresh.popleft()
        while self._old and self._old[0].ended:
            self._old.popleft()
        fresh = self._fresh[0].sent + limits.DHT_SHORT_TIMEOUT if self._fresh else _NEVER
        old = self._old[0].sent + limits.DHT_TIMEOUT if self._old else _NEVER
        return min(fresh, old)


def _key(transaction: bytes, address: Address) -> Hashable:
    return transaction, address
