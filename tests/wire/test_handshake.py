import pytest
from hypothesis import given, strategies as st

from torrentlite.errors import ProtocolError
from torrentlite.wire.handshake import (
    HANDSHAKE_SIZE,
    INFO_HASH_END,
    PROTOCOL,
    Handshake,
    check_prefix,
    parse_info_hash,
)

INFO_HASH = bytes(range(20))
PEER_ID = b"-Tl0100-abcdefghijkl"
twenty = st.binary(min_size=20, max_size=20)


@given(st.builds(Handshake, twenty, twenty, st.booleans(), st.booleans(), st.booleans(), st.booleans()))
def test_round_trip(handshake: Handshake) -> None:
    data = handshake.encode()
    assert len(data) == HANDSHAKE_SIZE
    assert Handshake.parse(data) == handshake


def test_the_bits_are_where_the_beps_put_them() -> None:
    plain = Handshake(INFO_HASH, PEER_ID)
    assert plain.encode() == b"\x13BitTorrent protocol" + bytes(8) + INFO_HASH + PEER_ID
    assert plain._replace(fast=True).encode()[20:28] == b"\0\0\0\0\0\0\0\x04"
    assert plain._replace(extended=True).encode()[20:28] == b"\0\0\0\0\0\x10\0\0"
    assert plain._replace(dht=True).encode()[20:28] == b"\0\0\0\0\0\0\0\x01"
    assert plain._replace(v2=True).encode()[20:28] == b"\0\0\0\0\0\0\0\x10"


def test_bits_of_others_are_ignored() -> None:
    data = PROTOCOL + b"\xff\xff\xff\xff\xff\xef\xff\xea" + INFO_HASH + PEER_ID
    assert Handshake.parse(data) == Handshake(INFO_HASH, PEER_ID)


def test_info_hash_before_the_peer_id_is_there() -> None:
    data = Handshake(INFO_HASH, PEER_ID, fast=True).encode()
    assert parse_info_hash(data[:INFO_HASH_END]) == (b"\0\0\0\0\0\0\0\x04", INFO_HASH)


@pytest.mark.parametrize("size", range(HANDSHAKE_SIZE + 1))
def test_every_beginning_of_a_handshake_may_go_on(size: int) -> None:
    check_prefix(Handshake(INFO_HASH, PEER_ID).encode()[:size])


@pytest.mark.parametrize("at", range(len(PROTOCOL)))
def test_a_wrong_byte_is_seen_at_once(at: int) -> None:
    data = bytearray(Handshake(INFO_HASH, PEER_ID).encode())
    data[at] ^= 0x20
    check_prefix(data[:at])
    for size in range(at + 1, HANDSHAKE_SIZE + 1):
        with pytest.raises(ProtocolError):
            check_prefix(data[:size])
    with pytest.raises(ProtocolError):
        parse_info_hash(data)
    with pytest.raises(ProtocolError):
        Handshake.parse(data)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 67, 69])
def test_68_bytes_no_more_no_less(size: int) -> None:
    data = (Handshake(INFO_HASH, PEER_ID).encode() + b"x")[:size]
    with pytest.raises(ProtocolError):
        Handshake.parse(data)


def test_no_info_hash_in_47_bytes() -> None:
    with pytest.raises(ProtocolError):
        parse_info_hash(Handshake(INFO_HASH, PEER_ID).encode()[: INFO_HASH_END - 1])


def test_ids_are_20_bytes() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        Handshake(INFO_HASH[:-1], PEER_ID).encode()
    with pytest.raises(ValueError, match="20 bytes"):
        Handshake(INFO_HASH, PEER_ID + b"x").encode()
