"""Which connections are made over TCP, and which over UDP (``Settings.utp``)."""

from __future__ import annotations

from ..settings import Utp
from ..wire.address import Address, Scope


class TransportPolicy:
    """What is tried and taken.

    TCP is the first choice where both sides can be called: the system does for it what Python does for uTP (over
    loopback 0.2 s of CPU on each side for a GiB, and 7).

    Args:
        wish: what the user wants.
    """

    def __init__(self, wish: Utp) -> None:
        self._wish = wish

    def takes(self, caller: Address) -> bool:
        """Whether who calls over uTP is answered. Who is not is refused, and calls by TCP at once.

        Nothing keeps a caller in our own network from that. On the Internet a router may.
        """
        return self._wish == "prefer" or (self._wish == "allow" and caller.scope is Scope.PUBLIC)

    def order(self, *, met: bool) -> tuple[bool, ...]:
        """How to call a peer: True for uTP. The second way is tried too when the first has no answer for a while.

        Args:
            met: whether it was last met over uTP.
        """
        if self._wish == "off":
            return (False,)
        return (True, False) if met or self._wish == "prefer" else (False, True)
