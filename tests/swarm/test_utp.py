"""Peers over UDP: sessions with different wishes, and those that TCP does not reach."""

import dataclasses
import functools
import itertools
from typing import get_args

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from tests.swarm.dhtworld import dht
from torrentlite.limits import (
    CONNECT_TIMEOUT,
    KNOCK_FOR,
    KNOCK_INTERVAL,
    KNOCKS,
    KNOCKS_AT_ONCE,
    PEX_FIRST,
    UTP_HEAD_START,
    UTP_PATIENCE,
)
from torrentlite.settings import Utp
from torrentlite.strategy.peerlist import RETRY, TRACKER
from torrentlite.strategy.transport import TransportPolicy
from torrentlite.testing.nat import NatKind
from torrentlite.wire.address import Address, Scope
from torrentlite.wire.utp import SYN

WISHES = get_args(Utp)


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(WISHES, WISHES)))
@simulated()
async def test_sessions_with_any_wishes_meet(world, ours, theirs):
    metainfo, data = world.torrent(300_000)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, utp=theirs) as sharing, session_on(machine, utp=ours) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await until(torrent.peers)
        (peer,) = torrent.peers()
        assert peer.utp is (ours == "prefer" and theirs != "off")
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data


def test_no_such_wish():
    with pytest.raises(ValueError, match="off, allow, prefer"):
        tl.Settings(utp="on")  # type: ignore[arg-type]


@pytest.mark.parametrize("encryption", ["off", "require"])
@simulated()
async def test_whom_tcp_does_not_reach_is_met_over_udp(world, encryption):
    metainfo, data = world.torrent(3_000_000)
    router = world.network.router(kind=NatKind.FULL_CONE)
    home, machine = world.host(router=router), world.host()
    home.put(metainfo.info, data)
    async with (
        session_on(home, port=6881, encryption=encryption) as sharing,
        session_on(machine, encryption=encryption) as session,
    ):
        await sharing.add(metainfo).wait_complete()
        # As every node of the DHT does: something was sent from that port.
        router.nat.outgoing(Address(home.network.ip, 6881), Address("192.0.2.1", 6881), world.timeline.now)
        torrent = session.add(metainfo, peers=[(router.ip, 6881)])
        with trio.fail_after(CONNECT_TIMEOUT):
            await until(torrent.peers)
        assert torrent.peers()[0].utp
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data


@pytest.mark.parametrize("kinds", [("PORT_RESTRICTED", "PORT_RESTRICTED"), ("RESTRICTED", "FULL_CONE")])
@simulated()
async def test_two_behind_routers_meet_by_one_who_knows_both(world, kinds):
    """BEP 55. The one in the middle has nothing: what comes has come from the one to the other."""
    metainfo, data = world.torrent(3_000_000)
    routers = [world.network.router(kind=NatKind[kind]) for kind in kinds]
    left, right, middle = world.host(router=routers[0]), world.host(router=routers[1]), world.host()
    left.put(metainfo.info, data)
    async with (
        session_on(middle, upload_slots=0) as between,
        session_on(left, port=6881) as sharing,
        session_on(right, port=6882) as session,
    ):
        between.add(metainfo).set_limits(download=1)
        here = where(middle, between)
        await sharing.add(metainfo, peers=[here]).wait_complete()
        torrent = session.add(metainfo, peers=[here])
        # They hear of each other by peer exchange; TCP and uTP have their time; then the one in the middle is asked.
        await until(lambda: any(peer.utp for peer in torrent.peers()), within=PEX_FIRST + CONNECT_TIMEOUT + 5)
        await torrent.wait_complete()
        assert right.disk.storage(metainfo.info).content() == data


@pytest.mark.parametrize("kind", [NatKind.FULL_CONE, NatKind.RESTRICTED, NatKind.PORT_RESTRICTED])
@pytest.mark.parametrize("idle", [0, 3000, 3006, 3018])
@simulated(time_limit=36000)
async def test_two_behind_routers_meet_by_the_dht_alone(world, kind, idle):
    """What a person sees who seeds at home for somebody at home: nobody else is there to bring them together."""
    metainfo, data = world.torrent(3_000_000)
    async with dht(world) as nodes:
        homes = [world.host(router=world.network.router(kind=kind, lifetime=30)) for _ in range(2)]
        homes[0].put(metainfo.info, data)
        async with session_on(homes[0], bootstrap=nodes.bootstrap) as sharing:
            await sharing.add(metainfo).wait_complete()
            await until(lambda: nodes.stored(metainfo.info.hashes.wire))
            await trio.sleep(idle)
            async with session_on(homes[1], bootstrap=nodes.bootstrap) as session:
                torrent = session.add(metainfo)
                # Without calling those again who are silent, and without a seed's looking around while it is alone,
                # it took up to 1,312 s (of ten idle times, with NATs that ask for the port); with them up to 67.
                await until(torrent.peers, within=120)
                assert torrent.peers()[0].utp
                await torrent.wait_complete()
                assert homes[1].disk.storage(metainfo.info).content() == data


@simulated()
async def test_when_the_second_way_is_tried(world):
    """uTP beside a TCP that says nothing; TCP beside a uTP that says nothing, which is what most have who speak none."""
    metainfo, data = world.torrent()
    home, stranger = Home(world), Stranger(world.host(), metainfo.info, data)
    async with (
        background() as nursery,
        session_on(world.host()) as session,
        session_on(world.host(), utp="prefer") as eager,
    ):
        began = trio.current_time()
        session.add(metainfo, peers=[home.address])
        await until(lambda: home.calls)
        assert home.calls[0] - began == pytest.approx(UTP_PATIENCE, abs=0.2)
        await stranger.serve(nursery)
        began = trio.current_time()
        torrent = eager.add(metainfo, peers=[stranger.place])
        await until(torrent.peers)
        assert trio.current_time() - began == pytest.approx(UTP_HEAD_START, abs=0.3)
        assert not torrent.peers()[0].utp


class Home:
    """A machine that TCP does not reach and UDP does; it says nothing, and counts the calls that come.

    Attributes:
        address: of its router.
        calls: when the first packet of each came.
    """

    def __init__(self, world) -> None:
        router = world.network.router(kind=NatKind.FULL_CONE, lifetime=1e9)
        host = world.network.host(router=router)
        host.bind_datagrams("", 6881, handler=self._got)
        router.nat.outgoing(Address(host.ip, 6881), Address("192.0.2.1", 1), world.timeline.now)
        self.address = Address(router.ip, 6881)
        self.calls: list[float] = []
        self._known: set[bytes] = set()

    def _got(self, data: bytes, sender: Address) -> None:
        if data[0] >> 4 == SYN and data[2:4] not in self._known:
            self._known.add(data[2:4])
            self.calls.append(trio.current_time())


@simulated(time_limit=36000)
async def test_silent_ones_are_called_again_while_nobody_else_is_there(world):
    metainfo, _ = world.torrent()
    machine, homes = world.host(), [Home(world) for _ in range(KNOCKS + 2)]
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        began = trio.current_time()
        torrent._life.peers_found(tuple(home.address for home in homes), TRACKER, Scope.PUBLIC)
        await trio.sleep(300)
        assert all(len(home.calls) > 8 for home in homes), "they take turns"
        pauses = [
            later - earlier for home in homes for earlier, later in zip(home.calls[2:], home.calls[3:], strict=False)
        ]
        assert max(pauses) < 2 * KNOCK_INTERVAL + CONNECT_TIMEOUT, "but for the usual attempts, which come between"
        knocks = [call for home in homes for call in home.calls if call - began > 120]
        assert len(knocks) == pytest.approx(KNOCKS * 180 / KNOCK_INTERVAL, rel=0.2)
        await trio.sleep(KNOCK_FOR)
        assert max(home.calls[-1] for home in homes) - began < KNOCK_FOR + KNOCK_INTERVAL + RETRY[-4]
        before = sum(len(home.calls) for home in homes)
        # Named again, by somebody who should know, they are worth it again.
        torrent._life.peers_found(tuple(home.address for home in homes), TRACKER, Scope.PUBLIC)
        await trio.sleep(300)
        assert sum(len(home.calls) for home in homes) > before + 8 * KNOCKS


@simulated(time_limit=36000)
async def test_nobody_is_called_again_by_one_who_has_peers_or_speaks_no_utp(world):
    metainfo, data = world.torrent()
    seed, homes = world.host(), [Home(world) for _ in range(2)]
    seed.put(metainfo.info, data)
    async with (
        session_on(seed) as sharing,
        session_on(world.host()) as session,
        session_on(world.host(), utp="off") as mute,
    ):
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        torrent.set_limits(download=1)
        torrent._life.peers_found((homes[0].address,), TRACKER, Scope.PUBLIC)
        mute.add(metainfo)._life.peers_found((homes[1].address,), TRACKER, Scope.PUBLIC)
        await trio.sleep(120)
        assert len(homes[0].calls) == 3  # at once, after 10 s, after a minute
        assert homes[1].calls == []


@simulated(time_limit=36000)
async def test_a_session_calls_so_many_silent_ones_at_once(world):
    homes = [[Home(world) for _ in range(KNOCKS)] for _ in range(3)]
    most = 0
    async with session_on(world.host()) as session:
        for number, known in enumerate(homes):
            metainfo, _ = world.torrent(name=f"number {number}")
            session.add(metainfo)._life.peers_found(tuple(home.address for home in known), TRACKER, Scope.PUBLIC)
        for _ in range(600):
            await trio.sleep(0.5)
            most = max(most, session._commons.knocking)
        assert most == KNOCKS_AT_ONCE
        assert all(any(len(home.calls) > 4 for home in known) for known in homes), "each torrent has its turn"
        assert session.stats().half_open == 0


@simulated(time_limit=36000)
async def test_after_a_visit_or_a_gap_silent_ones_are_called_again(world):
    metainfo, _ = world.torrent()
    machine, home = world.host(), Home(world)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        name = functools.partial(torrent._life.peers_found, (home.address,), TRACKER, Scope.PUBLIC)
        name()
        await trio.sleep(100)
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await trio.sleep(60)
        assert torrent.peers()
        before = len(home.calls)
        talk.stream.close()
        await trio.sleep(2 * KNOCK_INTERVAL)
        assert len(home.calls) > before
        await trio.sleep(KNOCK_FOR + 100)
        assert trio.current_time() - home.calls[-1] > KNOCK_INTERVAL
        # Whether or not it is worth a whole attempt: it was just tried because somebody had named it.
        torrent._life.swarm.peerlist.get(home.address).spent = 2
        name()
        before = len(home.calls)
        await trio.sleep(3 * KNOCK_INTERVAL)
        assert len(home.calls) >= before + 3


@simulated(time_limit=36000)
async def test_a_router_that_refuses_tcp_is_gone_through_too(world):
    """As many do for who is behind them."""
    metainfo, data = world.torrent(300_000)
    giver, machine = world.host("40.0.0.1"), world.host()
    giver.put(metainfo.info, data)
    async with session_on(giver, port=7000) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        for listener in list(giver.network._listeners):
            listener.close()
        torrent = session.add(metainfo)
        torrent._life.peers_found((Address("40.0.0.1", 7000),), TRACKER, Scope.PUBLIC)
        with trio.fail_after(3):
            await until(torrent.peers)
        assert torrent.peers()[0].utp
        assert world.trace.counts["refused"]
        await torrent.wait_complete()


@simulated(time_limit=36000)
async def test_whom_udp_has_met_is_called_by_it_first(world):
    """And who called by it, when he is called."""
    metainfo, data = world.torrent()
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, utp="prefer") as sharing, session_on(machine, utp="prefer") as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        torrent.set_limits(download=10_000)
        await until(torrent.peers)
        (ours,) = (known for known in torrent._life.swarm.peerlist if known.address.host == seed.network.ip)
        await until(lambda: sharing.torrents[0]._life.swarm.peers)
        await trio.sleep(1)
        (theirs,) = sharing.torrents[0]._life.swarm.peerlist
        assert ours.utp
        assert theirs.utp
    for known, first in ((ours, True), (dataclasses.replace(ours, utp=False), False)):
        assert TransportPolicy("allow").order(met=known.utp)[0] is first
