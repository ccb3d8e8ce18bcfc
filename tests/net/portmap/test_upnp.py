import pytest
from hypothesis import given, strategies as st

from tests.net.portmap.bad_xml import BAD_XML
from tests.net.portmap.conftest import PORT
from tests.net.portmap.scripted import DESCRIPTION, ENVELOPE, FAULT
from torrentlite import limits
from torrentlite.net.portmap import igd, ssdp
from torrentlite.net.portmap.lease import GatewayError, Transport
from torrentlite.net.portmap.markup import parse_xml
from torrentlite.net.url import parse_url
from torrentlite.testing import simulated

LOCATION = parse_url("http://192.168.1.1:5000/rootDesc.xml")


def description(**changes) -> bytes:
    parts = {"base": "", "version": 1, "service": "WANIPConnection", "control": "/ctl"}
    return DESCRIPTION.format(**parts | changes).encode()


# -- through the mapper


@pytest.mark.parametrize(
    ("service", "version"), [("WANIPConnection", 1), ("WANIPConnection", 2), ("WANPPPConnection", 1)]
)
@simulated()
async def test_gateways_of_every_kind(world, home, service, version):
    async with home(world, speaks=("upnp",), version=version) as here:
        here.router.service = service
        here.start()
        assert (await here.until("mapped")).protocol == "UPnP"
        assert here.router.mappings["TCP", PORT] == ("192.168.1.2", PORT, limits.MAP_LIFETIME)


@pytest.mark.parametrize("code", [725, 402, 501])
@simulated()
async def test_a_gateway_without_leases(world, home, code):
    async with home(world, speaks=("upnp",)) as here:
        here.router.faults = {"AddPortMapping": [code]}
        here.start()
        stats = await here.until("mapped")
        assert {inside[2] for inside in here.router.mappings.values()} == {0}
        assert stats.expires == -1
        assert here.asked("upnp").count("AddPortMapping TCP") == 2
        assert here.asked("upnp").count("AddPortMapping UDP") == 1, "it is remembered"
        await here.leave()
        assert here.router.mappings == {}


@simulated()
async def test_a_port_of_somebody_else_is_never_closed(world, home):
    async with home(world, speaks=("upnp",)) as here:
        here.router.mappings = {("TCP", PORT): ("192.168.1.9", PORT, 0)}
        here.start()
        assert (await here.until("mapped")).tcp_port != PORT
        await here.leave()
        assert here.router.mappings == {("TCP", PORT): ("192.168.1.9", PORT, 0)}


@simulated()
async def test_nor_one_that_was_refused_for_another_reason(world, home):
    async with home(world, speaks=("upnp",)) as here:
        here.router.mappings = {("TCP", PORT): ("192.168.1.9", PORT, 0)}
        here.router.faults = {"AddPortMapping": [606]}
        here.start()
        await here.until("failed")
        await here.leave()
        assert here.router.mappings == {("TCP", PORT): ("192.168.1.9", PORT, 0)}


@simulated()
async def test_every_port_is_taken(world, home):
    async with home(world, speaks=("upnp",)) as here:
        here.router.faults = {"AddPortMapping": [718] * 100}
        here.start()
        await here.until("failed")
        assert here.asked("upnp").count("AddPortMapping TCP") == 1 + limits.MAP_OTHER_PORTS


@simulated()
async def test_tcp_alone_is_better_than_nothing(world, home):
    async with home(world, speaks=("upnp",)) as here:
        act = here.router.act

        def no_udp(action, arguments):
            return (606, {}) if arguments.get("NewProtocol") == "UDP" else act(action, arguments)

        here.router.act = no_udp
        here.start()
        stats = await here.until("mapped")
        assert (stats.tcp_port, stats.udp_port) == (PORT, 0)
        assert list(here.router.mappings) == [("TCP", PORT)]


@pytest.mark.parametrize("external", ["", "0.0.0.0", "fe80::1", "router", "&lt;b&gt;", "1.2.3.4.5"])
@simulated()
async def test_an_address_that_is_none(world, home, external):
    async with home(world, speaks=("upnp",)) as here:
        here.router.external = external
        here.start()
        stats = await here.until("mapped")
        assert stats.external_host == ""
        assert "not public" not in stats.message


@simulated()
async def test_a_base_elsewhere_does_not_count(world, home):
    async with home(world, speaks=("upnp",)) as here:
        here.router.base = "<URLBase>http://192.168.1.3/</URLBase>"
        here.router.control = "ctl/IPConn"
        here.start()
        await here.until("mapped")


# -- the pure parts


def test_a_description():
    (service,) = igd.parse_description(description(), LOCATION)
    assert service.type == "urn:schemas-upnp-org:service:WANIPConnection:1"
    assert str(service.control) == "http://192.168.1.1:5000/ctl"
    (service,) = igd.parse_description(
        description(base="<URLBase>http://192.168.1.1:80/x/</URLBase>", control="y"), LOCATION
    )
    assert str(service.control) == "http://192.168.1.1:80/x/y"
    (service,) = igd.parse_description(description(control="http://192.168.1.1:81/z?a&amp;b"), LOCATION)
    assert str(service.control) == "http://192.168.1.1:81/z?a&b"


def test_the_best_service_comes_first_and_not_all_of_a_thousand():
    kinds = ["WANPPPConnection:1", "WANIPConnection:1", "WANIPConnection:2", "WANIPConnection:1"]
    services = "".join(
        f"<service><serviceType>urn:schemas-upnp-org:service:{kind}</serviceType><controlURL>/{i}</controlURL></service>"
        for i, kind in enumerate(kinds)
    )
    found = igd.parse_description(f"<root>{services}</root>".encode(), LOCATION)
    assert [service.control.target for service in found] == ["/2", "/1", "/3", "/0"]
    many = "".join(
        f"<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
        f"<controlURL>/{i}</controlURL></service>"
        for i in range(400)
    )
    assert len(igd.parse_description(f"<root>{many}</root>".encode(), LOCATION)) == limits.MAP_MAX_SERVICES


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml_describes_nothing(name):
    with pytest.raises(GatewayError):
        igd.parse_description(BAD_XML[name], LOCATION)


@pytest.mark.parametrize("name", BAD_XML)
@pytest.mark.parametrize("status", [200, 500])
def test_bad_xml_answers_nothing(name, status):
    with pytest.raises(GatewayError):
        igd.parse_reply(BAD_XML[name], "AddPortMapping", status)


def test_xml_that_is_well():
    root = parse_xml(
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><!-- c --><a:r xmlns:a="x">\r\n<b>1 &lt; 2 &#65;</b>'
        b"<b>other</b><c><![CDATA[<x>]]></c><d a='1'/></a:r>\n\0"
    )
    assert root.name == "r"
    assert [(child.name, child.text) for child in root.children] == [
        ("b", "1 < 2 A"),
        ("b", "other"),
        ("c", "<x>"),
        ("d", ""),
    ]
    assert root.value("b") == "1 < 2 A"
    assert root.value("x") == ""


def test_an_encoding_that_is_claimed_does_not_count():
    assert parse_xml('<?xml version="1.0" encoding="latin-1"?><r>é</r>'.encode()).text == "é"


@given(st.binary(max_size=200))
def test_any_bytes_are_xml_or_refused(data):
    for text in (data, b"<r>" + data + b"</r>", description() + data):
        try:
            parse_xml(text)
        except GatewayError:
            pass


def call(action: str, inner: str = "") -> bytes:
    return ENVELOPE.format(f'<u:{action}Response xmlns:u="x">{inner}</u:{action}Response>').encode()


def test_answers():
    assert igd.parse_reply(call("Get", "<A>1</A><B/>"), "Get", 200) == {"A": "1", "B": ""}
    for body, status in [
        (call("Other"), 200),
        (call("Get"), 500),
        (call("Get"), 404),
        (call("Get"), 302),
        (b"<r/>", 200),
    ]:
        with pytest.raises(GatewayError) as caught:
            igd.parse_reply(body, "Get", status)
        assert caught.value.code == 0


@pytest.mark.parametrize(("code", "known"), [("718", 718), ("", 0), ("x", 0), ("-1", 0), ("9" * 900, 0), ("٣", 0)])
def test_refusals(code, known):
    body = ENVELOPE.format(FAULT.format(code, "No\x1b".replace("\x1b", "&#8238;") + "x" * 500)).encode()
    for status in (500, 200):
        with pytest.raises(GatewayError, match="refuses") as caught:
            igd.parse_reply(body, "Get", status)
        assert caught.value.code == known
        assert len(str(caught.value)) < 200
        assert str(caught.value).isprintable()


def test_a_call():
    service = igd.Service("urn:x:1", LOCATION)
    body = igd.envelope(service, "AddPortMapping", igd.add_arguments(Transport.UDP, 1, 2, "192.168.1.2", 3600))
    inner = parse_xml(body).find("AddPortMapping")
    assert [(child.name, child.text) for child in inner.children] == [
        ("NewRemoteHost", ""),
        ("NewExternalPort", "1"),
        ("NewProtocol", "UDP"),
        ("NewInternalPort", "2"),
        ("NewInternalClient", "192.168.1.2"),
        ("NewEnabled", "1"),
        ("NewPortMappingDescription", "torrentlite"),
        ("NewLeaseDuration", "3600"),
    ]
    assert igd.headers_of(service, "X")["SOAPAction"] == '"urn:x:1#X"'


def test_searches():
    for search in ssdp.searches():
        lines = search.decode().split("\r\n")
        assert lines[0] == "M-SEARCH * HTTP/1.1"
        assert lines[1] == "HOST: 239.255.255.250:1900"
        assert 'MAN: "ssdp:discover"' in lines
        assert lines[-2:] == ["", ""]


ANSWER = b"HTTP/1.1 200 OK\r\nST:urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\nLocation: http://192.168.1.1:5/x\r\n\r\n"


def test_an_answer_of_the_gateway_and_of_others():
    assert str(ssdp.parse_answer(ANSWER, "192.168.1.1")) == "http://192.168.1.1:5/x"
    assert ssdp.parse_answer(ANSWER, "192.168.1.3") is None
    assert ssdp.parse_answer(ANSWER.replace(b"Location", b"loCation"), "192.168.1.1")


@given(st.binary(max_size=300), st.integers(0, len(ANSWER)))
def test_any_datagram_is_an_answer_or_none(data, where):
    for datagram in (data, ANSWER[:where] + data + ANSWER[where:]):
        url = ssdp.parse_answer(datagram, "192.168.1.1")
        assert url is None or (url.scheme, url.host, url.credentials) == ("http", "192.168.1.1", "")


def _nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


@pytest.mark.parametrize(
    ("most", "document"),
    [
        (limits.MAP_MAX_DEPTH, _nested),
        (limits.MAP_MAX_ELEMENTS, lambda count: b"<r>" + b"<a/>" * (count - 1) + b"</r>"),
        (limits.MAP_MAX_TEXT, lambda length: b"<r>" + b"x" * length + b"</r>"),
        (limits.MAP_MAX_XML, lambda size: b"<r>" + b" " * (size - 7) + b"</r>"),
    ],
    ids=["depth", "elements", "text", "size"],
)
def test_as_much_xml_as_is_read_and_no_more(most, document):
    parse_xml(document(most))
    with pytest.raises(GatewayError, match="refused"):
        parse_xml(document(most + 1))


def test_the_longest_answer_to_a_search():
    answer = b"HTTP/1.1 200 OK\r\nST: %s\r\nLOCATION: http://192.168.1.1:5000/x\r\nX: " % ssdp.TARGETS[0].encode()
    full = answer + b"x" * (limits.MAP_MAX_SSDP - len(answer) - 4) + b"\r\n\r\n"
    assert len(full) == limits.MAP_MAX_SSDP
    assert ssdp.parse_answer(full, "192.168.1.1") is not None
    assert ssdp.parse_answer(full + b" ", "192.168.1.1") is None
