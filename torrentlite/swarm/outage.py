"""Whether our own network is away, or another one, or our machine slept: then who failed is worth another try."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final

from ..errors import NetworkError
from ..limits import OUTAGE, OUTAGE_PAUSE, ROUTE_CHECK
from ..wire.address import Address
from .world import World

_FAR: Final = Address("198.41.0.4", 53), Address("2001:503:ba3e::2:30", 53)
"""Somebody outside, one of each family: a root server, which gets nothing from us. Only the way to it is looked up."""


class Outage:
    """One for a session. It decides nothing, and sends nothing.

    Where somebody who used to answer does not, and nobody else is heard of either, it may be our network: then nobody's
    silence says anything about him, and the first who is heard of again is news for all who wait to ask others again.

    Args:
        world: the network, and how long the machine has slept.
        now: the time.
    """

    def __init__(self, world: World, now: float) -> None:
        self._world = world
        self._heard_at = now
        self._missed_at: float | None = None
        self._over = False
        self._changed = False
        self._moved_at, self._pause = -math.inf, OUTAGE
        self._places = self._ways()
        self._seen_as: dict[Hashable, str] = {}
        self._next_look = now + ROUTE_CHECK
        self._asleep = world.asleep()

    def heard(self, at: float) -> None:
        """Somebody was heard of: a tracker or a node that answered, a peer that sent something."""
        if at > self._heard_at:
            self._over |= self._missed_at is not None and at - self._missed_at >= OUTAGE
            self._heard_at, self._missed_at = at, None

    def missed(self, now: float) -> None:
        """Somebody who had always answered does not."""
        if self._missed_at is None:
            self._missed_at = now

    def over(self) -> bool:
        """Whether somebody has been heard of after such a silence; said once."""
        over, self._over = self._over, False
        return over

    def seen_as(self, teller: Hashable, host: str) -> None:
        """The address by which others see us, behind a router, as this teller says.

        A router that dials in anew may have another one than before, of which our own system notices nothing. The
        first address is no news, nor is one that another teller has told already.
        """
        before = self._seen_as.get(teller, "")
        if host != before:
            self._changed |= bool(before) and host not in self._seen_as.values()
            self._seen_as[teller] = host

    def moved(self, now: float) -> bool:
        """Whether our network is another one than before, or there again, or the machine has slept; said once.

        Trio's clock stands still meanwhile, and all that is due would be waited for; but the others have forgotten us.
        """
        if now < self._next_look:
            return False
        self._next_look = now + ROUTE_CHECK
        before, self._places = self._places, self._ways()
        slept, self._asleep = self._world.asleep() - self._asleep, self._world.asleep()
        changed = any(place and place != was for place, was in zip(self._places, before, strict=True))
        self._changed |= changed or slept >= OUTAGE
        if not self._changed or now - self._moved_at < self._pause:
            return False
        # A line that comes and goes all the time must not make us knock at everybody each time.
        calm = now - self._moved_at >= 10 * self._pause
        self._moved_at, self._pause = now, OUTAGE if calm else min(2 * self._pause, OUTAGE_PAUSE)
        self._changed = False
        return True

    def _ways(self) -> tuple[str, ...]:
        """Our addresses, as those outside would see them but for a router; empty where there is no way out."""
        return tuple(map(self._way, _FAR))

    def _way(self, to: Address) -> str:
        try:
            return self._world.network.source_for(to)
        except NetworkError:
            return ""
