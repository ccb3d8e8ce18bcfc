import errno
import os
import resource
import socket

import pytest
import trio
import trio.testing

from torrentlite import limits
from torrentlite.errors import ListenError, NetworkError
from torrentlite.net import sockets
from torrentlite.net.listener import TcpListener, open_listeners
from torrentlite.net.network import RealNetwork


def close_all(things):
    for thing in things:
        thing.close()


async def test_both_families_on_one_port():
    listeners = open_listeners("", 0, fallback=False)
    try:
        assert [listener.address.host for listener in listeners] == ["::", "0.0.0.0"]
        assert len({listener.address.port for listener in listeners}) == 1
        network = RealNetwork()
        for listener, host in zip(listeners, ("::1", "127.0.0.1"), strict=True):
            stream = await network.connect(listener.address._replace(host=host))
            accepted = await listener.accept()
            assert accepted.remote == stream.local
            close_all([stream, accepted])
    finally:
        close_all(listeners)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_one_address(host):
    (listener,) = open_listeners(host, 0, fallback=False)
    assert listener.address.host == host
    assert listener.address.port > 0
    listener.close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_port_taken_in_any_way_is_taken(kind, family):
    with socket.socket(family, kind) as taken:
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            taken.listen()
        with pytest.raises(ListenError, match=str(port)) as caught:
            open_listeners("", port, fallback=False)
        assert "another program" in caught.value.hint
        listeners = open_listeners("", port, fallback=True)
        assert listeners[0].address.port not in (0, port)
        close_all(listeners)


async def test_a_free_port_in_one_family_only_is_tried_again(monkeypatch):
    refused = []
    bind = sockets._bind

    def unlucky(kind, family, host, port, interface):
        if len(refused) < 3 and family == socket.AF_INET:
            refused.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind(kind, family, host, port, interface)

    monkeypatch.setattr(sockets, "_bind", unlucky)
    listeners = open_listeners("", 0, fallback=False)
    close_all(listeners)
    assert len(refused) == 3
    assert len(listeners) == 2


async def test_no_luck_ends(monkeypatch):
    tries = []

    def refuse(*_):
        tries.append(1)
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(sockets, "_bind", refuse)
    with pytest.raises(ListenError):
        open_listeners("", 0, fallback=False)
    assert len(tries) == limits.LISTEN_TRIES


@pytest.mark.parametrize(("missing", "left"), [(socket.AF_INET6, "0.0.0.0"), (socket.AF_INET, "::")])
async def test_a_system_with_one_family(monkeypatch, missing, left):
    bind = sockets._bind

    def lacking(kind, family, host, port, interface):
        if family == missing:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return bind(kind, family, host, port, interface)

    monkeypatch.setattr(sockets, "_bind", lacking)
    (listener,) = open_listeners("", 0, fallback=False)
    assert listener.address.host == left
    listener.close()


async def test_an_address_that_is_not_ours():
    with pytest.raises(ListenError) as caught:
        open_listeners("198.51.100.7", 0, fallback=False)
    assert "no such address" in caught.value.hint


async def test_a_name_is_not_listened_on():
    with pytest.raises(ListenError, match="not an IP address"):
        await RealNetwork().listen("localhost", 0, fallback=False)
    with pytest.raises(ListenError):
        RealNetwork("eth0")


async def test_the_port_is_free_again_at_once():
    (listener,) = open_listeners("127.0.0.1", 0, fallback=False)
    stream = await RealNetwork().connect(listener.address)
    accepted = await listener.accept()
    close_all([accepted, stream, listener])  # accepted first: its side waits in TIME_WAIT
    (again,) = open_listeners("127.0.0.1", listener.address.port, fallback=False)
    again.close()


class Moody:
    """A listening socket that has each of these errors once, then a connection."""

    def __init__(self, sock, errors) -> None:
        self.sock = sock
        self.errors = list(errors)

    def getsockname(self):
        return self.sock.getsockname()

    async def accept(self):
        if self.errors:
            code = self.errors.pop(0)
            raise OSError(code, os.strerror(code))
        return await self.sock.accept()


async def moody_listener(errors):
    sock = trio.socket.socket()
    await sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock, TcpListener(Moody(sock, errors))


async def test_what_passes_is_waited_out(autojump_clock, caplog):
    errors = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
    sock, listener = await moody_listener(errors)
    with sock, trio.socket.socket() as client:
        await client.connect(sock.getsockname())
        began = trio.current_time()
        (await listener.accept()).close()
        assert trio.current_time() - began == pytest.approx(len(errors) * limits.ACCEPT_PAUSE)
    assert len(caplog.records) == len(errors)


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN])
async def test_what_one_connection_has_is_nobody_elses(code):
    sock, listener = await moody_listener([code])
    with sock, trio.socket.socket() as client:
        await client.connect(sock.getsockname())
        (await listener.accept()).close()


async def test_a_broken_listener_ends():
    sock, listener = await moody_listener([errno.EBADF])
    with sock, pytest.raises(NetworkError):
        await listener.accept()


async def test_out_of_descriptors_for_real(caplog):
    (listener,) = open_listeners("127.0.0.1", 0, fallback=False)
    client = socket.create_connection(listener.address)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def accept():
                (await listener.accept()).close()

            resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))  # below what is open: no more
            while not caplog.records:
                await trio.lowlevel.checkpoint()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        close_all([client, listener])
    assert "cannot accept" in caplog.text


async def test_a_connection_reset_before_it_is_looked_at():
    (listener,) = open_listeners("127.0.0.1", 0, fallback=False)
    for _ in range(3):
        client = socket.create_connection(listener.address)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    stream = await RealNetwork().connect(listener.address)
    with trio.fail_after(5):
        while True:
            accepted = await listener.accept()
            accepted.close()
            if accepted.remote == stream.local:
                break
    close_all([stream, listener])


async def test_closing_wakes_the_acceptor():
    (listener,) = open_listeners("127.0.0.1", 0, fallback=False)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def accept():
            with pytest.raises(NetworkError, match="closed"):
                await listener.accept()

        await trio.testing.wait_all_tasks_blocked()
        listener.close()
        listener.close()
