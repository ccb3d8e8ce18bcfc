"""Finding the nodes nearest to a target (BEP 5), among nodes that may lie. Pure.

It goes several ways at once that share no node (S/Kademlia's disjoint paths): whoever is met on one of them decides
what that one hears of, and the others go on. Further:

- what one node names is doubted once several of it do not answer, and asked only if too little else is there;
- of one public /24 (/64) only one node counts;
- it ends when the eight nearest *secure* nodes have answered, those whose id fits their address (BEP 42). Ids next to a
  target cost nothing otherwise. Where few are secure, two dozen of any kind do.
"""

from __future__ import annotations

import bisect
import enum
import heapq
from collections.abc import Hashable, Iterable

from .. import limits
from .contact import Contact, subnet
from .nodeid import is_secure, number


class State(enum.Enum):
    """How far we are with a node."""

    KNOWN = "known"
    ASKED = "asked"
    SLOW = "slow"
    ANSWERED = "answered"
    FAILED = "failed"


class Candidate:
    """A node that was named to us.

    Attributes:
        contact: its id and address.
        distance: to the target.
        secure: whether its id fits its address.
        state: how far we are with it.
        token: what it gave us for storing something with it.
    """

    __slots__ = ("contact", "distance", "path", "secure", "sources", "state", "subnet", "token")

    def __init__(self, contact: Contact, target: int) -> None:
        self.contact = contact
        self.distance = number(contact.id) ^ target
        self.secure = is_secure(contact.id, contact.address.host)
        self.subnet: Hashable = subnet(contact.address)
        self.state = State.KNOWN
        self.token: bytes | None = None
        self.sources: list[_Source] = []
        self.path: _Path | None = None

    def __lt__(self, other: Candidate) -> bool:
        return self.distance < other.distance

    def __repr__(self) -> str:
        return f"<Candidate {self.contact.id.hex()} {self.contact.address} {self.state.value}>"

    @property
    def doubtful(self) -> bool:
        """Whether everybody who named it has named too many that do not answer."""
        return bool(self.sources) and all(source.doubtful for source in self.sources)


class _Source:
    """A node that named others, and what became of them."""

    __slots__ = ("failed", "right")

    def __init__(self) -> None:
        self.failed = 0
        self.right = 0

    @property
    def doubtful(self) -> bool:
        return self.failed >= limits.DHT_DOUBT + 2 * self.right


class _Path:
    """One of the ways."""

    __slots__ = ("asked", "known", "put_off")

    def __init__(self) -> None:
        self.known: list[Candidate] = []
        self.put_off: list[Candidate] = []
        self.asked = 0  # under way, and not slow


class Lookup:
    """One search. The owner asks whom ``next`` names and tells what came of it.

    Args:
        target: 20 bytes.
        seeds: nodes to begin with, nearest first.
        now: the time.

    Attributes:
        target: see above.
        queries: sent so far.
        done: whether it has ended.
    """

    def __init__(self, target: bytes, seeds: Iterable[Contact], now: float) -> None:
        self.target = target
        self.queries = 0
        self.done = False
        self._number = number(target)
        self._paths = [_Path() for _ in range(limits.DHT_PATHS)]
        self._candidates: dict[Contact, Candidate] = {}
        self._answered: list[Candidate] = []  # nearest first
        self._subnets: set[Hashable] = set()  # of those; only ever looked into
        self._bound: int | None = None  # nobody farther away is of any use
        self._insecure = 0
        self._slow = 0
        self._repeated = False
        self._last = now
        self.add(seeds)

    def __repr__(self) -> str:
        return f"<Lookup {self.target.hex()}: {len(self._answered)} answered of {self.queries} asked>"

    def next(self, now: float) -> list[Candidate]:
        """Whom to ask now; hardly anybody is named twice. Sees to it that ``done`` is right."""
        chosen: list[Candidate] = []
        if self.done:
            return chosen
        progress = True
        while progress:
            progress = False
            for path in self._paths:
                if path.asked < limits.DHT_PARALLEL and self.queries < limits.DHT_MAX_QUERIES:
                    candidate = self._pick(path)
                    if candidate is not None:
                        candidate.state = State.ASKED
                        candidate.path = path
                        path.asked += 1
                        self.queries += 1
                        self._insecure += not candidate.secure
                        chosen.append(candidate)
                        progress = True
        if not chosen and not any(path.asked for path in self._paths) and self.patient and not self._repeated:
            chosen = self._repeat()
        if chosen:
            self._last = now
        elif not any(path.asked for path in self._paths):
            self.done = not self.patient or now >= self.wake()
        return chosen

    def add(self, contacts: Iterable[Contact]) -> None:
        """More nodes to begin with."""
        for turn, contact in enumerate(contacts):
            self._add(contact, self._paths[turn % len(self._paths)], None)

    @property
    def answers(self) -> int:
        """How many nodes have answered."""
        return len(self._answered)

    @property
    def patient(self) -> bool:
        """Whether slow nodes are waited for, as too few have answered."""
        return self._slow > 0 and self._bound is None

    def wake(self) -> float:
        """Until when they are."""
        return self._last + limits.DHT_PATIENCE

    def put_back(self, candidate: Candidate) -> None:
        """It could not be asked now."""
        assert candidate.path is not None
        candidate.state = State.KNOWN
        candidate.path.asked -= 1
        self.queries -= 1
        self._insecure -= not candidate.secure
        heapq.heappush(candidate.path.known, candidate)

    def answered(self, candidate: Candidate, named: Iterable[Contact], token: bytes | None) -> None:
        """It answered, and named these."""
        if candidate.state not in (State.ASKED, State.SLOW):
            return
        self._leave(candidate)
        candidate.state = State.ANSWERED
        candidate.token = token
        for source in candidate.sources:
            source.right += 1
        bisect.insort(self._answered, candidate)
        self._subnets.add(candidate.subnet)
        self._bound = self._find_bound()
        if candidate.path is not None:
            source = _Source()
            for contact in named:
                self._add(contact, candidate.path, source)

    def slow(self, candidate: Candidate) -> None:
        """It has not answered yet; others are asked meanwhile."""
        if candidate.state is State.ASKED:
            self._leave(candidate)
            candidate.state = State.SLOW
            self._slow += 1
            for source in candidate.sources:
                source.failed += 1

    def failed(self, candidate: Candidate) -> None:
        """It did not answer, or with an error."""
        if candidate.state is State.ASKED:
            for source in candidate.sources:
                source.failed += 1
        if candidate.state in (State.ASKED, State.SLOW):
            self._leave(candidate)
            candidate.state = State.FAILED

    def stop(self) -> None:
        """End it now."""
        self.done = True

    def closest(self, count: int = limits.DHT_K) -> list[Candidate]:
        """The nearest that answered, one of each public /24: so many of any kind, and on until so many are secure."""
        found: list[Candidate] = []
        secure = 0
        for candidate in self._counting():
            if len(found) < count or (secure < count and candidate.secure):
                found.append(candidate)
                secure += candidate.secure
        return found

    # -- inside

    def _repeat(self) -> list[Candidate]:
        """Ask the nearest slow ones again, once: among few nodes a lost datagram must not be the end of it."""
        self._repeated = True
        slow = sorted(candidate for candidate in self._candidates.values() if candidate.state is State.SLOW)
        chosen = slow[: limits.DHT_PATHS * limits.DHT_PARALLEL]
        for candidate in chosen:
            self._leave(candidate)
            candidate.state = State.ASKED
            self.queries += 1
            if candidate.path is not None:
                candidate.path.asked += 1
        return chosen

    def _leave(self, candidate: Candidate) -> None:
        if candidate.state is State.SLOW:
            self._slow -= 1
        elif candidate.path is not None:
            candidate.path.asked -= 1

    def _add(self, contact: Contact, path: _Path, source: _Source | None) -> None:
        candidate = self._candidates.get(contact)
        if candidate is None:
            if len(self._candidates) >= limits.DHT_MAX_QUERIES * limits.DHT_K:
                return
            candidate = self._candidates[contact] = Candidate(contact, self._number)
        if source is not None:
            candidate.sources.append(source)
            if candidate.state is State.ANSWERED:
                source.right += 1
        if candidate.state is State.KNOWN:
            heapq.heappush(path.known, candidate)

    def _pick(self, path: _Path) -> Candidate | None:
        """The nearest node of a path that is of use; doubtful ones only where there are too few others."""
        while path.known:
            candidate = heapq.heappop(path.known)
            if not self._useful(candidate):
                continue
            if candidate.doubtful:
                heapq.heappush(path.put_off, candidate)
                continue
            return candidate
        while path.put_off and self._bound is None:
            candidate = heapq.heappop(path.put_off)
            if self._useful(candidate):
                return candidate
        return None

    def _useful(self, candidate: Candidate) -> bool:
        return (
            candidate.state is State.KNOWN
            and (self._bound is None or candidate.distance < self._bound)
            and candidate.subnet not in self._subnets
            and (candidate.secure or self._insecure < limits.DHT_MAX_INSECURE)
        )

    def _counting(self) -> Iterable[Candidate]:
        """Those that answered, nearest first, one of each subnet."""
        seen = set()
        for candidate in self._answered:
            if candidate.subnet not in seen:
                seen.add(candidate.subnet)
                yield candidate

    def _find_bound(self) -> int | None:
        secure = 0
        for count, candidate in enumerate(self._counting(), 1):
            secure += candidate.secure
            if secure == limits.DHT_K or count == limits.DHT_ENOUGH:
                return candidate.distance
        return None
