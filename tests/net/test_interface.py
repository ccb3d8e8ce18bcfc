"""Sockets that use one network interface only. What then leaves, and what does not, is in ``interop/test_interface.py``."""

import errno
import socket
import sys

import pytest
import trio

import torrentlite
from torrentlite import Settings
from torrentlite.errors import ListenError, NetworkError
from torrentlite.net import interface
from torrentlite.net.network import RealNetwork
from torrentlite.wire.address import Address

NOWHERE = "tl-nowhere"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")


@pytest.mark.parametrize("name", ["", "wg0", "x" * 15, "bond0.7", "wlan0-ap", "ü" * 7])
def test_names(name):
    assert Settings(interface=name).interface == name


@pytest.mark.parametrize("name", ["x" * 16, "ü" * 8, "a/b", "a b", "eth0:1", "wg0\0", "\n"])
def test_what_no_interface_is_called(name):
    with pytest.raises(ValueError, match="interface"):
        Settings(interface=name)


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
