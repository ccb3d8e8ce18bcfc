"""Holepunching (BEP 55): what a session does for two of its peers, for itself, and not for strangers."""

import contextlib

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import CONNECT_TIMEOUT, HOLEPUNCH_INTERVAL, HOLEPUNCH_MOST, HOLEPUNCH_RELAYS, MAX_INTRODUCED
from torrentlite.wire import extensions as ext, messages as wm
from torrentlite.wire.address import Address
from torrentlite.wire.extensions import UT_HOLEPUNCH, encode_holepunch, encode_pex
from torrentlite.wire.messages import Holepunch, HolepunchError, HolepunchKind

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
            assert (
                "ut_holepunch" not in (await talk.hear(wm.ExtendedHandshake)).extensions
                or (await talk.hear(wm.ExtendedHandshake)).extensions["ut_holepunch"] == 0
            )
            await talk.say(talk.extended_handshake(port=7001))
        await one.say(says(HolepunchKind.RENDEZVOUS, at(other, 7001)), says(HolepunchKind.CONNECT, SILENT))
        assert await nothing(one)
        assert await nothing(other)
        assert torrent.stats().known_peers == 2 if how == "off" else torrent.stats().known_peers == 0


@simulated()
async def test_who_is_to_be_called_is_called_at_once_and_over_udp_alone(world):
    got = []
    target = world.network.host("12.7.7.7")
    target.bind_datagrams("", 6881, handler=lambda data, sender: got.append((data[0] >> 4, trio.current_time())))
    async with relay(world) as (_, torrent, (one, _)):
        began = trio.current_time()
        await one.say(says(HolepunchKind.CONNECT, Address("12.7.7.7", 6881)))
        await until(lambda: got)
        assert got[0][0] == 4  # ST_SYN
        assert trio.current_time() - began < 1
        assert world.trace.counts["refused"] == world.trace.counts["unanswered"] == 0
        await one.say(says(HolepunchKind.CONNECT, Address("12.7.7.7", 6881)))  # it is being called already
        await trio.sleep(CONNECT_TIMEOUT)
        assert torrent._life.swarm.dialler.half_open == 0
        assert len(got) == 5  # after 0, 1, 3, 7 and 12 seconds


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


@simulated()
async def test_who_refuses_is_not_asked_for(world):
    there = world.network.host("12.5.5.5")
    async with relay(world) as (_, torrent, (one, _)):
        await one.say(encode_pex(ext.UT_PEX, wm.Pex((Address(there.ip, 1),))))
        await trio.sleep(CONNECT_TIMEOUT + 5)
        assert torrent._life.swarm.dialler.failing == 1
        assert one.all(Holepunch) == []


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
