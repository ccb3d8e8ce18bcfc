"""Peers by host name: names that lead somewhere later, elsewhere, or nowhere."""

import collections

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until
from torrentlite.limits import MAX_NAMES_KEPT
from torrentlite.strategy.peerlist import RETRY_ANEW, RETRY_NAMED, RETRY_USEFUL

NAME = "seed.example"


def counted(machine):
    """How often each name is looked up from now on."""
    asked = collections.Counter()
    resolve = machine.network.resolve

    async def counting(host, port, *, within):
        asked[host] += 1
        return await resolve(host, port, within=within)

    machine.network.resolve = counting
    return asked


@pytest.mark.parametrize("wish", ["wait", "announce"])
@pytest.mark.parametrize("named", ["hand", "link"])
@simulated()
async def test_a_name_that_is_known_later(world, named, wish):
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, port=6881) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        if named == "hand":
            torrent = session.add(metainfo, peers=[(NAME, 6881)])
        else:
            torrent = session.add(f"{metainfo.magnet}&x.pe={NAME}:6881")
        later = 600 if wish == "announce" else 45
        await trio.sleep(later)
        why = torrent.why()
        assert (why.reason, NAME in why.message) == (tl.Reason.UNREACHABLE, True)
        world.network.names[NAME] = (seed.network.ip,)
        if wish == "announce":
            torrent.announce()
        began = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - began < (RETRY_ANEW if wish == "announce" else RETRY_NAMED[-1]) + 5


@simulated()
async def test_a_name_that_leads_elsewhere_after_a_while(world):
    metainfo, data = world.torrent(1_000_000)
    async with background() as nursery, session_on(machine := world.host()) as session:
        asked = counted(machine)
        old = await Stranger(world.host(up=20_000), metainfo.info, data).serve(nursery)
        new = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        new.port = old.port
        world.network.names[NAME] = (old.machine.network.ip,)
        torrent = session.add(metainfo, peers=[(NAME, old.port)])
        await until(lambda: torrent.stats().done)
        assert asked[NAME] == 1, "while it is of use nobody asks again"
        world.network.names[NAME] = (new.machine.network.ip,)
        old.machine.network.plugged = False
        old.machine.network.reset_connections()
        began = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - began < 2 * RETRY_NAMED[-1] + RETRY_USEFUL + 30
        known = {peer.address.host: peer.source for peer in torrent._life.swarm.peerlist}
        assert known == {old.machine.network.ip: "magnet", new.machine.network.ip: "peer"}


@simulated()
async def test_a_name_that_leads_to_the_same_dead_address_each_time(world):
    """It is dialled when its time has come, not whenever the name was looked up."""
    metainfo, _ = world.torrent(100_000)
    world.network.names[NAME] = ("11.9.9.9",)
    async with session_on(machine := world.host()) as session:
        asked = counted(machine)
        torrent = session.add(metainfo, peers=[(NAME, 6881)])
        await trio.sleep(600)
        (peer,) = torrent._life.swarm.peerlist
        assert 10 < peer.failures <= len(RETRY_NAMED) + 600 / RETRY_NAMED[-1]
        assert 8 < asked[NAME] <= len(RETRY_NAMED) + 600 / RETRY_NAMED[-1]


@simulated()
async def test_names_are_left_alone_where_nobody_is_wanted(world):
    """Paused, or complete and with company."""
    metainfo, data = world.torrent(100_000)
    async with background() as nursery, session_on(machine := world.host(), dht=False) as session:
        machine.put(metainfo.info, data)
        asked = counted(machine)
        torrent = session.add(metainfo, peers=[(NAME, 6881)])
        await torrent.wait_complete()
        await trio.sleep(300)
        before = asked[NAME]
        assert before == len(RETRY_NAMED) + (300 - sum(RETRY_NAMED)) // RETRY_NAMED[-1] + 1, "it sleeps no longer"
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, (machine.network.ip, session.port))
        await trio.sleep(100)
        assert not talk.ended
        assert asked[NAME] == before
        torrent.pause()
        await trio.sleep(300)
        assert asked[NAME] == before


@simulated()
async def test_names_of_a_link_are_left_alone_where_it_turns_out_private(world):
    metainfo, data = world.torrent(100_000, private=True)
    async with background() as nursery, session_on(machine := world.host(), dht=False) as session:
        asked = counted(machine)
        seed = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent = session.add(f"{metainfo.magnet}&x.pe={NAME}:6881", select=[])
        await until(lambda: asked[NAME] > 1)
        torrent.add_peer(*seed.place)
        await torrent.wait_metadata()
        before = asked[NAME]
        seed.machine.network.plugged = False
        await trio.sleep(600)
        assert asked[NAME] == before


@simulated()
async def test_only_so_many_names_are_looked_up_again(world):
    metainfo, _ = world.torrent(100_000)
    async with session_on(machine := world.host()) as session:
        asked = counted(machine)
        torrent = session.add(metainfo)
        for number in range(MAX_NAMES_KEPT + 1):
            torrent.add_peer(f"host{number}.example", 80)
        await trio.sleep(60)
        assert asked["host0.example"] == 1, "the last ones are kept"
        assert len([name for name, times in asked.items() if times > 1]) == MAX_NAMES_KEPT
        assert torrent.why().message.startswith(f"none of {MAX_NAMES_KEPT} names of peers is found: cannot find host")
