"""Connecting in several ways at once: to the first that answers."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence

import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, Scope
from .network import Network, Stream


async def connect_first(network: Network, addresses: Sequence[Address], *, within: Scope) -> Stream:
    """Connect to the first of these addresses that answers, families by turns (RFC 8305).

    Raises:
        NetworkError: none answered; it is the error of the first.
    """
    ways = [functools.partial(network.connect, address, within=within) for address in _by_turns(addresses)]
    return await first_of(ways, stagger=limits.CONNECT_STAGGER)


async def first_of(ways: Sequence[Callable[[], Awaitable[Stream]]], *, stagger: float) -> Stream:
    """The connection that is made first.

    The next way is tried when one has failed, or has not come to an end for so many seconds; the others are closed.

    Raises:
        NetworkError: all failed; it is the error of the first.
    """
    errors: list[NetworkError] = []
    opened: list[Stream] = []

    async def attempt(way: Callable[[], Awaitable[Stream]], failed: trio.Event) -> None:
        try:
            stream = await way()
        except NetworkError as error:
            errors.append(error)
            failed.set()
        else:
            opened.append(stream)
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for way in ways:
                failed = trio.Event()
                nursery.start_soon(attempt, way, failed)
                with trio.move_on_after(stagger):
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
