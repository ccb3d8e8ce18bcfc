"""Bytes of a connection that were given back (``Stream.unread``), and come first the next time."""

from __future__ import annotations

import trio


async def take_unread(unread: bytes, buffer: memoryview) -> tuple[int, bytes]:
    """Put the first of them at the start of the buffer; how many, and what is left of them."""
    await trio.lowlevel.checkpoint()
    size = min(len(buffer), len(unread))
    buffer[:size] = unread[:size]
    return size, unread[size:]
