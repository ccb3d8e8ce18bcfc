"""A session of which a SOCKS5 proxy is the only way out: it fetches and shares, and nothing leaves beside it."""

import functools

import pytest
import trio

import torrentlite as tl
from torrentlite.errors import NetworkError, SourceError
from torrentlite.net import proxy as proxies
from torrentlite.net.network import Listener, Stream, receive_exactly
from torrentlite.testing import run_simulation
from torrentlite.wire.address import Address

FAR = ("8.8.4.4", 1080)


class Proxy:
    """A SOCKS5 proxy on a machine of the simulation, which takes anybody."""

    def __init__(self, world, host=FAR[0]):
        self.host = world.host(host).network
        self.targets = []
        self.callers = set()
        world.nursery.start_soon(self.run, world.nursery)

    async def run(self, nursery):
        (listener,) = await self.host.listen("", FAR[1], fallback=False)
        await self.accept(listener, nursery)

    async def accept(self, listener: Listener, nursery):
        while True:
            nursery.start_soon(self.serve, await listener.accept())

    async def serve(self, stream: Stream):
        self.callers.add(stream.remote.host)
        try:
            assert await receive_exactly(stream, 3) == b"\x05\x01\x00"
            await stream.send_vectored([b"\x05\x00"])
            kind = (await receive_exactly(stream, 4))[3]
            packed = await receive_exactly(stream, {1: 4, 4: 16}.get(kind) or (await receive_exactly(stream, 1))[0])
            host = packed.decode() if kind == 3 else ".".join(map(str, packed))
            port = int.from_bytes(await receive_exactly(stream, 2), "big")
            self.targets.append((host, port))
            (address, *_) = await self.host.resolve(host, port, within=1)
            there = await self.host.connect(address)
        except NetworkError:
            stream.close()
            return
        await stream.send_vectored([b"\x05\x00\x00\x01" + bytes(6)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, stream, there)
            nursery.start_soon(pump, there, stream)


async def pump(source: Stream, sink: Stream):
    buffer = memoryview(bytearray(1 << 16))
    try:
        while count := await source.receive_into(buffer):
            await sink.send_vectored([bytes(buffer[:count])])
    except NetworkError:
        pass
    source.close()
    sink.close()


def behind(**more) -> tl.Settings:
    return tl.Settings(proxy=f"socks5://{FAR[0]}:{FAR[1]}", **more)


def watch(machine):
    """The addresses to which a machine sends anything; names that it looks up."""
    sent, resolved = [], []
    network = machine.network
    connect, resolve, bind = network.connect, network.resolve, network.bind_datagrams

    async def connecting(address, **more):
        sent.append(address)
        return await connect(address, **more)

    async def resolving(host, port, **more):
        resolved.append(host)
        return await resolve(host, port, **more)

    def binding(*args, **more):
        sent.append("datagrams")
        return bind(*args, **more)

    network.connect, network.resolve, network.bind_datagrams = connecting, resolving, binding
    return sent, resolved


def test_all_goes_through_it_and_nothing_beside_it():
    async def main(world):
        proxy, tracker = Proxy(world), world.tracker("8.8.8.8", name="t.example")
        metainfo, data = world.torrent(trackers=["http://t.example:6969/announce", "udp://t.example:6969/x"])
        web = world.web_server({"/made-up": data}, name="w.example", up=20_000)
        seed, machine = world.host(), world.host()
        seed.put(metainfo.info, data)
        sent, resolved = watch(machine)
        machine.proxies = lambda url: proxies.Proxy.parse("http://9.9.9.9:3128")  # those of an environment
        async with tl.open_session(world=seed) as theirs, tl.open_session(behind(), world=machine) as ours:
            await theirs.add(metainfo, "x").wait_complete()
            assert (ours.port, ours.addresses) == (0, ())
            torrent = ours.add(metainfo, "x", web_seeds=["http://w.example/made-up"])
            with trio.fail_after(60):
                await torrent.wait_complete()
            told = [announce for announce in tracker.announces if announce.peer.host == FAR[0]]
            assert told
            assert {announce.peer.port for announce in told} == {1}
            (peer,) = torrent.peers()
            assert peer.host == seed.network.ip
            assert theirs.torrents[0].peers()[0].host == FAR[0]
            swarm = torrent._life.swarm
            assert b"1:pi" not in swarm.extensions.handshake(next(iter(swarm.peers))), "the port of BEP 10"
        assert web.requests
        assert set(sent) == {Address(*FAR)}
        assert set(resolved) == {FAR[0]}
        assert {"t.example", "w.example", seed.network.ip} <= {host for host, _ in proxy.targets}

    run_simulation(main)


def test_who_shares_through_it_calls_those_who_want_it():
    async def main(world):
        Proxy(world)
        world.tracker("8.8.8.8", name="t.example")
        metainfo, data = world.torrent(trackers=["http://t.example:6969/announce"])
        machine, other = world.host(), world.host()
        machine.put(metainfo.info, data)
        async with tl.open_session(behind(), world=machine) as ours, tl.open_session(world=other) as theirs:
            wanted = theirs.add(metainfo, "x")
            ours.add(metainfo, "x")
            with trio.fail_after(3600):
                await wanted.wait_complete()
            assert [peer.host for peer in wanted.peers()] == [FAR[0]]

    run_simulation(main)


def test_who_cannot_be_called_calls_others_also_while_somebody_is_there():
    async def main(world):
        Proxy(world)
        world.tracker("8.8.8.8", name="t.example")
        metainfo, data = world.torrent(trackers=["http://t.example:6969/announce"])
        machine, first, late = world.host(), world.host(), world.host()
        machine.put(metainfo.info, data)
        slow = tl.Settings(download_limit=50, dht=False)
        async with tl.open_session(behind(), world=machine) as ours, tl.open_session(slow, world=first) as one:
            one.add(metainfo, "x")
            torrent = ours.add(metainfo, "x")
            await trio.sleep(60)
            assert len(torrent.peers()) == 1
            async with tl.open_session(slow, world=late) as other:
                other.add(metainfo, "x")
                with trio.fail_after(2 * 1800):
                    while len(torrent.peers()) < 2:
                        await trio.sleep(1)

    run_simulation(main)


def test_a_proxy_that_is_away_is_no_reason_to_go_another_way():
    async def main(world):
        world.tracker("8.8.8.8", name="t.example")
        metainfo, data = world.torrent(trackers=["http://t.example:6969/announce"])
        seed, machine = world.host(), world.host()
        seed.put(metainfo.info, data)
        sent, resolved = watch(machine)
        async with tl.open_session(world=seed) as theirs, tl.open_session(behind(), world=machine) as ours:
            await theirs.add(metainfo, "x").wait_complete()
            torrent = ours.add(metainfo, "x", peers=[(seed.network.ip, theirs.port), ("name.example", 1)])
            await trio.sleep(120)
            assert torrent.state is tl.State.DOWNLOADING
            assert set(sent) == {Address(*FAR)}
            assert set(resolved) == {FAR[0]}
            why = torrent.why()
            assert why.reason is tl.Reason.PROXY
            assert why.message == f"the proxy socks5://{FAR[0]}:{FAR[1]} does not answer"
            Proxy(world)
            with trio.fail_after(1200):
                await torrent.wait_complete()
            assert torrent._life.swarm.commons.world.trouble() == ""

    run_simulation(main)


def test_a_peer_that_is_named_has_to_have_an_address(caplog):
    async def main(world):
        Proxy(world)
        metainfo, _ = world.torrent()
        async with tl.open_session(behind(), world=world.host()) as ours:
            ours.add(metainfo, "x", peers=[("name.example", 6881)])
            await trio.sleep(1)

    run_simulation(main)
    assert "through a proxy a peer has to be named by its IP address" in caplog.text


def test_settings_show_what_is_off():
    settings = behind(dht=True, utp="prefer")
    assert (settings.dht, settings.lsd, settings.port_map, settings.utp) == (False, False, False, "off")
    for text in ("http://h", "h:1080", "socks4://h"):
        with pytest.raises(ValueError, match="socks5"):
            tl.Settings(proxy=text)


def test_what_is_no_proxy_after_all():
    async def main(world):
        async with tl.open_session(tl.Settings(proxy="socks5://h:99999"), world=world.host()):
            pass

    with pytest.raises(SourceError, match="that is no proxy"):
        run_simulation(main)


def test_a_link_that_only_the_dht_knows_is_not_asked_for():
    link = "magnet:?xs=urn:btpk:" + "ab" * 32
    with pytest.raises(tl.DhtError, match="switched off"):
        trio.run(functools.partial(tl.load, link, settings=behind()))
