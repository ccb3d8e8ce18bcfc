"""Connecting to the host of a URL: to the first of its addresses that answers."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, Scope
from .network import Network, Stream


async def connect_first(network: Network, addresses: Sequence[Address], *, within: Scope) -> Stream:
    """Connect to the first of these addresses that answers, families by turns (RFC 8305).

    The next one is tried when one has failed, or has not answered for a moment; the others are closed.

    Raises:
        NetworkError: none answered; it is the error of the first.
    """
    errors: list[NetworkError] = []
    opened: list[Stream] = []

    async def attempt(address: Address, failed: trio.Event) -> None:
        try:
            stream = await network.connect(address, within=within)
        except NetworkError as error:
            errors.append(error)
            failed.set()
        else:
            opened.append(stream)
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in _by_turns(addresses):
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(limits.CONNECT_STAGGER):
                    await failed.wait()
        if not opened:
            raise errors[0]
        return opened.pop(0)
    finally:
        for stream in opened:
            stream.close()


def _by_turns(addresses: Sequence[Address]) -> list[Address]:
    first = [address for address in addresses if address.is_ipv6 == addresses[0].is_ipv6]
    second = [address for address in addresses if address.is_ipv6 != addresses[0].is_ipv6]
    turns = []
    while first or second:
        turns += first[:1] + second[:1]
        del first[:1], second[:1]
    return turns
