"""One attempt at a simulated TCP connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from ..errors import NetworkError
from ..wire.address import Address
from .clock import Timeline
from .stream import SimulatedStream

_FIRST_RETRY: Final = 1.0  # seconds; RFC 6298
GIVE_UP: Final = 127.0
"""Seconds until the system gives up on a host that does not answer (Linux, tcp_syn_retries)."""


class Dial:
    """Knocks at a host until it answers.

    Args:
        timeline: where its moments are.
        remote: where it goes, for error texts.
        latency: seconds to the other side.
        knock: what the other side says: our end of the connection, or None (no answer); raises NetworkError where it
            refuses.
    """

    def __init__(
        self, timeline: Timeline, remote: Address, latency: float, knock: Callable[[], SimulatedStream | None]
    ) -> None:
        self._timeline = timeline
        self._remote = remote
        self._latency = latency
        self._ask = knock
        self._over = trio.Event()
        self._stream: SimulatedStream | None = None
        self._trouble = ""
        self._timer = timeline.call_after(latency, self._knock, _FIRST_RETRY)
        self._give_up_at = timeline.now + GIVE_UP

    async def answer(self) -> SimulatedStream:
        """Our end of the connection.

        Raises:
            NetworkError: refused, or no answer.
        """
        try:
            await self._over.wait()
        except trio.Cancelled:
            self._timer.cancel()
            self._over.set()
            if self._stream is not None:  # it is on its way back to us
                self._stream.reset()
            raise
        if self._stream is None:
            raise NetworkError(f"cannot connect to {self._remote}: {self._trouble}")
        return self._stream

    def _knock(self, pause: float) -> None:
        try:
            self._stream = self._ask()
        except NetworkError as error:
            self._timer = self._timeline.call_after(self._latency, self._end, str(error))
            return
        if self._stream is not None:
            self._timer = self._timeline.call_after(self._latency, self._end)
        elif self._timeline.now + pause < self._give_up_at:
            self._timer = self._timeline.call_after(pause, self._knock, 2 * pause)
        else:
            self._timer = self._timeline.call_at(self._give_up_at, self._end, "Connection timed out")

    def _end(self, trouble: str = "") -> None:
        self._trouble = trouble
        self._over.set()
