"""Holepunching (BEP 55): what a session does for two of its peers, for itself, and not for strangers."""

import contextlib

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import (
    CONNECT_TIMEOUT,
    HOLEPUNCH_INTERVAL,
    HOLEPUNCH_MOST,
    HOLEPUNCH_RELAYS,
    KNOCK_TIMEOUT,
    MAX_INTRODUCED,
    PUNCHES_AT_ONCE,
)
from torrentlite.strategy.peerlist import TRACKER
from torrentlite.wire import extensions as ext, messages as wm
from torrentlite.wire.address import Address, Scope
from torrentlite.wire.extensions import UT_HOLEPUNCH, encode_holepunch, encode_pex
from torrentlite.wire.messages import Holepunch, HolepunchError, HolepunchKind
from torrentlite.wire.utp import SYN, parse, refuse

SILENT = Address("12.1.2.3", 6881)


def says(kind: HolepunchKind, address: Address, error: int = 0) -> bytes:
    return encode_holepunch(UT_HOLEPUNCH, Holepunch(kind, address, error))


@contextlib.asynccontextmanager
async def relay(world, *, ips=(), ports=(7001, 7002), **settings):
    """A session with a stranger for each port: these are what they say of themselves."""
    metainfo, _ = world.torrent()
    machine = world.host()
    async with background() as nursery, session_on(machine, **settings) as session:
        torrent = session.add(metainfo)
        talks = []
        for index, port in enumerate(ports):
            stranger = Stranger(world.host(*ips[index : index + 1]), metainfo.info, has=0)
            talk = await stranger.call(nursery, where(machine, session))
            await talk.say(talk.extended_handshake(port=port))
            await talk.hear(wm.ExtendedHandshake)
            talks.append(talk)
        await trio.sleep(1)
        yield session, torrent, talks


def at(talk, port: int) -> Address:
    return Address(talk.stream.local.host, port)


async def nothing(talk) -> bool:
    before = len(talk.all(Holepunch))
    await trio.sleep(5)
    return len(talk.all(Holepunch)) == before and not talk.ended


@simulated()
async def test_both_are_told_where_the_other_is(world):
    async with relay(world) as (_, _, (one, other)):
        await one.say(says(HolepunchKind.RENDEZVOUS, at(other, 7002)))
        told, asked = await one.hear(Holepunch), await other.hear(Holepunch)
        assert (told.kind, told.address, told.error) == (HolepunchKind.CONNECT, at(other, 7002), 0)
        assert (asked.kind, asked.address, asked.error) == (HolepunchKind.CONNECT, at(one, 7001), 0)


@simulated()
async def test_what_does_not_go_is_said(world):
    async with relay(world) as (session, _, (one, other)):
        await other.say(wm.encode(wm.Interested()), other.wire.encode_extended_handshake(
            wm.ExtendedHandshake(extensions={"ut_holepunch": 0})))  # fmt: skip
        await trio.sleep(1)
        for address, error in (
            (Address("12.9.9.9", 1), HolepunchError.NOT_CONNECTED),
            (at(other, 7002), HolepunchError.NO_SUPPORT),
            (at(one, 7001), HolepunchError.NO_SELF),
            (one.stream.local, HolepunchError.NO_SELF),
        ):
            count = len(one.all(Holepunch))
            await one.say(says(HolepunchKind.RENDEZVOUS, address))
            answer = await one.hear(Holepunch, count + 1)
            assert (answer.kind, answer.address, answer.error) == (HolepunchKind.ERROR, address, error)
        assert other.all(Holepunch) == []


@simulated()
async def test_who_does_not_offer_it_is_not_heard(world):
    async with relay(world) as (_, torrent, (one, other)):
        await one.say(one.wire.encode_extended_handshake(wm.ExtendedHandshake(extensions={"ut_holepunch": 0})))
        await one.say(says(HolepunchKind.RENDEZVOUS, at(other, 7002)), says(HolepunchKind.CONNECT, SILENT))
        assert await nothing(one)
        assert await nothing(other)
        assert not any(known.address == SILENT for known in torrent._life.swarm.peerlist)


@simulated()
async def test_the_internet_learns_nothing_of_our_network(world):
    """Neither that a neighbour is there, nor do we call one because somebody outside says so."""
    async with relay(world, ips=["12.1.1.1", "192.168.1.7"]) as (_, torrent, (outside, inside)):
        await inside.say(says(HolepunchKind.RENDEZVOUS, at(outside, 7001)))
        assert (await inside.hear(Holepunch)).error == HolepunchError.NOT_CONNECTED
        for asked in (at(inside, 7002), inside.stream.local):
            count = len(outside.all(Holepunch))
            await outside.say(says(HolepunchKind.RENDEZVOUS, asked))
            assert (await outside.hear(Holepunch, count + 1)).error == HolepunchError.NOT_CONNECTED
        assert len(inside.all(Holepunch)) == 1
        await outside.say(says(HolepunchKind.CONNECT, Address("192.168.1.9", 1)))
        assert await nothing(outside)
        assert not any(known.address.host == "192.168.1.9" for known in torrent._life.swarm.peerlist)


@simulated()
async def test_so_many_a_minute(world):
    async with relay(world) as (_, _, (one, other)):
        for minute in (1, 2):
            await one.say(says(HolepunchKind.RENDEZVOUS, at(other, 7002)) * (HOLEPUNCH_MOST + 5))
            await trio.sleep(HOLEPUNCH_INTERVAL)
            assert len(one.all(Holepunch)) == len(other.all(Holepunch)) == minute * HOLEPUNCH_MOST


@pytest.mark.parametrize("how", ["off", "private"])
@simulated()
async def test_not_offered_where_it_is_not_done(world, how):
    metainfo, _ = world.torrent(private=how == "private")
    machine = world.host()
    async with background() as nursery, session_on(machine, utp="off" if how == "off" else "allow") as session:
        torrent = session.add(metainfo)
        one, other = [
            await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session)) for _ in "ab"
        ]
        for talk in (one, other):
            assert not (await talk.hear(wm.ExtendedHandshake)).extensions.get("ut_holepunch")
            await talk.say(talk.extended_handshake(port=7001))
        await one.say(says(HolepunchKind.RENDEZVOUS, at(other, 7001)), says(HolepunchKind.CONNECT, SILENT))
        assert await nothing(one)
        assert await nothing(other)
        assert torrent.stats().known_peers == 2 if how == "off" else torrent.stats().known_peers == 0


@simulated()
async def test_who_is_to_be_called_is_called_at_once_and_over_udp_alone(world):
    got = []
    target = world.network.host("12.7.7.7")
    target.bind_datagrams("", 6881, handler=lambda data, sender: got.append((data[0] >> 4, data[2:4])))
    async with relay(world) as (_, torrent, (one, _)):
        began = trio.current_time()
        await one.say(says(HolepunchKind.CONNECT, Address("12.7.7.7", 6881)) * 3)
        await until(lambda: got)
        assert trio.current_time() - began < 0.2
        await trio.sleep(KNOCK_TIMEOUT + 1)
        punch = got[0][1]
        assert [kind for kind, number in got if number == punch] == [SYN] * 3, "after 0, 1 and 3 seconds"
        assert len({number for _, number in got}) == 2, "the other is the usual attempt, after TCP was refused"
        assert torrent._life.swarm.commons.punching == 0


@simulated()
async def test_who_knows_a_silent_one_is_asked(world):
    """Two at most, and nobody for somebody that they have lost."""
    async with relay(world, ports=range(7001, 7001 + HOLEPUNCH_RELAYS + 2)) as (_, torrent, talks):
        for talk in talks[1:]:
            await talk.say(encode_pex(ext.UT_PEX, wm.Pex((SILENT,))))
        await talks[0].say(encode_pex(ext.UT_PEX, wm.Pex((), frozenset(), (SILENT,))))
        await until(lambda: sum(len(talk.all(Holepunch)) for talk in talks) == HOLEPUNCH_RELAYS, within=60)
        asked = [message for talk in talks for message in talk.all(Holepunch)]
        assert {(message.kind, message.address) for message in asked} == {(HolepunchKind.RENDEZVOUS, SILENT)}
        assert talks[0].all(Holepunch) == []
        await trio.sleep(5)
        assert sum(len(talk.all(Holepunch)) for talk in talks) == HOLEPUNCH_RELAYS


@pytest.mark.parametrize("how", ["refuses both", "refuses TCP", "by hand"])
@simulated()
async def test_who_refuses_is_asked_for_where_a_router_may_have_done_it(world, how):
    there = world.network.host("12.5.5.5")
    if how == "refuses both":
        (socket,) = there.bind_datagrams("", 1, handler=lambda data, sender: socket.send(refuse(parse(data)), sender))
    async with relay(world) as (_, torrent, (one, _)):
        if how == "by hand":
            torrent.add_peer(there.ip, 1)
        await one.say(encode_pex(ext.UT_PEX, wm.Pex((Address(there.ip, 1),))))
        await trio.sleep(KNOCK_TIMEOUT + 5)
        assert torrent._life.swarm.dialler.failing == 1
        assert len(one.all(Holepunch)) == (how == "refuses TCP")


@simulated()
async def test_a_liar_keeps_nobody_from_a_peer(world):
    """What he names is called by UDP beside all else."""
    metainfo, data = world.torrent()
    stranger = Stranger(world.host(), metainfo.info, data)
    async with relay(world, ports=(7001,)) as (_, torrent, (one,)), background() as nursery:
        await stranger.serve(nursery)
        place = Address(*stranger.place)
        for _ in range(HOLEPUNCH_MOST - 1):
            await one.say(says(HolepunchKind.CONNECT, place), says(HolepunchKind.CONNECT, Address("12.8.8.8", 1)))
            await trio.sleep(0.1)
        torrent._life.peers_found((place,), TRACKER, Scope.PUBLIC)
        await until(lambda: len(torrent.peers()) == 2, within=10)


@simulated()
async def test_liars_have_so_many_calls_at_once(world):
    async with relay(world) as (session, torrent, talks):
        for number, talk in enumerate(talks):
            await talk.say(*(says(HolepunchKind.CONNECT, Address(f"12.{number}.{i}.8", 1)) for i in range(20)))
        await trio.sleep(1)
        assert torrent._life.swarm.commons.punching == PUNCHES_AT_ONCE
        await trio.sleep(KNOCK_TIMEOUT)
        assert torrent._life.swarm.commons.punching == 0


@simulated()
async def test_nobody_is_made_to_call_by_many_together(world):
    async with relay(world, ports=range(7001, 7006)) as (_, _, talks):
        *askers, target = talks
        for asker in askers:
            await asker.say(says(HolepunchKind.RENDEZVOUS, at(target, 7005)) * (HOLEPUNCH_MOST - 1))
        await trio.sleep(5)
        assert len(target.all(Holepunch)) == HOLEPUNCH_MOST
        told = [message for asker in askers for message in asker.all(Holepunch)]
        assert {message.error for message in told} == {0, HolepunchError.NOT_CONNECTED}


@simulated()
async def test_a_peer_by_udp_is_seen_where_its_router_puts_it(world):
    """Two at home have the same port; the router gives the second another one."""
    metainfo, _ = world.torrent()
    router, middle = world.network.router(), world.host()
    homes = [world.host(router=router) for _ in range(2)]
    async with (
        background() as nursery,
        session_on(middle, utp="prefer") as between,
        session_on(homes[0], port=7000, utp="prefer") as first,
        session_on(homes[1], port=7000, utp="prefer") as second,
    ):
        torrent = between.add(metainfo)
        for session in (first, second):
            session.add(metainfo, peers=[where(middle, between)])
        await until(lambda: len(torrent.peers()) == 2)
        asker = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(middle, between))
        await asker.say(asker.extended_handshake(port=7001))
        await asker.hear(wm.ExtendedHandshake)
        await trio.sleep(1)
        (renumbered,) = [peer.port for peer in torrent.peers() if peer.host == router.ip and peer.port != 7000]
        await asker.say(says(HolepunchKind.RENDEZVOUS, Address(router.ip, renumbered)))
        assert (await asker.hear(Holepunch)).address == Address(router.ip, renumbered)


@simulated()
async def test_whom_we_have_is_not_called(world):
    async with relay(world) as (_, torrent, (one, other)):
        await one.say(says(HolepunchKind.CONNECT, at(other, 7002)))
        await one.say(says(HolepunchKind.CONNECT, other.stream.local))
        await trio.sleep(1)
        assert torrent._life.swarm.commons.punching == 0
        assert len(torrent.peers()) == 2


@simulated()
async def test_a_known_neighbour_is_not_called_because_somebody_outside_says_so(world):
    async with relay(world, ips=["12.1.1.1"], ports=(7001,), utp="prefer") as (_, torrent, (outside,)):
        inside = Address("192.168.1.9", 1)
        torrent._life.peers_found((inside,), "lsd", Scope.PRIVATE)
        await trio.sleep(CONNECT_TIMEOUT + 1)
        assert torrent._life.swarm.peerlist.get(inside).queue is not None
        await outside.say(says(HolepunchKind.CONNECT, inside))
        await trio.sleep(1)
        assert torrent._life.swarm.commons.punching == 0


@simulated()
async def test_before_the_metadata_is_here_it_is_not_done_and_then_offered(world):
    metainfo, data = world.torrent()
    machine = world.host()
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo.magnet)
        stranger = Stranger(world.host(), metainfo.info, data, metadata=None)
        talk = await stranger.call(nursery, where(machine, session))
        first = await talk.hear(wm.ExtendedHandshake)
        assert not first.extensions.get("ut_holepunch")
        await talk.say(says(HolepunchKind.CONNECT, SILENT))
        assert await nothing(talk)
        assert torrent.stats().known_peers == 0
        giver = Stranger(world.host(), metainfo.info, data)
        await giver.call(nursery, where(machine, session))
        again = await talk.hear(wm.ExtendedHandshake, 2)
        assert again.extensions["ut_holepunch"] == UT_HOLEPUNCH


@simulated()
async def test_so_many_introductions_are_kept(world):
    async with relay(world, ports=(7001,)) as (_, torrent, (one,)):
        holepunch = torrent._life.swarm.extensions.holepunch
        (peer,) = torrent._life.swarm.peers
        many = [Address(f"12.{number >> 8}.{number & 255}.1", 1) for number in range(MAX_INTRODUCED + 1)]
        holepunch.introduced(peer, many, ())
        assert holepunch.ask(many[-2], 0)
        assert not holepunch.ask(many[-1], 0)
        holepunch.introduced(peer, (), many[:-1])
        assert not holepunch.ask(many[-2], 0)


def test_such_peers_are_told_of_with_their_flags():
    them = frozenset({SILENT})
    said = encode_pex(9, wm.Pex((SILENT,), reachable=them, utp=them, holepunch=them))
    assert b"7:added.f1:\x1c" in said  # BEP 11: 0x04 | 0x08 | 0x10
