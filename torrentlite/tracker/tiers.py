"""Which tracker of a torrent is announced to, when, and with what event (BEP 3, BEP 12). Pure.

The torrent's own tiers are asked in order: the first tracker that answers is in charge, and the next ones are asked
only when it fails, keeps us waiting, or knows of nobody but us. A tracker that the user added is asked besides.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import random
from collections.abc import Iterable, Iterator, Sequence

from .. import limits
from ..errors import SourceError
from ..metainfo.text import display
from ..net.url import HTTP, parse_url
from ..stats import TrackerStats
from ..wire.address import Scope
from .announce import UNKNOWN, AnnounceReply
from .redact import redact


class _State(enum.Enum):
    WAITING = "waiting"
    ANNOUNCING = "announcing"
    OK = "ok"
    FAILED = "failed"


@dataclasses.dataclass(slots=True, eq=False)
class TrackerEntry:
    """One tracker of one torrent, and how it went. Others than ``Tiers`` only read it.

    Attributes:
        url: may hold a key; never shown as it is.
        within: the narrowest scope that its address may have.
        tracker_id: what it wants to hear with every announce.
        event: of the announce under way, or of the last one.
        since: when that began.
        earliest: the next one is not before this, whatever the user wishes.
        next_at: when the next one is due.
        failures: in a row.
        pauses: that it has been given for that, each longer than the one before; a person's wish forgives them.
        spent: attempts that have to fail before one is brought forward again because our network may be back: that one,
            and the next, which comes in its own time. So the dead are asked twice as often at most.
        started: it knows that we are here.
        incomplete: it was told, or is being told, that something is left.
        alone: it knows of nobody but us.
        again: something new came up during the announce under way: another one follows.
    """

    url: str = dataclasses.field(repr=False)
    within: Scope
    tracker_id: bytes = dataclasses.field(default=b"", repr=False)
    state: _State = _State.WAITING
    event: str = ""
    since: float = 0.0
    earliest: float = 0.0
    next_at: float = 0.0
    failures: int = 0
    pauses: int = 0
    spent: int = 0
    started: bool = False
    incomplete: bool = False
    alone: bool = False
    again: bool = False
    message: str = ""
    peers: int = 0
    seeders: int = UNKNOWN
    leechers: int = UNKNOWN


class Tiers:
    """The trackers of one torrent.

    For every announce the owner calls ``started``, then ``succeeded`` or ``failed``; for a goodbye ``stopping``, then
    ``stopped``.

    Args:
        tiers: as in the .torrent; the order inside a tier is drawn by lot.
        rng: for that, and for spreading announces over time.

    Attributes:
        exclusive: the torrent is private: "each peer MUST use only one tracker at a time and only switch between
            trackers when the current tracker fails" (BEP 27), and that holds for all there are.
    """

    def __init__(self, tiers: Iterable[Iterable[str]], rng: random.Random) -> None:
        self._rng = rng
        self._known: dict[str, None] = {}
        shuffled = [self._entries(tier, typed=False) for tier in tiers]
        for tier in shuffled:
            rng.shuffle(tier)
        # Each group has one tracker in charge. The first is the torrent's own, the others are added by the user.
        self._groups: list[list[list[TrackerEntry]]] = [[tier for tier in shuffled if tier]]
        self._completed = False
        self._in_charge: TrackerEntry | None = None
        self.exclusive = False

    def __iter__(self) -> Iterator[TrackerEntry]:
        for group in self._groups:
            for tier in group:
                yield from tier

    def add(self, url: str, *, typed: bool) -> None:
        """Announce to this tracker too. One that is known already keeps its place.

        Args:
            url: the announce URL.
            typed: whether a person named it; then it may be anywhere.
        """
        entries = self._entries([url], typed=typed)
        if entries:
            self._groups.append([entries])
        elif typed:
            for entry in self:
                if entry.url == url:
                    entry.within = Scope.LOOPBACK

    def due(self, now: float) -> list[TrackerEntry]:
        """The trackers to announce to now."""
        if self.exclusive:
            only = self._due_alone(now)
            return [only] if only is not None else []
        found = []
        for group in self._groups:
            entry = self._due_of(group, now)
            if entry is not None:
                found.append(entry)
        return found

    def next_due(self) -> float:
        """When ``due`` has something to say, if nothing happens until then; ``math.inf`` for never."""
        if self.exclusive:
            return self._next_alone()
        return min((self._next_of(group) for group in self._groups), default=math.inf)

    def event(self, entry: TrackerEntry) -> str:
        """What the announce under way says: ``started``, ``completed`` or nothing."""
        return entry.event

    def started(self, entry: TrackerEntry, now: float) -> None:
        """An announce to it begins."""
        if not entry.started:
            entry.event = "started"
            entry.incomplete = not self._completed
        else:
            entry.event = "completed" if self._owes_completed(entry) else ""
        entry.state = _State.ANNOUNCING
        entry.since = now

    def succeeded(self, entry: TrackerEntry, reply: AnnounceReply, now: float) -> bool:
        """It answered: in its tier it comes first from now on.

        True: in a private torrent it takes the place of another one, whose peers have to go.
        """
        before, self._in_charge = self._in_charge, entry
        switched = self.exclusive and before is not None and before is not entry
        if switched and before is not None:
            before.started = False  # it failed, and hears no more of us
        entry.state = _State.OK
        entry.failures = entry.pauses = entry.spent = 0
        entry.started = True
        if entry.event == "completed":
            entry.incomplete = False
        entry.tracker_id = reply.tracker_id or entry.tracker_id
        entry.alone = len(reply.peers) <= 1 and reply.seeders + reply.leechers <= 1
        entry.message, entry.peers = reply.warning, len(reply.peers)
        entry.seeders, entry.leechers = reply.seeders, reply.leechers
        interval = _within_bounds(max(reply.interval, reply.min_interval))
        if entry.alone and not self._completed:
            interval = min(interval, _within_bounds(max(limits.LONELY_INTERVAL, reply.min_interval)))
        entry.earliest = now + _within_bounds(reply.min_interval)
        entry.next_at = now + interval * (1 + self._rng.uniform(0, limits.ANNOUNCE_JITTER))
        if entry.again:
            entry.again, entry.next_at = False, entry.earliest
        for group in self._groups:
            for tier in group:
                if entry in tier:
                    tier.remove(entry)
                    tier.insert(0, entry)
        return switched

    def failed(self, entry: TrackerEntry, message: str, now: float) -> None:
        """It did not answer, or refused; the message says why."""
        entry.state = _State.FAILED
        entry.failures += 1
        entry.pauses += 1
        entry.spent = max(0, entry.spent - 1)
        entry.message = display(message)
        pause = min(limits.RETRY_FIRST + limits.RETRY_STEP * entry.pauses**2, limits.RETRY_MAX)
        entry.earliest = now + limits.RETRY_FIRST
        entry.next_at = now + pause * (1 + self._rng.uniform(-limits.RETRY_JITTER, limits.RETRY_JITTER))

    def completed(self) -> None:
        """Everything wanted is here. Trackers that were told otherwise are told so, once.

        A torrent that was complete when it began says so before its first announce; then nobody is told anything.
        """
        self._completed = True

    def announce_now(self, now: float) -> None:
        """Announce as soon as the trackers allow; failures are forgiven."""
        for entry in self:
            entry.next_at = min(entry.next_at, max(now, entry.earliest))
            entry.pauses = min(entry.pauses, 1)
            entry.spent = 0
            entry.again = entry.state is _State.ANNOUNCING

    def try_again(self, now: float) -> None:
        """Our network may be back: those that failed are asked anew within seconds, not all of them at once."""
        for entry in self:
            soon = max(entry.earliest, now + self._rng.uniform(0, limits.RETRY_FIRST))
            if entry.state is _State.FAILED and not entry.spent and soon < entry.next_at:
                entry.next_at = soon
                entry.spent = 2

    def to_stop(self) -> list[TrackerEntry]:
        """The trackers that know that we are here, but for those with an announce under way: ``stopped`` is for them.

        An announce that overtakes a ``stopped`` would undo it, so who has one under way is told when that is over.
        """
        return [entry for entry in self if entry.started and entry.state is not _State.ANNOUNCING]

    def interrupted(self, now: float) -> list[TrackerEntry]:
        """The trackers whose announce ends as we leave: ``stopped`` is for them too, as they may have heard it.

        Those are left out that never answered and have had time enough: leaving would have to wait for the dead.
        """
        waiting = [entry for entry in self if entry.state is _State.ANNOUNCING]
        return [entry for entry in waiting if entry.started or now - entry.since < limits.SLOW_TRACKER]

    def stopping(self, entry: TrackerEntry, now: float) -> None:
        """It is being told that we leave; ``stopped`` follows, and until then it is told nothing else."""
        entry.event = "stopped"
        entry.state = _State.ANNOUNCING
        entry.since = now

    def stopped(self, entry: TrackerEntry) -> None:
        """It was told that we leave, or could not be; the next announce to it is ``started`` again, at any time."""
        entry.started = entry.again = False
        entry.state = _State.WAITING
        entry.next_at = entry.earliest = 0.0
        entry.failures = entry.pauses = entry.spent = 0

    def stats(self, now: float) -> list[TrackerStats]:
        """How each of them went, in the order in which they are asked."""
        rows = []
        number = 0
        for group in self._groups:
            for tier in group:
                rows += [self._stats_of(entry, number, now) for entry in tier]
                number += 1
        return rows

    def _due_alone(self, now: float) -> TrackerEntry | None:
        entries = list(self)
        if any(entry.state is _State.ANNOUNCING for entry in entries):
            return None
        current = self._in_charge
        if current is not None and current.state is _State.OK:
            return current if current.next_at <= now or self._owes_completed(current) else None
        return next((entry for entry in entries if entry.next_at <= now), None)

    def _due_of(self, group: Sequence[Sequence[TrackerEntry]], now: float) -> TrackerEntry | None:
        entries = [entry for tier in group for entry in tier]
        for entry in entries:
            if entry.state is _State.OK and self._owes_completed(entry):
                return entry
        # One in charge whose time has not come: those before it are tried again when it has, as BEP 12 says.
        if any(entry.state is _State.OK and entry.next_at > now and not entry.alone for entry in entries):
            return None
        for entry in entries:
            if entry.state is _State.ANNOUNCING:
                if now - entry.since < limits.SLOW_TRACKER:
                    return None
            elif entry.next_at <= now:
                return entry
        return None

    def _next_alone(self) -> float:
        entries, current = list(self), self._in_charge
        if any(entry.state is _State.ANNOUNCING for entry in entries):
            return math.inf
        if current is not None and current.state is _State.OK:
            return -math.inf if self._owes_completed(current) else current.next_at
        return min((entry.next_at for entry in entries), default=math.inf)

    def _next_of(self, group: Sequence[Sequence[TrackerEntry]]) -> float:
        earliest = math.inf
        patience = calm = -math.inf  # until a slow one is waited for no longer; until the one in charge is due
        for entry in (entry for tier in group for entry in tier):
            if entry.state is _State.OK and self._owes_completed(entry):
                return -math.inf
            if entry.state is _State.OK and not entry.alone:
                calm = max(calm, entry.next_at)
            if entry.state is _State.ANNOUNCING:
                patience = max(patience, entry.since + limits.SLOW_TRACKER)
            else:
                earliest = min(earliest, max(entry.next_at, patience))
        return max(earliest, calm)

    def _owes_completed(self, entry: TrackerEntry) -> bool:
        return self._completed and entry.started and entry.incomplete

    def _entries(self, urls: Iterable[str], *, typed: bool) -> list[TrackerEntry]:
        entries = []
        for url in urls:
            if len(self._known) >= limits.MAX_TRACKERS and not typed:
                break
            if len(url) <= limits.MAX_URL and url not in self._known:
                self._known[url] = None
                entries.append(TrackerEntry(url, Scope.LOOPBACK if typed else scope_of_url(url)))
        return entries

    def _stats_of(self, entry: TrackerEntry, tier: int, now: float) -> TrackerStats:
        waits = entry.state in (_State.OK, _State.FAILED)
        return TrackerStats(
            url=redact(entry.url),
            tier=tier,
            state=entry.state.value,
            message=entry.message,
            peers=entry.peers,
            seeders=entry.seeders,
            leechers=entry.leechers,
            next_announce=max(0.0, entry.next_at - now) if waits else -1,
            failures=entry.failures,
        )


def scope_of_url(url: str) -> Scope:
    """The narrowest scope that the address of this tracker may have, when a torrent or a link named it.

    A .torrent comes from anywhere, and its tracker may be in our own network. But a request to a router or a program of
    ours must not be able to do anything there: over HTTP it has to look like an announce, and bring nothing along.
    """
    try:
        parsed = parse_url(url, {**HTTP, "udp": None})
    except SourceError:
        return Scope.PUBLIC  # it cannot be asked at all
    if parsed.scheme == "udp" or (parsed.path.endswith("/announce") and not parsed.credentials and not parsed.query):
        return Scope.LOOPBACK
    return Scope.PUBLIC


def _within_bounds(interval: float) -> float:
    return min(max(interval, limits.MIN_ANNOUNCE_INTERVAL), limits.MAX_ANNOUNCE_INTERVAL)
