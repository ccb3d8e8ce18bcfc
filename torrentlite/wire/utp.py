"""uTP (BEP 29), as far as it takes to say that it is not spoken here.

Clients that speak it (libtorrent, µTorrent) call a peer over uTP first. Who hears nothing waits some seconds before it
tries TCP; who is refused tries TCP at once.
"""

from __future__ import annotations

import struct
from typing import Final

_HEADER: Final = struct.Struct(">BBHIIIHH")
"""Type and version, extension, connection id, two timestamps, window, sequence and acknowledgement number."""
_RESET: Final = 0x31
_SYN: Final = 0x41
"""Types 3 and 4 of version 1."""


def refusal(packet: bytes) -> bytes | None:
    """The reset that answers a call, and is no longer than it; None for what is no call."""
    if len(packet) < _HEADER.size:
        return None
    kind, _, connection_id, timestamp, _, _, sequence, _ = _HEADER.unpack_from(packet)
    if kind != _SYN:
        return None
    # The connection id of a call is the one under which its sender receives. The reset has nothing to say of time: it
    # gives back the sender's own.
    return _HEADER.pack(_RESET, 0, connection_id, timestamp, 0, 0, 0, sequence)
