"""A gateway of our own making that speaks PCP, NAT-PMP and UPnP, on real or simulated sockets, and lies on demand.

It is the proof where no real one can run; ``test_miniupnpd.py`` has the real one.
"""

import re
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import trio

from torrentlite.errors import NetworkError
from torrentlite.net.network import Network, Stream
from torrentlite.net.portmap.gateway import Gateway
from torrentlite.wire.address import Address

ALL = ("pcp", "natpmp", "upnp")
OUTSIDE = "11.9.9.9"
OPCODES = {1: "UDP", 2: "TCP"}
PROTOCOLS = {17: "UDP", 6: "TCP"}

DESCRIPTION = """<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0">{base}
 <specVersion><major>1</major><minor>0</minor></specVersion>
 <device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:{version}</deviceType>
  <serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>
   <controlURL>/ctl/L3F</controlURL></service></serviceList>
  <deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:{version}</deviceType>
   <deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:{version}</deviceType>
    <serviceList><service><serviceType>urn:schemas-upnp-org:service:{service}:{version}</serviceType>
     <controlURL>{control}</controlURL></service></serviceList></device></deviceList>
  </device></deviceList></device></root>"""

ENVELOPE = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body>
</s:Envelope>"""
FAULT = """<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>
<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{}</errorCode><errorDescription>{}</errorDescription>
</UPnPError></detail></s:Fault>"""


def same(request, reply):
    return reply


class ScriptedGateway:
    """See ``serving``.

    Attributes:
        mappings: what is open: (TCP or UDP, port outside) -> (client, port inside, seconds).
        heard: what was asked, as (protocol, what) each.
        epoch: seconds that it says it has been up; None: as long as it really has.
        conflicts: ports outside that belong to others.
        refuses: the refusal that NAT-PMP (also PCP) answers a request for a port with.
        faults: the refusals of UPnP, by action, the first of each taken in turn.
        twist: makes the reply that goes out of (request, proper reply); a list for several, None for none.
        twist_ssdp, twist_http: likewise; the last of them for whole HTTP answers.
    """

    def __init__(self, network: Network, host: str, *, speaks: tuple[str, ...] = ALL, version: int = 1) -> None:
        self.network = network
        self.host = host
        self.speaks = speaks
        self.mappings: dict[tuple[str, int], tuple[str, int, int]] = {}
        self.heard: list[tuple[str, str]] = []
        self.epoch: int | None = None
        self.lifetime: int | None = None
        self.conflicts: set[int] = set()
        self.refuses = 0
        self.faults: dict[str, list[int]] = {}
        self.external = OUTSIDE
        self.version = version
        self.service = "WANIPConnection"
        self.control = "/ctl/IPConn"
        self.base = ""
        self.location = ""
        self.twist: Callable = same
        self.twist_ssdp: Callable = same
        self.twist_http: Callable = same
        self.gateway = Gateway(host, 0, 0)
        self.nonces: dict[tuple[str, str, int], bytes] = {}
        self.born = trio.current_time()

    async def serve(self, *, nat_port: int = 0, ssdp_port: int = 0, task_status=trio.TASK_STATUS_IGNORED) -> None:
        (nat,) = await self.network.open_datagrams(self.host, nat_port)
        (found,) = await self.network.open_datagrams(self.host, ssdp_port)
        (http,) = await self.network.listen(self.host, 0, fallback=False)
        self.gateway = Gateway(self.host, nat.address.port, found.address.port)
        self.http = http.address
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.serve_datagrams, nat, self.got_nat)
                nursery.start_soon(self.serve_datagrams, found, self.got_search)
                nursery.start_soon(self.serve_http, http, nursery)
                task_status.started()
        finally:
            for socket in (nat, found, http):
                socket.close()

    async def serve_datagrams(self, socket, got) -> None:
        while True:
            for data, sender in await socket.receive():
                replies = got(data, sender)
                for reply in [replies] if isinstance(replies, bytes) else replies or []:
                    socket.send(reply, sender)

    # -- NAT-PMP and PCP

    def now(self) -> int:
        return int(trio.current_time() - self.born) if self.epoch is None else self.epoch

    def grant(self, transport: str, client: str, internal: int, wish: int, lifetime: int) -> tuple[int, int]:
        """The port outside and its lifetime."""
        for key, value in list(self.mappings.items()):
            if key[0] == transport and value[:2] == (client, internal):
                if not lifetime:
                    del self.mappings[key]
                    return key[1], 0
                wish = key[1]
        if not lifetime:
            return 0, 0
        while not wish or wish in self.conflicts:
            wish = 20_000 if not wish else wish + 1
        self.mappings[transport, wish] = (client, internal, lifetime)
        return wish, lifetime if self.lifetime is None else self.lifetime

    def got_nat(self, data: bytes, sender: Address):
        if data[0] == 0 and "natpmp" in self.speaks:
            reply = self.natpmp(data, sender)
        elif data[0] == 2 and "pcp" in self.speaks:
            reply = self.pcp(data, sender)
        elif data[0] == 2 and "natpmp" in self.speaks:
            reply = struct.pack(">BBHI", 0, 128 + data[1], 1, self.now())
        else:
            return None
        return self.twist(data, reply)

    def natpmp(self, data: bytes, sender: Address) -> bytes:
        if data == b"\0\0":
            self.heard.append(("natpmp", "address"))
            return struct.pack(">BBHI", 0, 128, 0, self.now()) + IPv4Address(self.external).packed
        _, opcode, _, internal, wish, lifetime = struct.unpack(">BBHHHI", data)
        self.heard.append(("natpmp", f"{'map' if lifetime else 'unmap'} {OPCODES[opcode]}"))
        if self.refuses:
            return struct.pack(">BBHI", 0, 128 + opcode, self.refuses, self.now())
        port, lifetime = self.grant(OPCODES[opcode], sender.host, internal, wish, lifetime)
        return struct.pack(">BBHIHHI", 0, 128 + opcode, 0, self.now(), internal, port, lifetime)

    def pcp(self, data: bytes, sender: Address) -> bytes:
        _, opcode, _, lifetime, client = struct.unpack_from(">BBHI16s", data)
        assert str(IPv6Address(client).ipv4_mapped) == sender.host
        head = struct.Struct(">BBBBII12x")
        if opcode == 0:
            self.heard.append(("pcp", "announce"))
            return head.pack(2, 128, 0, 0, 0, self.now())
        nonce, protocol, internal, wish, _ = struct.unpack_from(">12sB3xHH16s", data, 24)
        transport = PROTOCOLS[protocol]
        self.heard.append(("pcp", f"{'map' if lifetime else 'unmap'} {transport}"))
        owner = (transport, sender.host, internal)
        refused = self.refuses or (2 if self.nonces.setdefault(owner, nonce) != nonce else 0)
        if refused:
            return head.pack(2, 129, 0, refused, 30, self.now()) + data[24:]
        port, lifetime = self.grant(transport, sender.host, internal, wish, lifetime)
        outside = IPv6Address(f"::ffff:{self.external}").packed
        return head.pack(2, 129, 0, 0, lifetime, self.now()) + struct.pack(
            ">12sB3xHH16s", nonce, protocol, internal, port, outside
        )

    # -- UPnP

    def got_search(self, data: bytes, sender: Address):
        target = re.search(rb"^ST: (.*)\r$", data, re.M)
        if "upnp" not in self.speaks or not target:
            return None
        self.heard.append(("upnp", "search"))
        location = self.location or f"http://{self.http}/rootDesc.xml"
        reply = (
            b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: %s\r\nUSN: uuid:1::%s\r\nEXT:\r\n"
            b"SERVER: A/1 UPnP/1.1 B/2\r\nLOCATION: %s\r\n\r\n" % (target[1], target[1], location.encode())
        )
        return self.twist_ssdp(data, reply)

    async def serve_http(self, listener, nursery: trio.Nursery) -> None:
        while True:
            nursery.start_soon(self.answer, await listener.accept())

    async def answer(self, stream: Stream) -> None:
        request = b""
        buffer = memoryview(bytearray(65536))
        try:
            while True:
                size = await stream.receive_into(buffer)
                request += buffer[:size]
                head, end, body = request.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                if not size or (end and len(body) >= (int(length[1]) if length else 0)):
                    break
            status, content = self.http_reply(head, body.decode())
            reply = b"HTTP/1.1 %d X\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (
                status,
                len(content.encode()),
                content.encode(),
            )
            reply = self.twist_http(request, reply)
            for part in [reply] if isinstance(reply, bytes) else reply or []:
                await stream.send_vectored([part])
            if reply is None:
                await trio.sleep_forever()
        except NetworkError:
            pass  # the client has had enough
        finally:
            stream.close()

    def http_reply(self, head: bytes, body: str) -> tuple[int, str]:
        if head.startswith(b"GET /rootDesc.xml "):
            self.heard.append(("upnp", "describe"))
            return 200, DESCRIPTION.format(
                base=self.base, version=self.version, service=self.service, control=self.control
            )
        kind, action = re.search(rb'(?i)\r\nsoapaction: "(.*)#(\w+)"', head).groups()
        assert kind.decode() == f"urn:schemas-upnp-org:service:{self.service}:{self.version}"
        assert head.startswith(b"POST /ctl/IPConn ")
        action = action.decode()
        arguments = dict(re.findall(r"<(New\w+)>(.*?)</New", body))
        self.heard.append(("upnp", f"{action} {arguments.get('NewProtocol', '')}".strip()))
        code, values = self.act(action, arguments)
        if code:
            return 500, ENVELOPE.format(FAULT.format(code, "Nope"))
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
        kind = f"urn:schemas-upnp-org:service:{self.service}:{self.version}"
        return 200, ENVELOPE.format(f'<u:{action}Response xmlns:u="{kind}">{inner}</u:{action}Response>')

    def act(self, action: str, arguments: dict[str, str]) -> tuple[int, dict[str, str]]:
        if self.faults.get(action):
            return self.faults[action].pop(0), {}
        if action == "GetExternalIPAddress":
            return 0, {"NewExternalIPAddress": self.external}
        key = (arguments["NewProtocol"], int(arguments["NewExternalPort"]))
        if action == "DeletePortMapping":
            return (0, {}) if self.mappings.pop(key, None) else (714, {})
        client = arguments["NewInternalClient"]
        if key[1] in self.conflicts or self.mappings.get(key, (client,))[0] != client:
            return 718, {}
        lease = int(arguments["NewLeaseDuration"])
        if lease and self.lifetime == 0:
            return 725, {}
        self.mappings[key] = (client, int(arguments["NewInternalPort"]), lease)
        return 0, {}
