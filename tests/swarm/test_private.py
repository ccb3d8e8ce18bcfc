"""Private torrents (BEP 27): every datagram and every stream of a session is looked at."""

import dataclasses

import trio

from tests.strangers import Stranger, background, session_on, simulated, until
from tests.swarm.dhtworld import dht
from torrentlite.wire import messages as wm


class Sniffer:
    """A ``Network`` that notes whatever leaves by it.

    Attributes:
        datagrams: (bytes, destination).
        sent: the bytes of each connection, by the other end.
        dialled: addresses that were called.
        names: what was looked up.
        groups: multicast groups that were opened.
    """

    def __init__(self, network):
        self._network = network
        self.datagrams, self.sent, self.dialled, self.names, self.groups = [], {}, [], [], []

    def __getattr__(self, name):
        return getattr(self._network, name)

    def _tap(self, stream):
        send, chunks = stream.send_vectored, self.sent.setdefault(stream.remote, bytearray())

        async def send_vectored(views):
            for view in views:
                chunks.extend(view)
            await send(views)

        return _Tapped(stream, send_vectored=send_vectored)

    async def connect(self, address, **options):
        self.dialled.append(address)
        return self._tap(await self._network.connect(address, **options))

    async def listen(self, *arguments, **options):
        listeners = await self._network.listen(*arguments, **options)

        def tapped(listener):
            accept = listener.accept

            async def accept_tapped():
                return self._tap(await accept())

            return _Tapped(listener, accept=accept_tapped)

        return [tapped(listener) for listener in listeners]

    async def open_datagrams(self, *arguments):
        def tapped(socket):
            def send(data, to):
                self.datagrams.append((bytes(data), to))
                return socket.send(data, to)

            return _Tapped(socket, send=send)

        return [tapped(socket) for socket in await self._network.open_datagrams(*arguments)]

    async def open_multicast(self, group, *arguments, **options):
        self.groups.append(group)
        return await self._network.open_multicast(group, *arguments, **options)

    async def resolve(self, host, *arguments, **options):
        self.names.append(host)
        return await self._network.resolve(host, *arguments, **options)


class _Tapped:
    def __init__(self, inner, **replaced):
        self._inner = inner
        vars(self).update(replaced)

    def __getattr__(self, name):
        return getattr(self._inner, name)


def sniffed(machine):
    return dataclasses.replace(machine, network=Sniffer(machine.network))


@simulated(time_limit=9000)
async def test_a_private_torrent_leaves_no_trace_but_at_its_tracker(world):
    tracker = world.tracker()
    metainfo, data = world.torrent(300_000, private=True, trackers=[tracker.udp_url])
    open_one, other = world.torrent(100_000, name="open")
    seed, machine = world.host(), sniffed(world.host())
    seed.put(metainfo.info, data)
    hashes = metainfo.info.hashes.wire
    async with (
        dht(world) as nodes,
        session_on(seed) as sharing,
        session_on(machine, bootstrap=nodes.bootstrap) as session,
    ):
        sharing.add(dataclasses.replace(metainfo, nodes=()))
        # Its DHT nodes are none of our business, and neither is x.pe of a link to it.
        torrent = session.add(dataclasses.replace(metainfo, nodes=nodes.bootstrap))
        await torrent.wait_complete()
        await until(lambda: session.stats().dht.state == "joined")
        await trio.sleep(7200)
        assert [row.state for row in torrent.sources()] == ["off"] * 3
    network = machine.network
    kinds = {data[:1] for data, _ in network.datagrams}
    assert b"d" in kinds, "the node lives, for others"
    with_hash = [(data, to) for data, to in network.datagrams if hashes in data]
    assert {to.host for _, to in with_hash} == {tracker.host.ip}
    assert not any(data[:1] == b"d" for data, _ in with_hash)
    for remote, sent in network.sent.items():
        if hashes not in sent:
            continue
        assert not sent[27] & 1, f"no DHT bit in the handshake with {remote}"
        assert wm.encode(wm.Port(session.port)) not in sent
        assert b"6:ut_pexi0e" in sent, "PEX is not offered"
    assert network.dialled
    assert {address.host for address in network.dialled} == {seed.network.ip}
    assert nodes.stored(hashes) == set()


@simulated()
async def test_a_magnet_that_turns_out_to_be_private_keeps_to_its_tracker(world):
    tracker = world.tracker()
    metainfo, data = world.torrent(300_000, private=True, trackers=[tracker.url])
    seed = world.host("40.0.0.1", up=30_000, latency=1.0)
    seed.put(metainfo.info, data)
    machine = sniffed(world.host("41.0.0.1"))
    async with (
        dht(world) as nodes,
        background() as nursery,
        session_on(seed) as sharing,
        session_on(machine, bootstrap=nodes.bootstrap) as session,
    ):
        sharing.add(metainfo)
        await until(lambda: tracker.announces)
        # Somebody has announced it in the DHT all the same, and somebody is in the link.
        named = await Stranger(world.host(), metainfo.info, data, has=0, metadata=None).serve(nursery)
        await nodes[0].announce_peer(metainfo.info.hashes.wire, 6999)
        leaked = nodes.stored(metainfo.info.hashes.wire)
        assert len(leaked) == 1
        link = f"magnet:?xt=urn:btih:{metainfo.info_hash}&tr={tracker.url}&x.pe={named.place[0]}:{named.port}"
        await until(lambda: session.stats().dht.state == "joined")
        torrent = session.add(link)
        await torrent.wait_metadata()
        await until(torrent.peers)
        await trio.sleep(5)
        assert {peer.source for peer in torrent.peers()} == {"tracker"}
        assert {known.source for known in torrent._life.swarm.peerlist} <= {"tracker", "incoming"}
        dialled = len(machine.network.dialled)
        with_hash = [data for data, _ in machine.network.datagrams if metainfo.info.hashes.wire in data]
        assert with_hash, "it did ask the DHT: nobody knew"
        assert not any(b"announce_peer" in data for data in with_hash)
        assert nodes.stored(metainfo.info.hashes.wire) == leaked, "and told it nothing"
        await torrent.wait_complete()
        await trio.sleep(600)
        with_hash_later = [data for data, _ in machine.network.datagrams if metainfo.info.hashes.wire in data]
        assert len(with_hash_later) == len(with_hash), "and it asks no more"
        assert {address.host for address in machine.network.dialled[dialled:]} <= {"40.0.0.1", tracker.host.ip}
        peers = [sent for remote, sent in machine.network.sent.items() if remote.host == "40.0.0.1"]
        assert any(sent.count(b"6:ut_pexi0e") for sent in peers), "PEX is taken back"


@simulated()
async def test_without_metadata_nobody_is_told_of_peers(world):
    metainfo, data = world.torrent(300_000)
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(f"magnet:?xt=urn:btih:{metainfo.info_hash}")
        strangers = [await Stranger(world.host(), metainfo.info, data, metadata=None).serve(nursery) for _ in range(2)]
        for stranger in strangers:
            torrent.add_peer(*stranger.place)
        await trio.sleep(200)
        assert len(torrent.peers()) == 2
        for stranger in strangers:
            assert not any(isinstance(message, wm.Pex) for message in stranger.talk.heard)


@simulated(time_limit=9000)
async def test_one_tracker_at_a_time_and_a_new_one_takes_over_without_the_old_ones_peers(world):
    first, second = world.tracker(), world.tracker()
    metainfo, data = world.torrent(4 << 20, private=True, trackers=[[first.url], [second.url]])
    seed = world.host(up=20_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host("41.0.0.1")) as session:
        shared = sharing.add(metainfo)
        await until(lambda: first.announces)
        torrent = session.add(metainfo, trackers=[second.url])
        await until(lambda: torrent.peers())
        await trio.sleep(20)
        assert not second.announces, "not even one that was typed besides"
        first.failure = "closed for good"
        (peer,) = torrent._life.swarm.peers
        await trio.sleep(2000)
        assert second.announces
        assert peer not in torrent._life.swarm.peers, "who the old tracker named had to go"
        assert shared._life.swarm.peers == {} or torrent.peers()
        before = len(second.announces)
        first.failure = ""
        await trio.sleep(4000 - 2000)
        assert len(second.announces) >= before
        mine = [announce for announce in first.announces if announce.peer.host == "41.0.0.1"]
        assert mine[-1].moment < second.announces[0].moment, "the old one hears no more"
