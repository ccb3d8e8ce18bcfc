import socket
import sys
import threading

import pytest
import trio

from torrentlite import limits
from torrentlite.errors import ForbiddenAddressError, NetworkError
from torrentlite.net.http import HttpClient
from torrentlite.net.network import Network, RealNetwork, check_scope
from torrentlite.wire.address import Address, Scope

PUBLIC, PRIVATE, LOOPBACK = Scope.PUBLIC, Scope.PRIVATE, Scope.LOOPBACK

# The narrowest scope that a source may have for this address to be contacted; None: never.
SCOPES = {
    "8.8.8.8": PUBLIC,
    "2606:4700::1111": PUBLIC,
    "10.0.0.1": PRIVATE,
    "172.16.3.4": PRIVATE,
    "192.168.1.1": PRIVATE,
    "100.64.0.1": PRIVATE,
    "fd00::1": PRIVATE,
    "127.0.0.1": LOOPBACK,
    "127.8.8.8": LOOPBACK,
    "::1": LOOPBACK,
    "0.0.0.0": None,
    "0.1.2.3": None,
    "::": None,
    "169.254.169.254": None,
    "fe80::1": None,
    "224.0.0.251": None,
    "ff02::1": None,
    "255.255.255.255": None,
    "240.0.0.1": None,
}


@pytest.mark.parametrize("host", SCOPES)
@pytest.mark.parametrize("within", [LOOPBACK, PRIVATE, PUBLIC])
async def test_the_door(host, within):
    """Nobody's socket is asked for: what is refused is refused before."""
    address = Address(host, 6881)
    widest = SCOPES[host]
    if widest is not None and widest >= within:
        check_scope(address, within)
        assert await RealNetwork().resolve(host, 6881, within=within) == [address]
        return
    with pytest.raises(ForbiddenAddressError):
        check_scope(address, within)
    with pytest.raises(ForbiddenAddressError):
        await RealNetwork().connect(address, within=within)
    with pytest.raises(ForbiddenAddressError):
        await RealNetwork().resolve(host, 6881, within=within)


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_the_door_has_no_port_0(port):
    address = Address("8.8.8.8", port)
    with pytest.raises(ForbiddenAddressError):
        check_scope(address, LOOPBACK)
    with pytest.raises(ForbiddenAddressError):
        await RealNetwork().connect(address)


class Resolver(trio.abc.HostnameResolver):
    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.asked: list[str] = []

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        await trio.lowlevel.checkpoint()
        self.asked.append(host)
        if not self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
            for host in self.hosts
        ]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


def resolving_to(*hosts: str) -> Resolver:
    resolver = Resolver(*hosts)
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver


async def test_only_allowed_addresses_of_a_name_survive():
    resolving_to("10.0.0.1", "8.8.8.8", "8.8.8.8", "127.0.0.1", "169.254.169.254", "2606:4700::1111")
    network: Network = RealNetwork()
    public = [Address("8.8.8.8", 80), Address("2606:4700::1111", 80)]
    assert await network.resolve("tracker.example", 80, within=PUBLIC) == public
    assert Address("10.0.0.1", 80) in await network.resolve("tracker.example", 80, within=PRIVATE)
    assert Address("169.254.169.254", 80) not in await network.resolve("tracker.example", 80, within=LOOPBACK)


async def test_a_name_that_leads_inside_is_refused():
    resolving_to("192.168.1.1", "127.0.0.1")
    with pytest.raises(ForbiddenAddressError):
        await RealNetwork().resolve("rebind.example", 80, within=PUBLIC)


async def test_a_name_that_leads_elsewhere_the_next_time_is_refused_then():
    """DNS rebinding: a name is public when it is first looked up, and a router or this machine a moment later."""
    resolver = resolving_to("8.8.8.8")
    assert await RealNetwork().resolve("rebind.example", 80, within=PUBLIC) == [Address("8.8.8.8", 80)]
    for inside in ("192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "::ffff:10.0.0.1", "fe80::1"):
        resolver.hosts = (inside,)
        with pytest.raises(ForbiddenAddressError):
            await RealNetwork().resolve("rebind.example", 80, within=PUBLIC)


async def test_a_request_looks_a_name_up_once_and_goes_where_that_led(monkeypatch):
    """Between the look at the address and the connection nobody asks for it again."""
    resolver, asked = resolving_to("8.8.8.8"), []

    async def connect(self, address, *, within=LOOPBACK):
        resolver.hosts = ("127.0.0.1",)  # by now the name leads inside
        asked.append(address)
        raise NetworkError("nobody there")

    monkeypatch.setattr(RealNetwork, "connect", connect)
    http = HttpClient(RealNetwork(), user_agent="torrentlite/test")
    with pytest.raises(NetworkError, match="nobody there"):
        await http.get("http://rebind.example/", max_bytes=1, within=PUBLIC)
    assert (len(resolver.asked), asked) == (1, [Address("8.8.8.8", 80)])
    with pytest.raises(ForbiddenAddressError):
        await http.get("http://rebind.example/", max_bytes=1, within=PUBLIC)
    assert len(asked) == 1
    await http.aclose()


async def test_a_mapped_address_is_what_it_is():
    resolving_to("::ffff:127.0.0.1")
    with pytest.raises(ForbiddenAddressError):
        await RealNetwork().resolve("mapped.example", 80, within=PUBLIC)


@pytest.mark.parametrize("odd", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"])
async def test_odd_spellings_of_loopback_are_loopback(odd):
    with pytest.raises(NetworkError):  # the system takes them for an address, or for a name that is not there
        await RealNetwork().resolve(odd, 80, within=PRIVATE)


async def test_a_name_has_so_many_addresses_at_most():
    resolving_to(*(f"8.8.8.{i}" for i in range(100)))
    assert len(await RealNetwork().resolve("many.example", 80, within=PUBLIC)) == limits.MAX_ADDRESSES_PER_NAME


async def test_no_such_name():
    resolving_to()
    with pytest.raises(NetworkError, match=r"nowhere\.example: Name or service not known"):
        await RealNetwork().resolve("nowhere.example", 80, within=PUBLIC)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nb", "a\0b", "x" * 300, "tracker\x1b[31m"])
async def test_what_is_no_name_is_not_looked_up(host):
    resolver = resolving_to("8.8.8.8")
    with pytest.raises(NetworkError):
        await RealNetwork().resolve(host, 80, within=PUBLIC)
    assert not resolver.asked


async def test_look_alikes_are_refused_and_shown():
    resolver = resolving_to("8.8.8.8")
    with pytest.raises(NetworkError) as caught:
        await RealNetwork().resolve("trасker.example", 80, within=PUBLIC)  # two of these letters are Cyrillic
    assert "xn--trker-5ve3j.example" in caught.value.hint
    assert not resolver.asked


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_ports_that_are_none(port):
    with pytest.raises(NetworkError):
        await RealNetwork().resolve("127.0.0.1", port, within=LOOPBACK)


async def test_refused_connections_are_network_errors():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(NetworkError, match="refused"):
            await RealNetwork().connect(Address(*sock.getsockname()))


async def test_a_cancelled_connect_leaves_no_socket():
    with socket.socket() as sock, trio.CancelScope() as scope:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        scope.cancel()
        await RealNetwork().connect(Address(*sock.getsockname()))
    assert scope.cancelled_caught  # an open one would be a ResourceWarning, which is an error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8 at once")
async def test_connections_leave_from_the_chosen_address():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        stream = await RealNetwork("127.0.0.2").connect(Address(*sock.getsockname()))
        assert stream.local.host == "127.0.0.2"
        stream.close()


async def test_a_bound_session_fails_where_it_cannot_reach():
    with pytest.raises(NetworkError, match=r"bound to 127\.0\.0\.1"):
        await RealNetwork("127.0.0.1").connect(Address("::1", 9))
    resolving_to("::1", "127.0.0.1")
    only = await RealNetwork("127.0.0.1").resolve("both.example", 80, within=LOOPBACK)
    assert only == [Address("127.0.0.1", 80)]
    resolving_to("::1")
    with pytest.raises(NetworkError):
        await RealNetwork("127.0.0.1").resolve("six.example", 80, within=LOOPBACK)


async def test_a_hanging_look_up_is_left_behind(monkeypatch):
    release = threading.Event()

    def hang(*arguments):
        if arguments[-1] & socket.AI_NUMERICHOST:  # this question Trio asks by itself
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        trio.from_thread.run_sync(scope.cancel)
        release.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with trio.CancelScope() as scope:
        try:
            await RealNetwork().resolve("slow.example", 80, within=PUBLIC)
        finally:
            release.set()
    assert scope.cancelled_caught
