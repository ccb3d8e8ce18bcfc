import struct

import pytest

from torrentlite.wire import utp


def packet(kind=4, version=1, connection_id=0x1234, timestamp=5, sequence=1):
    return struct.pack(">BBHIIIHH", kind << 4 | version, 0, connection_id, timestamp, 0, 1 << 20, sequence, 0)


def test_a_call_is_refused():
    # BEP 29: type 3 is ST_RESET; the connection id is the caller's, and what is acknowledged is its first packet.
    assert utp.refusal(packet(sequence=77)) == struct.pack(">BBHIIIHH", 0x31, 0, 0x1234, 5, 0, 0, 0, 77)


def test_a_call_with_more_is_refused_no_louder():
    assert utp.refusal(packet() + bytes(100)) == utp.refusal(packet())


@pytest.mark.parametrize("data", [b"", packet()[:19], *(packet(kind) for kind in (0, 1, 2, 3, 5)), packet(version=0)])
def test_nothing_else_is_answered(data):
    # Least of all a reset: two who refuse each other would never stop.
    assert utp.refusal(data) is None
