"""A simulated tracker, over HTTP and UDP at once, so that simulated sessions meet."""

from __future__ import annotations

import random
from typing import Final

import trio

from ..wire.address import Address
from .host import SimulatedHost
from .swarms import Swarms
from .trace import Trace
from .tracker_http import serve_http
from .tracker_udp import UdpFace

PORT: Final = 6969
"""Where simulated trackers are, over TCP and UDP."""


class SimulatedTracker(Swarms):
    """A tracker on a simulated host. ``SimulatedWorld.tracker`` makes one and keeps it going.

    What it knows, and how it may be made to fail, stands in ``Swarms``.

    Args:
        host: where it runs.
        name: its host name, or empty for an address in its URLs.
        rng: chooses the peers of an answer.
        trace: counts "announce" and "scrape".
    """

    def __init__(self, host: SimulatedHost, *, name: str = "", rng: random.Random, trace: Trace) -> None:
        super().__init__(rng=rng, trace=trace)
        self.host = host
        self._ids = rng
        self._place = f"{name}:{PORT}" if name else str(Address(host.addresses[0], PORT))

    def __repr__(self) -> str:
        return f"<SimulatedTracker {self._place}>"

    @property
    def url(self) -> str:
        """Where to announce over HTTP."""
        return f"http://{self._place}/announce"

    @property
    def udp_url(self) -> str:
        """Where to announce over UDP."""
        return f"udp://{self._place}/announce"

    async def run(self) -> None:
        """Answer until cancelled, or until its host is stopped (then it can be run again)."""
        listeners = await self.host.listen("", PORT, fallback=False)
        face = UdpFace(self, self._ids)
        face.sockets = self.host.bind_datagrams("", PORT, face.got_datagram)
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(serve_http, self, listener)
        finally:
            for listener in listeners:
                listener.close()
            for socket in face.sockets:
                socket.close()
