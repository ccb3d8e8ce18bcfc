import itertools
import struct

import pytest
from hypothesis import given, strategies as st

from torrentlite.metainfo.layout import Block
from torrentlite.wire import messages as m

EXAMPLES: list[tuple[m.PlainMessage, str]] = [
    (m.KeepAlive(), "00000000"),
    (m.Choke(), "00000001 00"),
    (m.Unchoke(), "00000001 01"),
    (m.Interested(), "00000001 02"),
    (m.NotInterested(), "00000001 03"),
    (m.Have(0x01020304), "00000005 04 01020304"),
    (m.Bitfield(b"\xff\x80"), "00000003 05 ff80"),
    (m.Request(1, 0x8000, 0x4000), "0000000d 06 00000001 00008000 00004000"),
    (m.Piece(1, 0x8000, memoryview(b"abc")), "0000000c 07 00000001 00008000 616263"),
    (m.Cancel(1, 0x8000, 0x4000), "0000000d 08 00000001 00008000 00004000"),
    (m.Port(6881), "00000003 09 1ae1"),
    (m.SuggestPiece(7), "00000005 0d 00000007"),
    (m.HaveAll(), "00000001 0e"),
    (m.HaveNone(), "00000001 0f"),
    (m.RejectRequest(1, 0x8000, 0x4000), "0000000d 10 00000001 00008000 00004000"),
    (m.AllowedFast(7), "00000005 11 00000007"),
    (m.HashRequest(b"r" * 32, 1, 512, 256, 9), f"00000031 15 {'72' * 32} 00000001 00000200 00000100 00000009"),
    (m.HashReject(b"r" * 32, 1, 512, 256, 9), f"00000031 17 {'72' * 32} 00000001 00000200 00000100 00000009"),
    (
        m.Hashes(b"r" * 32, 2, 4, 2, 0, b"h" * 64),
        f"00000071 16 {'72' * 32} 00000002 00000004 00000002 00000000 {'68' * 64}",
    ),
]


@pytest.mark.parametrize(("message", "data"), EXAMPLES)
def test_bytes_of_the_beps(message: m.PlainMessage, data: str) -> None:
    assert m.encode(message) == bytes.fromhex(data)


def test_messages_of_two_kinds_are_never_equal() -> None:
    alike: list[object] = [
        *(m.KeepAlive(), m.Choke(), m.Unchoke(), m.Interested(), m.NotInterested(), m.HaveAll(), m.HaveNone()),
        *(m.Have(1), m.SuggestPiece(1), m.AllowedFast(1), m.Port(1), m.Unknown(1), m.UnknownExtended(1)),
        *(m.MetadataRequest(1), m.MetadataReject(1), m.UploadOnly(True), m.ExtendedHandshake()),
        *(m.Request(1, 2, 3), m.Cancel(1, 2, 3), m.RejectRequest(1, 2, 3)),
        *(m.HashRequest(bytes(32), 0, 0, 2, 1), m.HashReject(bytes(32), 0, 0, 2, 1)),
        *(m.Piece(1, 2, memoryview(b"abc")), m.MetadataData(1, 2, b"abc"), m.Bitfield(b"abc")),
    ]
    for one, other in itertools.combinations(alike, 2):
        assert one != other


def test_a_request_is_its_block() -> None:
    assert m.Request(1, 2, 3) == Block(1, 2, 3)


blocks = st.lists(st.tuples(*[st.integers(0, 2**32 - 1)] * 3))


@given(blocks)
def test_many_at_once(wanted: list[tuple[int, int, int]]) -> None:
    assert m.encode_requests(wanted) == b"".join(m.encode(m.Request(*block)) for block in wanted)
    assert m.encode_cancels(wanted) == b"".join(m.encode(m.Cancel(*block)) for block in wanted)
    pieces = [piece for piece, _, _ in wanted]
    assert m.encode_haves(iter(pieces)) == b"".join(m.encode(m.Have(piece)) for piece in pieces)


def test_piece_header() -> None:
    data = bytes(range(100))
    assert m.piece_header(5, 16, len(data)) + data == m.encode(m.Piece(5, 16, memoryview(data)))
    assert len(m.piece_header(5, 16, 16384)) == 13


def test_numbers_that_do_not_fit_are_our_own_bug() -> None:
    with pytest.raises(struct.error):
        m.encode(m.Have(2**32))
    with pytest.raises(struct.error):
        m.encode(m.Have(-1))


# Proof layers are those above the hashes; two hashes make up for none of them, four for the first, 512 for eight.
@pytest.mark.parametrize(
    ("length", "proofs", "uncles"),
    [
        (2, 0, 0),
        (2, 1, 1),
        (2, 5, 5),
        (4, 0, 0),
        (4, 1, 0),
        (4, 2, 1),
        (512, 8, 0),
        (512, 10, 2),
        (1, 0, 1),
        (1, 9, 10),
    ],
)
def test_uncles(length: int, proofs: int, uncles: int) -> None:
    assert m.uncle_count(length, proofs) == uncles


def test_an_answer_names_its_request() -> None:
    request = m.HashRequest(b"r" * 32, 1, 2, 2, 4)
    values = (request.root, request.base, request.index, request.length, request.proofs)
    assert m.Hashes(*values, bytes(192)).request == m.HashReject(*values).request == request
