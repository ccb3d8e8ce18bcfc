"""Sockets that use one network interface only. What then leaves, and what does not, is in ``interop/test_interface.py``."""

import contextlib
import errno
import socket
import sys

import pytest
import trio

import torrentlite
from torrentlite import Settings, limits
from torrentlite.errors import ListenError, NetworkError
from torrentlite.net import interface
from torrentlite.net.interface import tie
from torrentlite.net.network import RealNetwork
from torrentlite.net.proxied import ProxiedNetwork
from torrentlite.net.proxy import SOCKS, Proxy
from torrentlite.wire.address import Address

NOWHERE = "tl-nowhere"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")


@pytest.mark.parametrize("name", ["", "wg0", "x" * 15, "bond0.7", "wlan0-ap", "ü" * 7])
def test_names(name):
    assert Settings(interface=name).interface == name


@pytest.mark.parametrize("name", ["x" * 16, "ü" * 8, "a/b", "a b", "eth0:1", "wg0\0", "\n", " ", "\ud800"])
def test_what_no_interface_is_called(name):
    with pytest.raises(ValueError, match="an interface has a name"):
        Settings(interface=name)


def test_a_name_is_a_text():
    with pytest.raises(TypeError, match=r"interface: a str is expected, and this is b'wg0'"):
        Settings(interface=b"wg0")


async def test_one_that_is_not_there_is_an_error_that_names_those_that_are():
    for use in (
        lambda: torrentlite.open_session(Settings(interface=NOWHERE)).__aenter__(),
        lambda: torrentlite.open_session(Settings(interface=NOWHERE, proxy="socks5://127.0.0.1:1")).__aenter__(),
        lambda: torrentlite.load("http://127.0.0.1:1/x.torrent", settings=Settings(interface=NOWHERE)),
        lambda: torrentlite.load("magnet:?xs=urn:btpk:" + "ab" * 32, settings=Settings(interface=NOWHERE), nodes=()),
    ):
        with pytest.raises(ListenError, match=f"there is no network interface {NOWHERE}") as caught:
            await use()
        assert caught.value.hint == "there are: " + ", ".join(name for _, name in socket.if_nameindex())


async def test_sockets_are_tied_in_both_families():
    network = RealNetwork("", "lo")
    listeners = await network.listen("", 0, fallback=False)
    datagrams = await network.open_datagrams("", listeners[0].address.port)
    assert all(interface.is_tied(each._sock, "lo") for each in listeners)
    assert all(interface.is_tied(each.sock, "lo") for each in datagrams)
    for listener, host in zip(listeners, ("::1", "127.0.0.1"), strict=True):
        stream = await network.connect(listener.address._replace(host=host))
        assert interface.is_tied(stream._sock, "lo")
        with trio.fail_after(5):
            accepted = await listener.accept()
        assert interface.is_tied(accepted._sock, "lo")
        stream.close()
        accepted.close()
    assert network.source_for(Address("127.0.0.1", 1)) == "127.0.0.1"
    for each in (*listeners, *datagrams):
        each.close()


async def test_one_that_goes_while_it_is_used():
    network = RealNetwork("", "lo")
    network._interface = NOWHERE  # what it has become
    with pytest.raises(NetworkError, match=f"127.0.0.1:9: there is no network interface {NOWHERE}"):
        await network.connect(Address("127.0.0.1", 9))
    with pytest.raises(ListenError, match=f"there is no network interface {NOWHERE}"):
        await network.listen("", 0, fallback=True)
    with pytest.raises(NetworkError, match=f"there is no network interface {NOWHERE}"):
        network.source_for(Address("127.0.0.1", 9))
    group = await network.open_multicast(Address("239.255.77.77", 7777), "", join=True)
    assert group.send(b"nobody hears this") == 0
    group.close()


@pytest.fixture
def own(monkeypatch):
    """What the loopback interface has in the way of addresses, as far as we see."""
    addresses = ["127.0.0.5", "::1"]
    monkeypatch.setattr(interface, "machine_addresses", lambda name: addresses if name == "lo" else [])
    return addresses


async def test_what_leaves_bears_an_address_of_it(own):
    network = RealNetwork("", "lo")
    listeners = await RealNetwork().listen("127.0.0.1", 0, fallback=False)
    (there,) = await RealNetwork().open_datagrams("127.0.0.1", 0)
    stream = await network.connect(listeners[0].address)
    assert stream.local.host == network.source_for(there.address) == "127.0.0.5"
    ours = await network.open_datagrams("", 0)
    assert ours[1].send(b"one", there.address)
    assert ours[1].send_all([b"two", b"two", b"ii"], there.address) == 3
    received = []
    with trio.fail_after(5):
        while len(received) < 4:
            received += await there.receive()
    assert received == [(data, Address("127.0.0.5", ours[1].address.port)) for data in (b"one", b"two", b"two", b"ii")]
    for each in (stream, there, *listeners, *ours):
        each.close()


async def test_nothing_leaves_where_it_has_no_address_of_the_family(own, monkeypatch):
    monkeypatch.setattr(limits, "INTERFACE_CHECK", 0.0)
    network = RealNetwork("", "lo")
    (there,) = await RealNetwork().open_datagrams("127.0.0.1", 0)
    (here,) = await network.open_datagrams("127.0.0.1", 0)
    assert not here.send(b"x", there.address), "it is not 127.0.0.1 that it has"
    here.close()
    (here,) = await network.open_datagrams("0.0.0.0", 0)
    to = Address("127.0.0.1", here.address.port)
    for addresses, leaves in ((["127.0.0.5"], True), (["::1"], False), ([], False), (["127.0.0.1"], True)):
        own[:] = addresses
        there.send(b"x", to)  # what comes is no reason not to look
        with trio.move_on_after(0.1):
            await here.receive()
        assert here.send(b"x", there.address) == leaves
        assert here.send_all([b"x", b"x"], there.address) == 2 * leaves
    own[:] = ["::1"]
    with pytest.raises(NetworkError, match=r"127.0.0.1:9: the network interface lo has no IPv4 address"):
        await network.connect(Address("127.0.0.1", 9))
    group = await network.open_multicast(Address("239.255.77.77", 7777), "", join=True)
    assert group.send(b"nobody hears this") == 0
    for each in (here, there, group):
        each.close()


async def test_this_computer_is_not_reached_by_another_interface(own):
    own[:] = ["192.0.2.7", "2001:db8::7"]
    network = RealNetwork("", "lo")
    proxied = ProxiedNetwork(network, Proxy.parse("socks5://127.0.0.1:1080", SOCKS))
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(NetworkError, match="the network interface lo does not lead to this computer"):
            await network.connect(Address(host, 9))
    with pytest.raises(NetworkError, match="does not lead to this computer"):
        await proxied.connect(Address("198.51.100.1", 80))
    assert "does not lead to this computer" in proxied.trouble


def test_an_address_that_it_does_not_have(own):
    for host in ("127.0.0.5", "::ffff:127.0.0.5", "0.0.0.0", "::", "::1", "0:0::1"):
        RealNetwork(host, "lo")
        assert interface.interface_trouble("lo", host) == ""
    with pytest.raises(ListenError, match=r"the network interface lo has no address 127.0.0.6") as caught:
        RealNetwork("127.0.0.6", "lo")
    assert caught.value.hint == "it has: 127.0.0.5, ::1"
    assert interface.interface_trouble("lo", "127.0.0.6") == "the network interface lo has no address 127.0.0.6"


def test_addresses_of_the_link_alone_are_none(own):
    own[:] = ["169.254.7.7", "fe80::7"]
    assert interface.interface_trouble("lo") == "the network interface lo has no address"
    assert interface.own_source("lo", ipv6=True) == ""


async def test_what_it_was_tied_to_has_another_name_now(monkeypatch):
    monkeypatch.setattr(limits, "INTERFACE_CHECK", 0.01)
    network = RealNetwork("", "lo")
    (listener,) = await network.listen("127.0.0.1", 0, fallback=False)
    (datagrams,) = await network.open_datagrams("127.0.0.1", listener.address.port)
    (there,) = await RealNetwork().open_datagrams("127.0.0.1", 0)
    listener._interface = datagrams._interface = NOWHERE
    heard = []

    async def listen(receive):
        heard.append(await receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, listener.accept)
        nursery.start_soon(listen, datagrams.receive)
        await trio.sleep(0.05)
        there.send(b"x", datagrams.address)
        stream = await RealNetwork().connect(listener.address)
        with trio.fail_after(5):
            with contextlib.suppress(NetworkError):  # reset
                assert await stream.receive_into(memoryview(bytearray(1))) == 0
        assert not datagrams.send(b"x", there.address)
        await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert not heard
    for each in (listener, datagrams, there, stream):
        each.close()


def test_another_name_of_it_is_refused(monkeypatch):
    monkeypatch.setattr(
        interface, "tie", lambda sock, name: tie(sock, "lo")
    )  # ip link property add dev lo altname home
    with pytest.raises(ListenError, match="home is another name of the network interface lo"):
        RealNetwork("", "home")


def test_trouble():
    assert interface.interface_trouble("lo") == ""
    assert interface.interface_trouble(NOWHERE) == f"there is no network interface {NOWHERE}"


def test_a_kernel_that_is_too_old():
    class Refusing:
        def setsockopt(self, *_):
            raise OSError(errno.EPERM, "Operation not permitted")

    with pytest.raises(OSError, match="before Linux 5.7"):
        interface.tie(Refusing(), "lo")


def test_elsewhere_it_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ListenError, match="Linux alone"):
        RealNetwork("", "en0")
