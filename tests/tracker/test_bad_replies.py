"""No answer of a tracker does more harm than to be an error of that tracker."""

import struct

import pytest
from hypothesis import given, strategies as st

from tests.net.memory import MemoryDatagrams, MemoryNetwork, Server
from tests.tracker import bad_replies
from torrentlite.bencode import encode
from torrentlite.errors import TrackerError
from torrentlite.metainfo.text import display
from torrentlite.net.http import HttpClient
from torrentlite.net.udp import UdpPort
from torrentlite.tracker.announce import AnnounceReply, AnnounceRequest, parse_announce, parse_scrape
from torrentlite.tracker.client import TrackerClient
from torrentlite.wire.address import Scope

REQUEST = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=6881)


def check(reply: AnnounceReply, expected: dict) -> None:
    expected = dict(expected)
    if "count" in expected:
        assert len(reply.peers) == expected.pop("count")
    assert {name: getattr(reply, name) for name in expected} == expected


@pytest.mark.parametrize("name", bad_replies.HTTP)
def test_bodies(name):
    body, expected = bad_replies.HTTP[name]
    if isinstance(expected, str):
        with pytest.raises(TrackerError, match=expected) as caught:
            parse_announce(body)
        assert len(str(caught.value)) < 400
    else:
        check(parse_announce(body), expected)


async def ask(url: str, network: MemoryNetwork, udp: UdpPort | None = None) -> AnnounceReply:
    http = HttpClient(network, user_agent="test")
    try:
        return await TrackerClient(network, http, udp, secret=bytes).announce(url, REQUEST)
    finally:
        await http.aclose()


@pytest.mark.parametrize("name", bad_replies.HTTP_RAW)
async def test_answers(name, nursery, autojump_clock):
    raw, expected = bad_replies.HTTP_RAW[name]
    network = MemoryNetwork(nursery)
    network.names["t.example"] = ["192.0.2.1"]
    network.serve("192.0.2.1", 80, Server(raw))
    if isinstance(expected, str):
        with pytest.raises(TrackerError, match=expected):
            await ask("http://t.example/announce", network)
    else:
        check(await ask("http://t.example/announce", network), expected)


@pytest.mark.parametrize("name", bad_replies.UDP)
async def test_datagrams(name, nursery, autojump_clock):
    action, rest, expected = bad_replies.UDP[name]

    def tracker(data, to):
        asked, transaction_id = struct.unpack_from(">II", data, 8)
        if asked == 0:
            return [(struct.pack(">IIQ", 0, transaction_id, 1), to)]
        return [(struct.pack(">II", action, transaction_id) + rest, to)]

    network = MemoryNetwork(nursery)
    port = UdpPort([MemoryDatagrams(tracker)])
    await nursery.start(port.run)
    if isinstance(expected, str):
        with pytest.raises(TrackerError, match=expected):
            await ask("udp://192.0.2.1:80", network, port)
    else:
        check(await ask("udp://192.0.2.1:80", network, port), expected)


values = st.recursive(
    st.integers() | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    [b"interval", b"min interval", b"peers", b"peers6", b"complete", b"incomplete", b"warning message", b"tracker id",
     b"external ip", b"failure reason", b"files", b"ip", b"port"]
)  # fmt: skip


def outcomes(body: bytes) -> list[object]:
    """What the parsers make of it: replies, or the texts of their errors."""
    found: list[object] = []
    for parse in (parse_announce, parse_scrape):
        try:
            found.append(parse(body))
        except TrackerError as error:
            found.append(str(error))
    return found


@given(st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=3), max_size=6))
def test_any_dictionary_is_a_reply_or_a_tracker_error(answer):
    for outcome in outcomes(encode(answer)):
        if isinstance(outcome, str):
            assert display(outcome, limit=400) == outcome
        elif isinstance(outcome, AnnounceReply):
            assert all(peer.scope is not Scope.FORBIDDEN for peer in outcome.peers)
            assert display(outcome.warning) == outcome.warning


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_a_tracker_error(body):
    for outcome in outcomes(body):
        assert not isinstance(outcome, str) or display(outcome, limit=400) == outcome
