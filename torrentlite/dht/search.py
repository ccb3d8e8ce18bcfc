"""One errand in the DHT: find the nodes nearest to a target, hear what they have, store something with them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from .. import limits
from ..wire.address import Address
from .contact import Contact
from .krpc import Refusal, Reply, bytes_of
from .lookup import Candidate, Lookup
from .rpc import Done

Found: TypeAlias = Callable[[Reply, Contact], object]
"""Is told each reply, and whose it is."""
Store: TypeAlias = Callable[[Candidate], "tuple[bytes, Mapping[bytes, object]] | None"]
"""Says what to store with a node: a method and its arguments, token included. None: nothing."""


class Asker(Protocol):
    """What a search needs of its node; ``core.Core`` is one."""

    def ask(
        self,
        to: Address,
        method: bytes,
        arguments: Mapping[bytes, object],
        now: float,
        done: Done,
        *,
        expected: bytes | None = None,
        slow: Callable[[float], object] | None = None,
    ) -> bool:
        """Send a query."""

    def may_send(self, to: Address) -> bool:
        """Whether this address is ever asked."""

    def contacts(self, reply: Reply, sender: Address, *, ipv6: bool) -> list[Contact]:
        """The nodes that a reply names."""

    def wait(self, search: Search, until: float | None) -> None:
        """Call ``advance`` then; None: as soon as a query may be sent."""

    def ended(self, search: Search) -> None:
        """A search has ended."""


class Search:
    """A lookup that runs by itself once ``advance`` was called, and what comes after it.

    Args:
        asker: the node.
        target: 20 bytes.
        method: what the nodes are asked.
        arguments: besides our id and the target (which is among them, under whatever name the method has for it).
        seeds: nodes to begin with.
        now: the time.
        ipv6: in which DHT.
        found: is told each reply.
        store: what to store with the nearest nodes in the end.
        end: is told when all is over.

    Attributes:
        lookup: who was asked, and what came of it.
        stored: nodes that have confirmed what was stored with them.
        refusals: errors that came instead.
        over: whether it has ended.
    """

    def __init__(
        self,
        asker: Asker,
        target: bytes,
        method: bytes,
        arguments: Mapping[bytes, object],
        *,
        seeds: Iterable[Contact],
        now: float,
        ipv6: bool = False,
        found: Found | None = None,
        store: Store | None = None,
        end: Callable[[Search], object] | None = None,
    ) -> None:
        self.lookup = Lookup(target, seeds, now)
        self.ipv6 = ipv6
        self.stored: list[Contact] = []
        self.refusals: list[Refusal] = []
        self.over = False
        self._asker = asker
        self._method = method
        self._arguments = arguments
        self._found = found
        self._store = store
        self._end = end
        self._to_store: list[Candidate] | None = None
        self._storing = 0

    def __repr__(self) -> str:
        return f"<Search {self._method.decode()} {self.lookup!r}>"

    def advance(self, now: float) -> None:
        """Do what can be done now."""
        if self.over:
            return
        if not self.lookup.done:
            self._look(now)
        if self.lookup.done and not self.over:
            self._put(now)

    def stop(self) -> None:
        """End it without storing anything; ``end`` is told."""
        self.lookup.stop()
        self._finish()

    def _look(self, now: float) -> None:
        chosen = self.lookup.next(now)
        while chosen:
            for place, candidate in enumerate(chosen):
                if not self._asker.may_send(candidate.contact.address):
                    self.lookup.failed(candidate)
                elif not self._ask(candidate, now):
                    for other in chosen[place:]:
                        self.lookup.put_back(other)
                    self._asker.wait(self, None)
                    return
            chosen = self.lookup.next(now)
        if not self.lookup.done and self.lookup.patient:
            self._asker.wait(self, self.lookup.wake())

    def _ask(self, candidate: Candidate, now: float) -> bool:
        def done(reply: Reply | Refusal | None, now: float) -> None:
            if isinstance(reply, Reply):
                if self.over:
                    return
                named = self._asker.contacts(reply, candidate.contact.address, ipv6=self.ipv6)
                token = bytes_of(reply.values, b"token")
                if token is not None and len(token) > limits.DHT_MAX_TOKEN:
                    token = None
                self.lookup.answered(candidate, named, token)
                if self._found is not None:
                    self._found(reply, candidate.contact)
            else:
                self.lookup.failed(candidate)
            self.advance(now)

        def slow(now: float) -> None:
            self.lookup.slow(candidate)
            self.advance(now)

        contact = candidate.contact
        return self._asker.ask(
            contact.address, self._method, self._arguments, now, done, expected=contact.id, slow=slow
        )

    def _put(self, now: float) -> None:
        if self._to_store is None:
            self._to_store = self.lookup.closest() if self._store is not None else []
        while self._to_store and self._store is not None:
            candidate = self._to_store[0]
            wanted = self._store(candidate)
            if wanted is not None and not self._store_with(candidate, *wanted, now):
                self._asker.wait(self, None)
                return
            self._to_store.pop(0)
        if not self._storing:
            self._finish()

    def _store_with(self, candidate: Candidate, method: bytes, arguments: Mapping[bytes, object], now: float) -> bool:
        waiting = True

        def no_longer() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                self._storing -= 1

        def done(reply: Reply | Refusal | None, now: float) -> None:
            no_longer()
            if isinstance(reply, Reply):
                self.stored.append(candidate.contact)
            elif reply is not None:
                self.refusals.append(reply)
            self.advance(now)

        def slow(now: float) -> None:
            no_longer()
            self.advance(now)

        contact = candidate.contact
        if not self._asker.ask(contact.address, method, arguments, now, done, expected=contact.id, slow=slow):
            return False
        self._storing += 1
        return True

    def _finish(self) -> None:
        if self.over:
            return
        self.over = True
        self._asker.ended(self)
        if self._end is not None:
            self._end(self)
