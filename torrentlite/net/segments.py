"""Many datagrams by one call: what Linux calls UDP segmentation and receive offload (udp(7): UDP_SEGMENT, UDP_GRO)."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

# <linux/udp.h>; Python has no names for them.
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_SIZE: Final = struct.Struct("=H")
_MOST: Final = 64
"""Datagrams that every Linux with UDP_SEGMENT takes at once (UDP_MAX_SEGMENTS)."""
_LARGEST: Final = 65_507 - 20
"""Bytes that fit into one call, with an IP header that has options."""

NEWS: Final = socket.CMSG_SPACE(4) if sys.platform == "linux" else 0
"""Bytes of ancillary data in which the system says how it has joined what came."""
REFUSALS: Final = frozenset((errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP))
"""What it says where the way out has no part in this: a tunnel without checksums of its own (EIO), or one whose packets
are smaller (EINVAL, EMSGSIZE), into which single datagrams go in fragments."""


def prepare(sock: socket.socket) -> bool:
    """Have what comes joined where the system can; whether it takes many at once, too."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):  # Linux 5.0
        sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
    try:
        # Linux 4.18. An older one would not refuse the words beside a message, and send it as one large datagram.
        sock.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True


def run(datagrams: Sequence[bytes], first: int) -> int:
    """How many of them, from this one on, go out by one call: of one size, but the last may be shorter."""
    size = len(datagrams[first])
    if not size:
        return 1
    most = min(len(datagrams), first + _MOST, first + _LARGEST // size)
    for index in range(first + 1, most):
        if len(datagrams[index]) != size:
            return index - first + (0 < len(datagrams[index]) < size)
    return max(most - first, 1)


def send(
    sock: socket.socket, datagrams: Sequence[bytes], to: tuple[str, int], more: Sequence[tuple[int, int, bytes]] = ()
) -> None:
    """Send a run, all or nothing, with more ancillary data.

    Raises:
        OSError: nothing was sent; ``REFUSALS``: nothing ever will be so.
    """
    sock.sendmsg(datagrams, [(socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(len(datagrams[0]))), *more], 0, to)


def split(data: memoryview, news: Iterable[tuple[int, int, bytes]]) -> Iterator[bytes]:
    """The datagrams that came as one."""
    size = len(data)
    for level, kind, value in news:
        if level == socket.IPPROTO_UDP and kind == _UDP_GRO:
            size = int.from_bytes(value, sys.byteorder)
    if size >= len(data):
        yield bytes(data)
        return
    for start in range(0, len(data), size):
        yield bytes(data[start : start + size])
