"""How much of a connection may be under way: congestion control by delay (BEP 29, "congestion control"; LEDBAT)."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from ..wire.utp import MICROSECONDS

TARGET: Final = 100_000
"""Microseconds that packets may wait in the line to the other end; 100 ms by BEP 29."""
GAIN: Final = 3000
"""Bytes by which the window grows in a round trip at most, where nothing waits (``MAX_CWND_INCREASE`` of libutp)."""
BASE_MINUTES: Final = 2
"""The shortest delay of "the last two minutes" is what the way itself takes."""
RECENT: Final = 3
"""Of so many delays the shortest counts: one packet may have waited for anything (libutp)."""
MIN_TIMEOUT: Final = 0.5
FIRST_TIMEOUT: Final = 1.0
MAX_TIMEOUT: Final = 5.0
"""Seconds until what is not acknowledged counts as lost: "the minimum timeout for a packet is 1/2 second", "the initial
timeout is set to 1000 milliseconds"; a line that was away is tried often enough to be back before UTP_GIVE_UP."""
_HALF: Final = 1 << 31


class DelayHistory:
    """One-way delays in microseconds, which wrap and include the difference of two clocks."""

    def __init__(self) -> None:
        self._bases: deque[int] = deque(maxlen=BASE_MINUTES + 1)  # the shortest of each minute, this one last
        self._minute = -math.inf
        self._recent: deque[int] = deque(maxlen=RECENT)

    def add(self, delay: int, now: float) -> None:
        """One more."""
        if now - self._minute >= 60:
            self._minute = now
            self._bases.append(delay)
        elif _shorter(delay, self._bases[-1]):
            self._bases[-1] = delay
        self._recent.append(delay)

    @property
    def waiting(self) -> int:
        """Microseconds that packets wait on their way, at present."""
        base = self._bases[0]
        for other in self._bases:
            if _shorter(other, base):
                base = other
        return min((delay - base) & MICROSECONDS for delay in self._recent)


def _shorter(one: int, other: int) -> bool:
    return (one - other) & MICROSECONDS >= _HALF


class RoundTrip:
    """How long an acknowledgement takes, and when it is overdue (BEP 29, "timeouts")."""

    def __init__(self) -> None:
        self.smoothed = 0.0
        self.variance = 0.0
        self.timeout = FIRST_TIMEOUT

    def add(self, seconds: float) -> None:
        """One was measured, of a packet that was sent only once."""
        if self.smoothed:
            self.variance += (abs(self.smoothed - seconds) - self.variance) / 4
            self.smoothed += (seconds - self.smoothed) / 8
        else:
            self.smoothed, self.variance = seconds, seconds / 2
        self.timeout = min(max(self.smoothed + 4 * self.variance, MIN_TIMEOUT), MAX_TIMEOUT)

    def back_off(self) -> None:
        """Nothing came: wait twice as long."""
        self.timeout = min(2 * self.timeout, MAX_TIMEOUT)


class Window:
    """Bytes that may be under way (BEP 29's ``max_window``).

    Args:
        packet: bytes of a full packet: it is never smaller than that.
        largest: and never larger than this.
    """

    def __init__(self, packet: int, largest: int) -> None:
        self._packet = packet
        self._largest = largest
        self.size = 4.0 * packet  # RFC 6928 begins with ten, but what calls by uTP is often behind a slow line
        self._slow_start = True
        self._threshold = float(largest)
        self._full_at = -math.inf

    def was_full(self, now: float) -> None:
        """Something waited because of it."""
        self._full_at = now

    def acked(self, size: int, waiting: int, now: float) -> None:
        """So many bytes have arrived, and packets wait so many microseconds at present."""
        if now - self._full_at > 1.0:
            return  # what does not use its window earns no larger one (RFC 7661)
        share = min(size, self.size) / max(size, self.size)
        room = (TARGET - waiting) / TARGET
        grown = self.size + GAIN * share * max(room, -1.0)
        if self._slow_start:
            # Twice as much each round trip, as long as nothing waits.
            if waiting > 0.9 * TARGET:
                # What waited so long was sent a round trip ago, when the window was half as large.
                self._slow_start = False
                grown = self.size / 2
            elif self.size >= self._threshold:
                self._slow_start = False
            else:
                grown = max(grown, self.size + size)
        self._set(grown)

    def lost(self) -> None:
        """A packet was lost: "the max_window is multiplied by 0.5 to mimic TCP". Once a round trip."""
        self._slow_start = False
        self._set(self.size / 2)
        self._threshold = self.size

    def timed_out(self) -> None:
        """Nothing was heard for a whole time-out: begin with one packet."""
        self._threshold = max(self.size / 2, 2.0 * self._packet)
        self._slow_start = True
        self._set(0)

    def _set(self, size: float) -> None:
        self.size = min(max(size, float(self._packet)), float(self._largest))
