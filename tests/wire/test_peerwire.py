import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.bencode import encode as bencode
from torrentlite.errors import ProtocolError
from torrentlite.wire import bitfield, extensions as ext, messages as m
from torrentlite.wire.peerwire import PeerWire

PIECES = 1313
FIRST_BUFFER = 32 * 1024


def new_wire(*, fast: bool = True, extended: bool = True, piece_count: int | None = PIECES) -> PeerWire:
    return PeerWire(fast=fast, extended=extended, piece_count=piece_count)


def feed(wire: PeerWire, data: bytes, step: int = 1 << 30) -> list[m.Message]:
    """What the wire makes of these bytes, given at most ``step`` at a time. Views are copied, as their reader must."""
    found: list[m.Message] = []
    at = 0
    while at < len(data):
        room = wire.free()
        assert len(room) > 0
        part = data[at : at + min(step, len(room))]
        room[: len(part)] = part
        for message in wire.received(len(part)):
            if isinstance(message, m.Piece):
                assert isinstance(message.data, memoryview)
                message = message._replace(data=memoryview(bytes(message.data)))
            found.append(message)
        at += len(part)
    return found


def receive(
    data: bytes, *, fast: bool = True, extended: bool = True, piece_count: int | None = PIECES
) -> list[m.Message]:
    """What is made of these bytes, the same whether they come whole, one by one or in odd parts."""
    results = [
        feed(new_wire(fast=fast, extended=extended, piece_count=piece_count), data, step)
        for step in (1 << 30, 1, 7, 1000)
    ]
    assert all(result == results[0] for result in results)
    return results[0]


def encode_all(messages: Sequence[m.PlainMessage]) -> bytes:
    return b"".join(map(m.encode, messages))


def extended(number: int, payload: bytes) -> bytes:
    return (len(payload) + 2).to_bytes(4, "big") + bytes([20, number]) + payload


def raw(kind: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A message with any id, and if need be a length that lies."""
    return (len(payload) + 1 if length is None else length).to_bytes(4, "big") + bytes([kind]) + payload


# -- every message ----------------------------------------------------------------------------------------------------

BLOCK = memoryview(bytes(range(256)) * 64)
EVERY_KIND: list[m.PlainMessage] = [
    m.HaveAll(),
    m.KeepAlive(),
    m.Choke(),
    m.Unchoke(),
    m.Interested(),
    m.NotInterested(),
    m.Have(PIECES - 1),
    m.Request(0, 2**32 - 1, limits.MAX_REQUEST),
    m.Request(PIECES - 1, 0, 1),
    m.Piece(PIECES - 1, 16384, BLOCK),
    m.Piece(0, 0, BLOCK[:1]),
    m.Cancel(PIECES - 1, 1, 2),
    m.Port(65535),
    m.Port(0),
    m.SuggestPiece(PIECES - 1),
    m.RejectRequest(1, 2, 3),
    m.AllowedFast(PIECES - 1),
    m.HashRequest(b"r" * 32, 2**32 - 1, 1, 3, 2**32 - 1),
    m.HashReject(b"r" * 32, 2**32 - 1, 1, 3, 2**32 - 1),
    m.Hashes(b"r" * 32, 2**32 - 1, 7, 1, 0, b"h" * 64),
    m.Hashes(b"r" * 32, 0, 512, 512, 8, bytes(512 * 32)),
    m.Hashes(
        b"r" * 32, 1, 2**32 - 512, 512, 8 + limits.MAX_UNCLES, bytes((limits.HASHES_ASKED + limits.MAX_UNCLES) * 32)
    ),
]


def test_every_kind() -> None:
    assert receive(encode_all(EVERY_KIND)) == EVERY_KIND


@pytest.mark.parametrize("message", EVERY_KIND)
def test_every_kind_alone_and_nothing_before_it_is_complete(message: m.PlainMessage) -> None:
    data = m.encode(message)
    assert receive(data) == [message]
    assert feed(new_wire(), data[:-1]) == []


def test_bitfield() -> None:
    data = bitfield.to_wire(1 << 1312 | 1, PIECES)
    assert receive(m.encode(m.Bitfield(data))) == [m.Bitfield(data)]


def test_have_none() -> None:
    assert receive(encode_all([m.HaveNone(), m.Unchoke()])) == [m.HaveNone(), m.Unchoke()]


def test_without_extensions_bep_3_is_all_there() -> None:
    messages = [message for message in EVERY_KIND[1:] if not isinstance(message, m.SuggestPiece | m.AllowedFast)]
    messages = [message for message in messages if not isinstance(message, m.RejectRequest)]
    assert receive(encode_all(messages), fast=False, extended=False) == messages


@pytest.mark.parametrize("kind", [10, 11, 12, 18, 19, 24, 255])
def test_unknown_messages_are_named_and_skipped(kind: int) -> None:
    data = raw(kind) + raw(kind, b"x" * 1000) + m.encode(m.Choke())
    assert receive(data) == [m.Unknown(kind), m.Unknown(kind), m.Choke()]


def test_the_longest_unknown_message() -> None:
    assert receive(raw(99, bytes(limits.MAX_EXTENSION))) == [m.Unknown(99)]


def test_many_haves() -> None:
    pieces = [i * 7 % PIECES for i in range(20_000)]
    wire = new_wire()
    assert feed(wire, m.encode_haves(pieces)) == [m.Have(piece) for piece in pieces]
    assert wire.received_bytes == 9 * len(pieces)


@pytest.mark.parametrize("early", [m.KeepAlive(), m.Port(1), None, "unknown"])
def test_these_may_precede_the_bitfield(early: m.PlainMessage | str | None) -> None:
    first = extended(0, b"de") if early is None else raw(99) if isinstance(early, str) else m.encode(early)
    assert receive(first + m.encode(m.HaveAll()))[1:] == [m.HaveAll()]


@pytest.mark.parametrize("news", [m.Bitfield(bitfield.to_wire(7, PIECES)), m.HaveAll()])
def test_what_it_has_may_be_said_anew_at_any_time(news: m.PlainMessage) -> None:
    # aria2 does so when that is shorter than a Have for each new piece.
    before = [m.Bitfield(bitfield.to_wire(1, PIECES)), m.Unchoke(), m.Have(1), m.Request(1, 2, 3), m.Piece(1, 2, BLOCK)]
    assert receive(encode_all([*before, news, news])) == [*before, news, news]


# -- two sides --------------------------------------------------------------------------------------------------------

INDEXES = st.integers(0, PIECES - 1)
BEGINS = st.integers(0, 2**32 - 1)
BITS = st.integers(0, bitfield.full(PIECES)).map(lambda bits: m.Bitfield(bitfield.to_wire(bits, PIECES)))
ROOTS = st.binary(min_size=32, max_size=32)


@st.composite
def hashes(draw: st.DrawFn) -> m.Hashes:
    length = 1 << draw(st.integers(0, 9))
    proofs = draw(st.integers(0, 20))
    index = length * draw(st.integers(0, 2**20))
    return m.Hashes(
        draw(ROOTS), draw(BEGINS), index, length, proofs, b"hash" * 8 * (length + m.uncle_count(length, proofs))
    )


DATA = (st.binary(min_size=1, max_size=40) | st.integers(1, limits.MAX_BLOCK).map(bytes)).map(memoryview)
PLAIN = st.one_of(
    st.sampled_from([m.KeepAlive(), m.Choke(), m.Unchoke(), m.Interested(), m.NotInterested()]),
    st.builds(m.Have, INDEXES),
    st.builds(m.Request, INDEXES, BEGINS, st.integers(1, limits.MAX_REQUEST)),
    st.builds(m.Piece, INDEXES, BEGINS, DATA),
    st.builds(m.Cancel, INDEXES, BEGINS, BEGINS),
    st.builds(m.Port, st.integers(0, 65535)),
    st.builds(m.SuggestPiece, INDEXES),
    st.builds(m.RejectRequest, INDEXES, BEGINS, BEGINS),
    st.builds(m.AllowedFast, INDEXES),
    st.builds(m.HashRequest, ROOTS, *[BEGINS] * 4),
    st.builds(m.HashReject, ROOTS, *[BEGINS] * 4),
    hashes(),
    BITS,
    st.just(m.HaveAll()),
)
STREAMS = st.builds(
    lambda first, rest: first + rest,
    st.lists(st.just(m.HaveNone()), max_size=1),
    st.lists(PLAIN, max_size=30),
)
STEPS = st.sampled_from([1, 2, 3, 5, 13, 17, 100, 5000, 1 << 20])
OURS = m.ExtendedHandshake(extensions=dict(ext.OUR_IDS), client="one", reqq=500, metadata_size=50_000)
METADATA = bytes(range(250)) * 200


@given(STREAMS, STREAMS, STEPS, STEPS)
def test_two_sides(one_says: list[m.PlainMessage], other_says: list[m.PlainMessage], step: int, back: int) -> None:
    one, other = new_wire(), new_wire()
    assert feed(other, one.encode_extended_handshake(OURS) + encode_all(one_says), step) == [OURS, *one_says]
    assert feed(one, other.encode_extended_handshake(OURS) + encode_all(other_says), back) == [OURS, *other_says]
    assert one.peer_extensions == other.peer_extensions == ext.OUR_IDS


@given(STREAMS, STEPS)
def test_counters(messages: list[m.PlainMessage], step: int) -> None:
    wire = new_wire()
    data = encode_all(messages)
    feed(wire, data, step)
    assert wire.received_bytes == len(data)
    assert wire.payload_bytes == sum(len(message.data) for message in messages if isinstance(message, m.Piece))


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_metadata_goes_from_one_to_the_other(step: int) -> None:
    one, other = new_wire(piece_count=None), new_wire()
    for a, b in ((one, other), (other, one)):
        feed(b, a.encode_extended_handshake(OURS))
    got = {}
    for piece in (3, 0, 2, 1):
        asked = one.encode_metadata_request(piece)
        assert asked is not None
        assert feed(other, asked, step) == [m.MetadataRequest(piece)]
        part = METADATA[piece * limits.METADATA_PIECE :][: limits.METADATA_PIECE]
        answer = other.encode_metadata_data(piece, len(METADATA), part)
        assert answer is not None
        (message,) = feed(one, answer, step)
        assert isinstance(message, m.MetadataData)
        got[message.piece] = message.data
    assert b"".join(got[piece] for piece in sorted(got)) == METADATA
    refused = other.encode_metadata_reject(0)
    assert refused is not None
    assert feed(one, refused, step) == [m.MetadataReject(0)]


def test_the_peers_own_ids_are_used() -> None:
    wire = new_wire()
    feed(wire, extended(0, bencode({"m": {"ut_metadata": 42, "upload_only": 7, "lt_donthave": 8, "ut_other": 9}})))
    assert wire.peer_extensions == {"ut_metadata": 42, "upload_only": 7, "lt_donthave": 8}
    for data, number in (
        (wire.encode_metadata_request(0), 42),
        (wire.encode_metadata_data(0, 1, b"x"), 42),
        (wire.encode_metadata_reject(0), 42),
        (wire.encode_upload_only(True), 7),
        (wire.encode_dont_have(5), 8),
    ):
        assert data is not None
        assert data[5] == number


def test_what_the_peer_does_not_speak_is_not_said() -> None:
    wire = new_wire()
    assert wire.encode_metadata_request(0) is None
    assert wire.encode_metadata_data(0, 1, b"x") is None
    assert wire.encode_metadata_reject(0) is None
    assert wire.encode_upload_only(True) is None
    assert wire.encode_dont_have(0) is None
    assert not wire.hears_dont_have


def test_later_handshakes_add_and_take_away() -> None:
    wire = new_wire()
    feed(wire, extended(0, bencode({"m": {"ut_metadata": 3}})))
    feed(wire, extended(0, bencode({"m": {"upload_only": 4}})))
    assert wire.peer_extensions == {"ut_metadata": 3, "upload_only": 4}
    feed(wire, extended(0, bencode({"m": {"ut_metadata": 0, "upload_only": 9}})))
    assert wire.peer_extensions == {"upload_only": 9}


def test_too_many_handshakes_are_not_read_any_more() -> None:
    said = extended(0, bencode({"m": {"ut_metadata": 3}}))
    last = extended(0, bencode({"m": {"ut_metadata": 0}}))
    wire = new_wire()
    read = feed(wire, said * limits.MAX_EXTENDED_HANDSHAKES)
    assert read == [m.ExtendedHandshake(extensions={"ut_metadata": 3})] * limits.MAX_EXTENDED_HANDSHAKES
    assert feed(wire, last) == [m.UnknownExtended(0)]
    assert wire.peer_extensions == {"ut_metadata": 3}


def test_unknown_extended_messages_are_named_and_skipped() -> None:
    data = extended(77, b"xyz") + extended(78, b"de") + extended(200, bytes(limits.MAX_EXTENSION))
    assert receive(data) == [m.UnknownExtended(77), m.UnknownExtended(78), m.UnknownExtended(200)]


# -- before the metadata ----------------------------------------------------------------------------------------------


def test_before_the_metadata_everything_up_to_the_limit_is_kept() -> None:
    field = m.Bitfield(b"\xff" * 1000)
    have = m.Have(limits.MAX_PIECES - 1)
    assert receive(encode_all([field, have]), piece_count=None) == [field, have]


def test_with_the_metadata_the_bounds_are_the_torrents() -> None:
    wire = new_wire(piece_count=None)
    feed(wire, m.encode(m.Have(PIECES)))
    wire.set_piece_count(PIECES)
    assert feed(wire, m.encode(m.Have(PIECES - 1))) == [m.Have(PIECES - 1)]
    with pytest.raises(ProtocolError):
        feed(wire, m.encode(m.Have(PIECES)))


def test_a_bitfield_after_the_metadata_messages() -> None:
    wire = new_wire(piece_count=None)
    feed(
        wire, extended(0, bencode({"m": {"ut_metadata": 3}})) + extended(ext.UT_METADATA, b"d8:msg_typei0e5:piecei0ee")
    )
    wire.set_piece_count(12)
    assert feed(wire, m.encode(m.Bitfield(b"\xff\xf0"))) == [m.Bitfield(b"\xff\xf0")]


# -- illegal streams --------------------------------------------------------------------------------------------------

UNCHOKE = m.encode(m.Unchoke())
FULL = bitfield.to_wire(bitfield.full(PIECES), PIECES)
BITFIELD = m.encode(m.Bitfield(FULL))


@dataclasses.dataclass(frozen=True)
class Illegal:
    """Legal bytes, then illegal ones, of which the first ``seen`` are enough to know."""

    name: str
    bad: bytes
    seen: int
    legal: bytes = b""
    fast: bool = True
    extended: bool = True
    piece_count: int | None = PIECES


def hashes_of(index: int, length: int, proofs: int, count: int) -> bytes:
    """An answer that says one thing and holds another."""
    return m.encode(m.Hashes(b"r" * 32, 0, index, length, proofs, bytes(32 * count)))


HEADER = 5  # length and id
INDEX = 9  # and the piece
ILLEGAL = [
    Illegal("length of all ones", b"\xff\xff\xff\xff\x07", 4),
    Illegal("just longer than anything", raw(5, length=limits.MAX_MESSAGE + 1), 4, piece_count=None),
    Illegal("keep-alives, then too long", b"\x07\0\0\0\0", 4, legal=bytes(4000)),
    Illegal("choke of 5 MB", raw(0, length=5_000_000), 4),
    Illegal("choke of 200 KB", raw(0, length=200_000), HEADER),
    Illegal("choke of 2", raw(0, b"x"), HEADER),
    Illegal("unchoke of 2", raw(1, b"x"), HEADER),
    Illegal("interested of 5", raw(2, b"xxxx"), HEADER),
    Illegal("not interested of 2", raw(3, b"x"), HEADER),
    Illegal("have without a piece", raw(4), HEADER),
    Illegal("have of 4", raw(4, b"xxx"), HEADER),
    Illegal("have of 6", raw(4, b"xxxxx"), HEADER),
    Illegal("have beyond the end", m.encode(m.Have(PIECES)), INDEX),
    Illegal("have of all ones", m.encode(m.Have(2**32 - 1)), INDEX),
    Illegal("have beyond any torrent", m.encode(m.Have(limits.MAX_PIECES)), INDEX, piece_count=None),
    Illegal("bitfield too short", raw(5, FULL[:-1]), HEADER),
    Illegal("bitfield too long", raw(5, FULL + b"\0"), HEADER),
    Illegal("bitfield of nothing", raw(5), HEADER, piece_count=None),
    Illegal("bitfield with the first spare bit", raw(5, FULL[:-1] + b"\xc0"), HEADER + len(FULL)),
    Illegal("bitfield with the last spare bit", raw(5, FULL[:-1] + b"\x81"), HEADER + len(FULL)),
    Illegal("have none twice", m.encode(m.HaveNone()), HEADER, legal=m.encode(m.HaveNone())),
    Illegal("have none after bitfield", m.encode(m.HaveNone()), HEADER, legal=BITFIELD),
    Illegal("have none after have all", m.encode(m.HaveNone()), HEADER, legal=m.encode(m.HaveAll())),
    Illegal("have none late", m.encode(m.HaveNone()), HEADER, legal=m.encode(m.Interested())),
    Illegal("have none after allowed fast", m.encode(m.HaveNone()), HEADER, legal=m.encode(m.AllowedFast(1))),
    Illegal("request of 12", raw(6, bytes(11)), HEADER),
    Illegal("request of 14", raw(6, bytes(13)), HEADER),
    Illegal("request beyond the end", m.encode(m.Request(PIECES, 0, 16384)), 13),
    Illegal("request for nothing", m.encode(m.Request(0, 0, 0)), 17),
    Illegal("request too large", m.encode(m.Request(0, 0, limits.MAX_REQUEST + 1)), 17),
    Illegal("request of 2 GiB", m.encode(m.Request(0, 0, 2**31)), 17),
    Illegal("piece too short for its header", raw(7, bytes(7)), HEADER),
    Illegal("piece without data", raw(7, bytes(8)), HEADER),
    Illegal("piece of one byte too many", raw(7, bytes(8 + limits.MAX_BLOCK + 1)), HEADER),
    Illegal("piece of 200 KB", raw(7, length=200_000), HEADER),
    Illegal("piece beyond the end", m.encode(m.Piece(PIECES, 0, BLOCK)), 13),
    Illegal("piece of all ones", m.encode(m.Piece(2**32 - 1, 0, BLOCK)), 13),
    Illegal("cancel of 9", raw(8, bytes(8)), HEADER),
    Illegal("cancel beyond the end", m.encode(m.Cancel(PIECES, 0, 1)), 17),
    Illegal("port of 2", raw(9, b"x"), HEADER),
    Illegal("port of 5", raw(9, b"xxxx"), HEADER),
    Illegal("suggest without fast", m.encode(m.SuggestPiece(0)), HEADER, fast=False),
    Illegal("have all without fast", m.encode(m.HaveAll()), HEADER, fast=False),
    Illegal("have none without fast", m.encode(m.HaveNone()), HEADER, fast=False),
    Illegal("reject without fast", m.encode(m.RejectRequest(0, 0, 1)), HEADER, fast=False),
    Illegal("allowed fast without fast", m.encode(m.AllowedFast(0)), HEADER, fast=False),
    Illegal("suggest beyond the end", m.encode(m.SuggestPiece(PIECES)), INDEX),
    Illegal("allowed fast beyond the end", m.encode(m.AllowedFast(PIECES)), INDEX),
    Illegal("reject beyond the end", m.encode(m.RejectRequest(PIECES, 0, 1)), 17),
    Illegal("have all of 2", raw(14, b"x"), HEADER),
    Illegal("allowed fast of 1", raw(17), HEADER),
    Illegal("unknown and too long", raw(99, length=limits.MAX_EXTENSION + 2), HEADER),
    Illegal("hash request of 48", raw(21, bytes(47)), HEADER),
    Illegal("hash request of 50", raw(21, bytes(49)), HEADER),
    Illegal("hash reject of 48", raw(23, bytes(47)), HEADER),
    Illegal("hash reject of 81", raw(23, bytes(80)), HEADER),
    Illegal("hashes without a hash", raw(22, bytes(48)), HEADER),
    Illegal("hashes and a part of one", raw(22, length=49 + 64 + 31), HEADER),
    Illegal("a hash too many", raw(22, length=49 + 32 * (limits.HASHES_ASKED + limits.MAX_UNCLES + 1)), HEADER),
    Illegal("hashes said to be none", hashes_of(0, 0, 0, 2), 117),
    Illegal("hashes, three of them", hashes_of(0, 3, 0, 3), 149),
    Illegal("hashes that do not begin where they may", hashes_of(1, 2, 0, 2), 117),
    Illegal("hashes of which there are fewer", hashes_of(0, 4, 0, 2), 117),
    Illegal("hashes of which there are four thousand millions", hashes_of(0, 2**31, 0, 2), 117),
    Illegal("hashes without their uncle", hashes_of(0, 2, 1, 2), 117),
    Illegal("hashes with an uncle in excess", hashes_of(0, 2, 0, 3), 149),
    Illegal("hashes with uncles without end", hashes_of(0, 2, 2**32 - 1, 3), 149),
    Illegal("extended without the extension", extended(0, b"de"), HEADER, extended=False),
    Illegal("extended without an id", raw(20), HEADER),
    Illegal("extended and too long", raw(20, length=limits.MAX_EXTENSION + 3), HEADER),
    Illegal("extension handshake that is none", extended(0, b"xx"), 8),
    Illegal("extension handshake of nothing", extended(0, b""), 6),
    Illegal("extension handshake goes on", extended(0, b"dede"), 10),
    Illegal("metadata without a piece", extended(ext.UT_METADATA, b"d8:msg_typei0ee"), 21),
    Illegal(
        "metadata of the wrong size", extended(ext.UT_METADATA, b"d8:msg_typei1e5:piecei0e10:total_sizei9eexx"), 49
    ),
]


@pytest.mark.parametrize("case", ILLEGAL, ids=lambda case: case.name)
def test_illegal_streams(case: Illegal) -> None:
    def wire() -> PeerWire:
        return new_wire(fast=case.fast, extended=case.extended, piece_count=case.piece_count)

    # Byte by byte: all before it is read, and it is refused as soon as it can be known, not later and not earlier.
    slow = wire()
    assert encode_all(feed(slow, case.legal, 1)) == case.legal  # type: ignore[arg-type]
    assert feed(slow, case.bad[: case.seen - 1], 1) == []
    with pytest.raises(ProtocolError):
        feed(slow, case.bad[case.seen - 1 : case.seen])
    # Whole, and whatever follows is never looked at.
    for more in (b"", UNCHOKE, b"\xff" * 100):
        with pytest.raises(ProtocolError):
            feed(wire(), case.legal + case.bad + more)


def test_there_are_enough_of_them() -> None:
    assert len(ILLEGAL) >= 30
    assert len({case.name for case in ILLEGAL}) == len(ILLEGAL)


# -- anything at all --------------------------------------------------------------------------------------------------


def outcome(wire: PeerWire, data: bytes, step: int) -> tuple[list[m.Message], str]:
    """All messages before the error, and the error's text."""
    found: list[m.Message] = []
    try:
        for at in range(0, len(data), step):
            found += feed(wire, data[at : at + step])
    except ProtocolError as error:
        return found, str(error)
    return found, ""


LIKELY = st.one_of(
    st.binary(max_size=40),
    st.builds(raw, st.integers(0, 24), st.binary(max_size=20)),
    st.builds(lambda kind, size: raw(kind, length=size), st.integers(0, 24), st.integers(0, 2**32 - 1)),
    st.builds(extended, st.integers(0, 4), st.binary(max_size=30)),
    PLAIN.map(m.encode),
)


@given(st.lists(LIKELY, max_size=8).map(b"".join), st.booleans(), st.booleans(), st.sampled_from([None, 1, 8, PIECES]))
def test_fuzz(data: bytes, fast: bool, extended: bool, piece_count: int | None) -> None:
    def run(step: int) -> tuple[list[m.Message], str]:
        return outcome(new_wire(fast=fast, extended=extended, piece_count=piece_count), data, step)

    slowly, refused = run(1)
    whole, refused_whole = run(1 << 30)
    # Only a ProtocolError comes out, and however the bytes arrive it is for the same reason. (What came complete in the
    # very receive that fails is lost with the connection.)
    assert refused == refused_whole
    assert whole == (slowly if not refused else [])


@given(STREAMS, st.data())
def test_fuzz_of_one_wrong_byte(messages: list[m.PlainMessage], data: st.DataObject) -> None:
    stream = bytearray(encode_all([*messages, m.Choke()]))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    found, _ = outcome(new_wire(), bytes(stream), 50)
    assert all(piece < PIECES for piece, *_ in (message for message in found if isinstance(message, tuple)))


# -- the buffer -------------------------------------------------------------------------------------------------------


def test_a_view_lasts_until_the_next_free() -> None:
    wire = new_wire()
    data = m.encode(m.Piece(1, 0, BLOCK))
    wire.free()[: len(data)] = data
    (message,) = wire.received(len(data))
    assert isinstance(message, m.Piece)
    assert message.data == BLOCK
    assert message.data.obj is wire.free().obj, "a view, not a copy"


def test_a_quiet_connection_keeps_one_small_buffer() -> None:
    wire = new_wire()
    buffer = wire.free().obj
    for _ in range(100):
        feed(wire, m.encode(m.Piece(1, 0, BLOCK)) + UNCHOKE)
    assert wire.free().obj is buffer
    assert len(wire.free()) == FIRST_BUFFER


def test_a_fast_connection_gets_a_large_one_and_no_larger() -> None:
    wire = new_wire()
    block = m.encode(m.Piece(1, 0, BLOCK))
    feed(wire, block * 100)
    assert len(wire.free()) > 256 * 1024 - len(block)
    buffer = wire.free().obj
    feed(wire, block * 100)
    assert wire.free().obj is buffer


@pytest.mark.parametrize(
    "announced",
    [raw(5, length=limits.MAX_MESSAGE), raw(7, length=16384 + 9) + bytes(8), raw(99, length=limits.MAX_EXTENSION)],
)
def test_an_announced_length_makes_nothing_grow(announced: bytes) -> None:
    wire = PeerWire(fast=True, extended=True)
    feed(wire, announced)
    assert len(wire.free()) + len(announced) == FIRST_BUFFER


def test_room_grows_with_what_has_come() -> None:
    wire = PeerWire(fast=True, extended=True)
    data = m.encode(m.Bitfield(b"\xff" * (limits.MAX_PIECES // 8)))
    for at in range(0, len(data), 1000):
        assert len(wire.free()) + at <= max(FIRST_BUFFER, 2 * at)
        found = feed(wire, data[at : at + 1000])
    assert found == [m.Bitfield(data[5:])]
    assert len(wire.free()) <= 4 + limits.MAX_MESSAGE


@given(STREAMS, STEPS, st.sampled_from([1, 5, 64, 1000, 20_000, 100_000]))
def test_any_size_of_buffer_will_do(messages: list[m.PlainMessage], step: int, buffer_size: int) -> None:
    wire = PeerWire(fast=True, extended=True, piece_count=PIECES, buffer_size=buffer_size)
    assert feed(wire, encode_all(messages), step) == messages


@pytest.mark.parametrize("n", [-1, FIRST_BUFFER + 1])
def test_more_than_there_was_room_for_is_our_own_bug(n: int) -> None:
    wire = new_wire()
    wire.free()
    with pytest.raises(ValueError, match="bytes received into"):
        wire.received(n)


def test_one_peer_exchange_is_read_and_then_none_until_its_owner_wants_another() -> None:
    wire = new_wire()
    said = ext.encode_pex(ext.UT_PEX, m.Pex(dropped=()))
    deaf = m.UnknownExtended(ext.UT_PEX)
    garbage = said[:-2] + b"xx"
    assert feed(wire, said + said + garbage) == [m.Pex(), deaf, deaf]
    assert feed(wire, said) == [deaf]
    wire.hears_pex = True
    assert feed(wire, said * 2) == [m.Pex(), deaf]
    wire.hears_pex = True
    with pytest.raises(ProtocolError):
        feed(wire, garbage)
