"""What a way of opening ports can do, whatever its protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from ... import limits
from ...wire.address import Address
from ..network import Datagrams
from .lease import Grant, NotSpokenError, Transport

T = TypeVar("T")


class Method(Protocol):
    """One protocol, spoken with one gateway."""

    name: str

    async def probe(self) -> None:
        """Find out whether the gateway speaks it; nothing is opened.

        Raises:
            NetworkError: it does not (NotSpokenError), or something is wrong with its answers.
        """

    async def map(self, transport: Transport, external: int) -> Grant:
        """Open our port, or keep it open.

        Args:
            transport: TCP or UDP.
            external: the port that is wished for outside.

        Raises:
            NetworkError: no answer (GatewayError: it refuses).
        """

    async def unmap(self) -> None:
        """Close what was opened, as far as the gateway listens. The caller limits the time."""


class GatewayPort:
    """Questions by UDP to one port of the gateway. Its answers come from that very port; all else is dropped.

    Args:
        datagrams: to send from; nobody else receives there.
        gateway: whom to ask.
    """

    def __init__(self, datagrams: Datagrams, gateway: Address) -> None:
        self._datagrams = datagrams
        self._gateway = gateway
        self._busy = trio.Lock()

    def tell(self, data: bytes) -> None:
        """Send it once."""
        self._datagrams.send(data, self._gateway)

    async def ask(self, data: bytes, parse: Callable[[bytes], T | None]) -> T:
        """Send until it is answered, one question after the other.

        Args:
            data: the question.
            parse: makes the answer of a datagram; None where it is not the answer.

        Raises:
            NetworkError: closed. GatewayError: no answer (NotSpokenError), or what ``parse`` raises.
        """
        async with self._busy:
            for wait in limits.MAP_REPEATS:
                self.tell(data)
                with trio.move_on_after(wait):
                    while True:
                        for received, sender in await self._datagrams.receive():
                            if sender == self._gateway and (answer := parse(received)) is not None:
                                return answer
        raise NotSpokenError("no answer")
