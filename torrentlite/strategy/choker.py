"""Who may download from us: tit for tat while we fetch, turns while we seed (BEP 3, "choking algorithms").

Why free riders are worse off, in a swarm that has more appetite than upload:

- **Seats are earned.** All but one in eight go to those who sent us most within the last EARNED_OVER seconds. That is
  also the anti-snubbing of BEP 3: who stops giving, for whatever reason, loses its seat within two rounds.
- **Gifts are remembered.** The other seats are gifts, without which nobody could begin. A gift lasts long enough to be
  answered. Who did not answer, although it had something that we asked for, shares *one* seat in eight with all its
  like from then on, at odds that halve with each gift in vain. The seats that nobody has earned are for strangers; if
  there are none they rather stay empty, for what is uploaded to a free rider is taken from those who give.
- **More seats are no free lunch.** An upload that nobody limits is still limited by the line, so seats beyond
  ``slots`` come and go by trial (``seats.py``), and are given by the same rules.
- **Seeding remembers.** A seed cannot trade, so everyone gets turns of equal time; fast takers get more out of theirs.
  But if we fetched before we seeded, those who did not answer gifts then still share the one seat in eight.

Two things no choker can do. Where the seed is the bottleneck nobody has anything to trade, and all are done together.
And once those who give are complete, their upload goes to whoever is left: free riders hardly ever finish if everybody
leaves, and soon if everybody stays to seed (12 riders of 50 then need at most 12/38 of the time again).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

from ..limits import CHOKE_INTERVAL
from .seats import Seats

EARNED_OVER: Final = 2
"""Rounds over which we count what a peer sent us: BEP 3 has a 20 second average."""

GIFT_TIME: Final = 30.0
"""Seconds of a gift. BEP 3: "To give them a decent chance of getting a complete piece to upload"."""

GIFT_SHARE: Final = 8
"""One seat in so many is never earned, at least one."""

NEWCOMER_ODDS: Final = 3
"""BEP 3: "Newly connected peers are three times as likely to start as the current optimistic unchoke". Those who once
gave us something are no risk either, and have the same odds."""

MOST_IN_VAIN: Final = 4
"""The odds halve no further: nobody starves, and who changes its mind is found out."""

TURN_TIME: Final = 30.0
"""Seconds of a turn when seeding, if it was of use by then (see ``quota``)."""

LONGEST_TURN: Final = 120.0
"""A turn ends now, even if its taker is too slow to get a few whole pieces out of it."""

LAZY: Final = 8
"""A turn ends after a round in which its taker took less than this fraction of what the average did."""


class Candidate(Protocol):
    """What the choker has to know of a connected peer, which must be hashable by identity."""

    @property
    def peer_interested(self) -> bool:
        """Whether it wants something from us."""

    @property
    def am_interested(self) -> bool:
        """Whether it has something for us."""

    @property
    def peer_choking(self) -> bool:
        """Whether it does not let us ask."""

    @property
    def snubbed(self) -> bool:
        """Whether it lets us ask and does not answer (``Pipeline.snubbed``)."""

    @property
    def downloaded(self) -> int:
        """Bytes of blocks that it ever sent us."""

    @property
    def uploaded(self) -> int:
        """Bytes of blocks that we ever sent it."""


C = TypeVar("C", bound=Candidate)


class _Account:
    """What is remembered of one peer: its past rounds, and how it answered."""

    __slots__ = ("began", "downloaded", "drawn", "earned", "in_vain", "joined", "sent_at_start", "served", "taken",
                 "unchoked", "uploaded")  # fmt: skip

    def __init__(self, peer: Candidate, now: float) -> None:
        self.joined = now
        self.downloaded = [peer.downloaded] * EARNED_OVER  # at the ends of the last rounds
        self.uploaded = peer.uploaded
        self.earned = 0  # bytes from it in those rounds
        self.taken = 0  # bytes to it in the last round
        self.in_vain = 0  # gifts in a row that it did not answer
        self.unchoked = False
        self.began = now  # its seat's beginning,
        self.sent_at_start = 0  # ``uploaded`` then,
        self.drawn = False  # and whether it came by lot
        self.served = now  # the last round that it had a seat: who has waited longest is next

    def end_round(self, peer: Candidate) -> None:
        self.earned = peer.downloaded - self.downloaded.pop(0)
        self.downloaded.append(peer.downloaded)
        self.taken = peer.uploaded - self.uploaded
        self.uploaded = peer.uploaded

    def odds(self, peer: Candidate, now: float) -> float:
        trusted = peer.downloaded > 0 or now - self.joined < GIFT_TIME
        return (NEWCOMER_ODDS if trusted else 1) / (1 << min(self.in_vain, MOST_IN_VAIN))


def _owes(peer: Candidate) -> bool:
    """Whether it could give us something and does not. If we do not ask (no memory, a limit) that is not its fault."""
    return peer.am_interested and (peer.peer_choking or peer.snubbed)


class Choker(Generic[C]):
    """Decides who is unchoked in one torrent.

    Attributes:
        quota: bytes that make a turn worth while when seeding: a few pieces, for what does not become whole pieces
            cannot be passed on.
        total: bytes of the torrent, or 0. Who took more than everything is no longer after the data, and is treated
            like those who take in vain.
    """

    def __init__(self, *, quota: int = 4 << 20, total: int = 0) -> None:
        self.quota = quota
        self.total = total
        self._accounts: dict[C, _Account] = {}
        self._seats = Seats()
        self._next_round = math.inf

    def left(self, peer: C) -> None:
        """A peer is gone: nothing is remembered of it."""
        self._accounts.pop(peer, None)

    def round(
        self,
        peers: Sequence[C],
        now: float,
        rng: random.Random,
        *,
        seeding: bool,
        slots: int,
        spare_upload: bool,
    ) -> list[C]:
        """Decide who is unchoked from now on; everybody else is choked.

        Every CHOKE_INTERVAL seats are given anew. In between, those who have one keep it, and free ones are filled:
        call it also when a peer becomes interested or leaves, so that nobody waits for the next round.

        Args:
            peers: everybody connected, in a stable order; also those who are not interested.
            now: the time.
            rng: the dice.
            slots: the seats that there are in any case. 0: nobody is unchoked.
            seeding: whether we have everything that we want.
            spare_upload: whether the upload is below its limit, or has none.
        """
        accounts = self._accounts
        for peer in peers:
            if peer not in accounts:
                accounts[peer] = _Account(peer, now)
        if slots <= 0:
            chosen: dict[C, None] = {}
        elif now < self._next_round:
            self._next_round = min(self._next_round, now + CHOKE_INTERVAL)
            chosen = dict.fromkeys(peer for peer in peers if accounts[peer].unchoked)
        else:
            self._next_round = now + CHOKE_INTERVAL
            self._accounts = accounts = {peer: accounts[peer] for peer in peers}
            self._end_round(now, slots, spare_upload=spare_upload)
            seats = slots + self._seats.extra
            chosen = self._turns(now, seats) if seeding else self._earners(now, seats)
        if slots > 0:
            self._fill(chosen, peers, slots + self._seats.extra, now, rng, seeding=seeding)
        for peer in peers:
            accounts[peer].unchoked = peer in chosen
        return [peer for peer in peers if peer in chosen]

    # -- who keeps a seat --------------------------------------------------------------------------------------------

    def _end_round(self, now: float, slots: int, *, spare_upload: bool) -> None:
        interested = 0
        sent = 0
        for peer, account in self._accounts.items():
            account.end_round(peer)
            if account.unchoked:
                account.served = now
            sent += account.taken
            interested += peer.peer_interested
            if account.earned:
                account.in_vain = 0
            elif account.unchoked and now - account.began >= GIFT_TIME and _owes(peer):
                account.in_vain += 1
            if 0 < self.total < peer.uploaded:
                account.in_vain = max(account.in_vain, MOST_IN_VAIN)
        crowded = interested > slots + self._seats.extra
        self._seats.adjust(slots, sent, spare_upload=spare_upload, crowded=crowded)

    def _earners(self, now: float, seats: int) -> dict[C, None]:
        """Those who gave most, then the gifts that are not over. Who gave, but wants nothing now, costs no seat."""
        accounts = self._accounts
        earners = sorted(
            (peer for peer, account in accounts.items() if account.earned),
            key=lambda peer: accounts[peer].earned,
            reverse=True,
        )
        kept: dict[C, None] = {}
        free = seats - self._gifts(seats)
        for peer in earners:
            if free > 0:
                kept[peer] = None
                free -= peer.peer_interested
        free += self._gifts(seats)
        for peer, account in accounts.items():
            running = account.unchoked and now - account.began < GIFT_TIME
            if free > 0 and running and peer.peer_interested and peer not in kept:
                kept[peer] = None
                free -= 1
        return kept

    def _turns(self, now: float, seats: int) -> dict[C, None]:
        """Those whose turn is not over, which it is at once for those who take next to nothing; the newest first."""
        holders = [(p, a) for p, a in self._accounts.items() if a.unchoked and p.peer_interested]
        holders.sort(key=lambda holder: holder[1].began, reverse=True)
        least = sum(account.taken for _, account in holders) / max(1, len(holders)) / LAZY
        kept = []
        for peer, account in holders:
            held = now - account.began
            useful = held < CHOKE_INTERVAL or account.taken > least
            over = held >= TURN_TIME and peer.uploaded - account.sent_at_start >= self.quota
            if useful and not over and held < LONGEST_TURN:
                kept.append(peer)
        return dict.fromkeys(kept[:seats])

    # -- who gets one ------------------------------------------------------------------------------------------------

    def _fill(
        self, chosen: dict[C, None], peers: Sequence[C], seats: int, now: float, rng: random.Random, *, seeding: bool
    ) -> None:
        """Give the free seats away: when seeding, to those who have waited longest, else by lot."""
        free = seats - sum(peer.peer_interested for peer in chosen)
        if free <= 0:
            return
        accounts = self._accounts
        waiting = [peer for peer in peers if peer.peer_interested and peer not in chosen]
        # Where all have taken in vain nobody is hurt by serving all of them.
        closed = any(peer.peer_interested and not accounts[peer].in_vain for peer in peers)
        gifts = self._gifts(seats)
        alms = gifts - sum(accounts[peer].in_vain > 0 for peer in chosen) if closed else free
        lots = gifts - sum(accounts[peer].drawn for peer in chosen) if seeding else free
        if seeding:
            waiting.sort(key=lambda peer: accounts[peer].served)
        while free > 0:
            pool = [peer for peer in waiting if alms > 0 or not accounts[peer].in_vain]
            if not pool:
                return
            if lots > 0:
                peer = rng.choices(pool, [accounts[peer].odds(peer, now) for peer in pool])[0]
            else:
                peer = next((peer for peer in pool if not accounts[peer].in_vain), pool[0])
            account = accounts[peer]
            account.began, account.sent_at_start, account.drawn = now, peer.uploaded, lots > 0
            waiting.remove(peer)
            chosen[peer] = None
            alms -= account.in_vain > 0
            lots -= 1
            free -= 1

    @staticmethod
    def _gifts(seats: int) -> int:
        return max(1, seats // GIFT_SHARE)
