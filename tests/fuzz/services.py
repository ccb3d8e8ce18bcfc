"""Targets: what trackers, DHT nodes and gateways answer, and what lies in the state folder."""

from __future__ import annotations

import hashlib
import struct
import tempfile
import zlib

from tests.fuzz.target import Target
from tests.net.portmap.bad_xml import BAD_XML, HEAD, SERVICE
from tests.tracker.bad_replies import HTTP, UDP
from torrentlite import limits
from torrentlite.bencode import decode, encode
from torrentlite.dht import krpc
from torrentlite.dht.item import make_item, read_item
from torrentlite.dht.state import load as load_state
from torrentlite.errors import BencodeError, ProtocolError, TrackerError
from torrentlite.metainfo.text import display
from torrentlite.net.portmap import igd, natpmp, pcp, ssdp
from torrentlite.net.portmap.gateway import parse_routes
from torrentlite.net.portmap.lease import GatewayError, Transport
from torrentlite.net.url import parse_url
from torrentlite.storage.journal import Journal, Kind, _record
from torrentlite.tracker import announce, packets
from torrentlite.wire.address import Address, Scope

_REPLIES = [body for body, _ in HTTP.values() if len(body) < 5000]
_WORDS = [
    b"interval", b"min interval", b"peers", b"peers6", b"complete", b"incomplete", b"failure reason", b"warning message",
    b"tracker id", b"external ip", b"ip", b"port", b"files", b"downloaded", b"h" * 20,
]  # fmt: skip
KRPC = [
    krpc.encode_query(b"tttt", b"q" * 20, b"ping", {}),
    krpc.encode_query(b"tttt", b"q" * 20, b"find_node", {b"target": b"t" * 20, b"want": [b"n4", b"n6"]}),
    krpc.encode_query(b"tttt", b"q" * 20, b"get_peers", {b"info_hash": b"t" * 20, b"scrape": 1, b"noseed": 1}),
    krpc.encode_query(b"tttt", b"q" * 20, b"announce_peer", {b"info_hash": b"t" * 20, b"port": 5, b"implied_port": 1, b"token": b"x"}),
    krpc.encode_query(b"tttt", b"q" * 20, b"get", {b"target": b"t" * 20, b"seq": 1}),
    krpc.encode_query(b"tttt", b"q" * 20, b"put", {b"v": b"hello", b"token": b"x", b"k": b"k" * 32, b"sig": b"s" * 64, b"seq": 1, b"salt": b"s", b"cas": 1}),
    krpc.encode_query(b"tttt", b"q" * 20, b"sample_infohashes", {b"target": b"t" * 20}, read_only=True),
    krpc.encode_reply(b"tttt", b"r" * 20, {b"nodes": b"n" * 26, b"nodes6": b"m" * 38, b"token": b"x", b"values": [b"\1\2\3\4\0\5"]}, Address("1.2.3.4", 5)),
    krpc.encode_reply(b"tttt", b"r" * 20, {b"v": b"hello", b"BFpe": bytes(256), b"BFsd": bytes(256), b"interval": 0, b"num": 5, b"samples": b"h" * 40}, Address("2001:db8::1", 5)),
    krpc.encode_refusal(b"tttt", krpc.Code.PROTOCOL, "no", Address("1.2.3.4", 5)),
    b"d1:eli201ee1:t4:tttt1:y1:ee",
]  # fmt: skip
"""Messages of the DHT of all kinds."""
DHT_WORDS = [
    b"ping", b"find_node", b"get_peers", b"announce_peer", b"get", b"put", b"sample_infohashes", b"target", b"info_hash", b"token", b"nodes",
    b"nodes6", b"values", b"want", b"n4", b"n6", b"scrape", b"noseed", b"seq", b"sig", b"salt", b"cas", b"k", b"v", b"ro", b"ip", b"BFpe", b"BFsd",
    b"id", b"port", b"implied_port", b"q" * 20, b"tttt",
]  # fmt: skip


def _announce(data: bytes) -> None:
    announce.refusal(data)
    reply = announce.parse_announce(data)
    assert 0 <= reply.interval < 1 << 32
    assert len(reply.peers) <= limits.MAX_TRACKER_PEERS
    assert all(peer.scope is not Scope.FORBIDDEN for peer in reply.peers)
    assert reply.warning == display(reply.warning)


def _scrape(data: bytes) -> None:
    announce.parse_scrape(data)


def _scrape_target(data: bytes) -> None:
    announce.scrape_target(data.decode("latin-1"))


def _packets(data: bytes) -> None:
    if len(data) < 20:  # shorter ones do not get so far: the session of a tracker tries them
        return
    packets.is_error(data)
    for read in (
        lambda: packets.parse_connect(data),
        lambda: packets.parse_announce(data, ipv6=False),
        lambda: packets.parse_announce(data, ipv6=True),
        lambda: packets.parse_scrape(data, [b"h" * 20] * 3),
    ):
        try:
            read()
        except TrackerError as error:
            assert str(error) == display(str(error))  # noqa: PT017


def _krpc(data: bytes) -> None:
    message = krpc.parse(data)
    assert 0 < len(message.transaction) <= limits.DHT_MAX_TRANSACTION


def _item(data: bytes) -> None:
    values = decode(data, max_depth=limits.DHT_MAX_DEPTH)
    if isinstance(values, dict):
        for target in (b"t" * 20, make_item(b"hello").target):
            item = read_item(values, target, b"")
            assert item is None or item.target == target


def _state(data: bytes) -> None:
    load_state(data)
    state = load_state(b"tl-dht 1\n" + hashlib.sha256(data).digest() + data)
    for contacts in state.nodes.values():
        assert len(contacts) <= limits.DHT_SAVED_NODES
        assert all(contact.address.scope is not Scope.FORBIDDEN for contact in contacts)


def _natpmp(data: bytes) -> None:
    for transport in Transport:
        natpmp.parse_mapping(data, transport, 6881)
    natpmp.parse_address(data)


def _pcp(data: bytes) -> None:
    for transport in Transport:
        pcp.parse_mapping(data, b"n" * 12, transport, 6881)
    pcp.parse_announce(data)


def _ssdp(data: bytes) -> None:
    url = ssdp.parse_answer(data, "192.168.1.1")
    assert url is None or url.host == "192.168.1.1"


_LOCATION = parse_url("http://192.168.1.1:5000/desc.xml")


def _description(data: bytes) -> None:
    for service in igd.parse_description(data, _LOCATION):
        assert service.control.host == "192.168.1.1"


def _soap(data: bytes) -> None:
    values = igd.parse_reply(data, "GetExternalIPAddress", 500 if data[:1] == b"5" else 200)
    igd.external_host(values)


def _routes(data: bytes) -> None:
    for order in ("little", "big"):
        host = parse_routes(data.decode("latin-1"), order)
        assert host is None or host.count(".") == 3


_FOLDER = tempfile.gettempdir()
_PIECES = 40


def _journal() -> Journal:
    return Journal(_FOLDER, b"h" * 20, _FOLDER, _PIECES)


def _resume(data: bytes) -> None:
    _check_resume(_journal(), data)


def _check_resume(journal: Journal, data: bytes) -> None:
    state = journal._parse(data)
    assert not state.synced >> _PIECES
    assert all(0 <= piece < _PIECES for piece in state.written)
    if not state.known:
        assert not (state.synced or state.written or state.stamps or state.clean)


def _records(data: bytes) -> None:
    """Records of any content, each rightly sealed: (kind, length, payload) after one another."""
    journal = _journal()
    out, crc, at = [journal._header], zlib.crc32(journal._header), 0
    while at + 2 <= len(data):
        kind, size = data[at], data[at + 1]
        record, crc = _record(kind, data[at + 2 : at + 2 + size], crc)  # type: ignore[arg-type]
        out.append(record)
        at += 2 + size
    _check_resume(journal, b"".join(out))


def _record_of(kind: Kind, payload: bytes) -> bytes:
    return bytes([kind, len(payload)]) + payload


_RECORDS = [
    _record_of(Kind.HAVE, b"\3") + _record_of(Kind.WRITTEN, struct.pack("<II", 5, 3)) + _record_of(Kind.CLEAN, b""),
    _record_of(Kind.HAVE, b"")
    + _record_of(Kind.STAMPS, struct.pack("<IQQQ", 0, 5, 6, 7))
    + _record_of(Kind.SYNCED, struct.pack("<II", 0, 40)),
    _record_of(Kind.HAVE, b"\xff" * 5) + _record_of(Kind.WRITTEN, struct.pack("<IIII", 0, 2, 39, 1)),
]


def _sealed(data: bytes) -> bytes:
    header = _journal()._header
    record, _ = _record(Kind.HAVE, data, zlib.crc32(header))
    return header + record


TARGETS = [
    Target("tracker.announce", _announce, _REPLIES, (TrackerError,), 5000, _WORDS),
    Target("tracker.scrape", _scrape, [encode({"files": {b"h" * 20: {"complete": 1, "incomplete": 2, "downloaded": 3}}}), *_REPLIES[:5]], (TrackerError,), 5000, _WORDS),
    Target("tracker.scrape-url", _scrape_target, [b"/announce", b"/x/announce.php?a=b", b"/a?announce"], (TrackerError,), 300),
    Target("tracker.packets", _packets, [struct.pack(">II", action, 7) + rest for action, rest, _ in UDP.values() if len(rest) < 5000], (), 5000),
    Target("dht.krpc", _krpc, KRPC, (ProtocolError,), 5000, DHT_WORDS),
    Target("dht.item", _item, [encode({"v": b"hello"}), encode({"v": 5, "k": b"k" * 32, "sig": b"s" * 64, "seq": 1})], (BencodeError,), 3000, DHT_WORDS),
    Target("dht.state", _state, [encode({"id4": b"i" * 20, "nodes4": b"n" * 26 * 3, "id6": b"j" * 20, "nodes6": b"m" * 38})], (), 8000, [b"id4", b"id6", b"nodes4", b"nodes6"]),
    Target("portmap.natpmp", _natpmp, [bytes.fromhex("0080 0000 0000002a 0b090909"), bytes.fromhex("0082 0000 0000002a 1ae1 1ae2 00000e10"), bytes.fromhex("0081 0003 0000002a")], (GatewayError,), 64),
    Target("portmap.pcp", _pcp, [bytes.fromhex("0281 0000 00000e10 0000002a 000000000000000000000000") + b"n" * 12 + bytes.fromhex("06000000 1ae1 1ae2 00000000000000000000ffff0b090909"), bytes.fromhex("0280 0000 00000000 0000002a") + bytes(12), b"\0\x80\0\1"], (GatewayError,), 1200),
    Target("portmap.ssdp", _ssdp, [b"HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:service:WANIPConnection:1\r\nLocation: http://192.168.1.1:5000/d.xml\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"], (), 2100, [b"Location: ", b"ST: ", b"http://", b"192.168.1.1", b"@", b"\r\n"]),
    Target("portmap.description", _description, [HEAD + b"<root><URLBase>http://192.168.1.1:5000/</URLBase>" + SERVICE + b"</root>", *[xml for xml in BAD_XML.values() if len(xml) < 4000]], (GatewayError,), 6000, [SERVICE, b"<controlURL>", b"http://", b"//", b"&amp;", b"<!DOCTYPE", b"<![CDATA[", b"]]>"]),
    Target("portmap.soap", _soap, [b"<e><Body><GetExternalIPAddressResponse><NewExternalIPAddress>8.8.8.8</NewExternalIPAddress></GetExternalIPAddressResponse></Body></e>", b"<e><UPnPError><errorCode>718</errorCode><errorDescription>no</errorDescription></UPnPError></e>"], (GatewayError,), 4000),
    Target("portmap.routes", _routes, [b"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"], (), 3000),
    Target("storage.journal", _resume, [_journal()._header, _sealed(b"\3"), _sealed(b"\xff" * 5), _sealed(b"\xff" * 6)], (), 2000),
    Target("storage.records", _records, _RECORDS, (), 2000),
]  # fmt: skip
