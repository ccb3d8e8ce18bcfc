"""Links that stay (BEP 46): an owner publishes, others find what is newest, the DHT is told again and again."""

import contextlib

import pytest
import trio

import torrentlite as tl
from tests.strangers import background, session_on, simulated, until
from tests.swarm.dhtworld import dht
from torrentlite.dht import SigningKey
from torrentlite.limits import DHT_ITEM_AGAIN, DHT_ITEM_LIFE, DHT_ITEM_RETRY, DHT_MAX_SALT
from torrentlite.loading import newest

KEY = bytes(range(32))


def sharing(world, machine, session, *sizes, **more):
    metainfo, data = world.torrent(*(sizes or (100_000,)), **more)
    machine.put(metainfo.info, data)
    return session.add(metainfo)


def keepers(torrent):
    """Those of its publications that are kept alive still."""
    known = torrent._life.discovery._published.values()
    return [each for each in known if each._scope in torrent._life._crew._scopes]


async def leads_to(link, nodes):
    return (await newest(link, nodes[0])).info_hash


@simulated(time_limit=86_400)
async def test_the_newest_is_what_the_link_leads_to(world):
    machine, other = world.host(), world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        monday = sharing(world, machine, session, name="monday")
        link = await monday.publish(KEY)
        assert link == tl.MutableLink(SigningKey(KEY).public)
        assert await leads_to(link, nodes) == monday.info_hash
        beside = await monday.publish(KEY, salt=b"weekly")
        assert beside == (link.key, b"weekly")
        async with session_on(other, bootstrap=nodes.bootstrap) as elsewhere:
            tuesday = sharing(world, other, elsewhere, name="tuesday")
            assert await tuesday.publish(KEY) == link
            assert await leads_to(link, nodes) == tuesday.info_hash
            assert await leads_to(beside, nodes) == monday.info_hash
            await trio.sleep(DHT_ITEM_AGAIN + 60)
            assert await leads_to(link, nodes) == tuesday.info_hash
            assert [each.link for each in keepers(monday)] == [beside], "who was first has left it to the other"
            assert [each.link for each in keepers(tuesday)] == [link]


@simulated(time_limit=86_400)
async def test_it_is_kept_alive_as_long_as_it_is_shared(world):
    machine = world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = sharing(world, machine, session)
        link = await torrent.publish(KEY)
        await trio.sleep(3 * DHT_ITEM_LIFE)
        item = await nodes[0].get_mutable(link.key)
        assert item.value == {b"ih": torrent.hashes.v1}
        assert item.sequence == int(machine.wall() - trio.current_time()), "the same item: it is not signed anew"
        await session.remove(torrent)
        await trio.sleep(DHT_ITEM_LIFE + 60)
        with pytest.raises(tl.DhtError, match="nobody in the DHT knows") as caught:
            await newest(link, nodes[0])
        assert "publish it again" in caught.value.hint


@simulated(time_limit=86_400)
async def test_nodes_that_are_away_are_told_when_they_are_back(world):
    machine = world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = sharing(world, machine, session)
        link = await torrent.publish(KEY)
        machine.network.plugged = False
        await trio.sleep(DHT_ITEM_LIFE + DHT_ITEM_AGAIN)
        assert await nodes[0].get_mutable(link.key) is None, "or this shows nothing"
        machine.network.plugged = True
        began = trio.current_time()
        while await nodes[0].get_mutable(link.key) is None:
            await trio.sleep(1)
        assert trio.current_time() - began < DHT_ITEM_RETRY + 120


@simulated(time_limit=86_400)
async def test_nobody_takes_it_back_to_what_was_forgotten(world):
    """Anybody can store an item again that he has kept (BEP 44), and the number of an owner who forgot would be lower."""
    machine = world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        monday, tuesday = (
            sharing(world, machine, session, name="monday"),
            sharing(world, machine, session, name="tuesday"),
        )
        for _ in range(3):
            link = await monday.publish(KEY)
        kept = await nodes[0].get_mutable(link.key)
        await session.remove(monday)
        await trio.sleep(DHT_ITEM_LIFE + 60)
        assert await nodes[0].get_mutable(link.key) is None, "or this shows nothing"
        await tuesday.publish(KEY)
        with contextlib.suppress(tl.DhtError):  # some may have forgotten it, and take it
            await nodes[3].put_item(kept)
        await trio.sleep(2 * DHT_ITEM_LIFE)
        assert await leads_to(link, nodes) == tuesday.info_hash


@simulated(time_limit=86_400)
async def test_two_at_once_agree_within_two_turns(world):
    """Neither has seen the other: the same number, and two values."""
    async with dht(world, 8) as nodes, contextlib.AsyncExitStack() as stack:
        torrents = []
        for name in ("one", "two"):
            machine = world.host()
            session = await stack.enter_async_context(session_on(machine, bootstrap=nodes.bootstrap))
            torrents.append(sharing(world, machine, session, name=name))
            await until(lambda session=session: session.stats().dht.state == "joined")
        async with trio.open_nursery() as nursery:
            for torrent in torrents:
                nursery.start_soon(torrent.publish, KEY)
        link = tl.MutableLink(SigningKey(KEY).public)
        await trio.sleep(2 * DHT_ITEM_AGAIN + DHT_ITEM_RETRY)
        winner = await leads_to(link, nodes)
        assert [torrent.info_hash for torrent in torrents if keepers(torrent)] == [winner]
        assert {(await newest(link, node)).info_hash for node in nodes} == {winner}


@simulated()
async def test_published_often_it_is_kept_once(world):
    machine = world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = sharing(world, machine, session)
        for _ in range(5):
            await torrent.publish(KEY)
            await trio.sleep(10)
        assert len(keepers(torrent)) == 1
        assert torrent._life.tasks == 1


@simulated()
async def test_it_leads_to_no_torrent(world):
    async with dht(world, 8) as nodes:
        for value in ({"ih": b"short"}, {"other": bytes(20)}, b"text", [bytes(20)], 5):
            await nodes[1].put_mutable(value, SigningKey(KEY))
            with pytest.raises(tl.DhtError, match="no torrent"):
                await newest(tl.MutableLink(SigningKey(KEY).public), nodes[0])


@simulated()
async def test_what_cannot_be_published(world):
    machine = world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = sharing(world, machine, session)
        with pytest.raises(ValueError):
            await torrent.publish(bytes(31))
        with pytest.raises(tl.DhtError, match="salt"):
            await torrent.publish(KEY, salt=bytes(DHT_MAX_SALT + 1))
        assert await torrent.publish(KEY, salt=bytes(DHT_MAX_SALT))
        tracker = world.tracker()
        failed = sharing(world, machine, session, name="failed")
        await failed.wait_checked()
        failed._life._fail(tl.StorageError("made up"))
        with pytest.raises(tl.StorageError, match="made up"):
            await failed.publish(KEY)
        private = sharing(world, machine, session, name="private", private=True, trackers=[tracker.url])
        with pytest.raises(tl.DhtError, match="private"):
            await private.publish(KEY)
        second = sharing(world, machine, session, name="second", version="v2")
        with pytest.raises(tl.DhtError, match="v1 hash"):
            await second.publish(KEY)
    async with session_on(machine, dht=False) as session:
        with pytest.raises(tl.DhtError, match="switched off"):
            await sharing(world, machine, session, name="without").publish(KEY)


@pytest.mark.parametrize("end", ["removed", "session left"])
@simulated()
async def test_whoever_waits_for_it_does_not_wait_for_ever(world, end):
    """Nobody to join by: it waits until somebody is there, or the torrent is gone."""
    machine, raised = world.host(), []

    async def wait(torrent):
        with pytest.raises(tl.TorrentRemovedError) as caught:
            await torrent.publish(KEY)
        raised.append(caught.value)

    async with background() as nursery:
        async with session_on(machine, bootstrap=[("11.9.9.9", 1)]) as session:
            torrent = sharing(world, machine, session)
            nursery.start_soon(wait, torrent)
            await trio.sleep(60)
            assert not raised
            if end == "removed":
                await session.remove(torrent)
        await until(lambda: raised)


@simulated()
async def test_cancelled_before_anybody_was_told_nobody_is(world):
    machine = world.host()
    async with dht(world, 8) as nodes, session_on(machine, bootstrap=[("11.9.9.9", 1)]) as session:
        torrent = sharing(world, machine, session)
        with trio.move_on_after(60) as scope:
            await torrent.publish(KEY)
        assert scope.cancelled_caught
        for host, port in nodes.bootstrap:
            await session._commons.dht.node.add_host(host, port)
        await session._commons.dht.node.wait_joined()
        await trio.sleep(120)
        assert await nodes[0].get_mutable(SigningKey(KEY).public) is None
