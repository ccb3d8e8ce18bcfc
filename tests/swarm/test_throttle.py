"""Rate limits: of the session and of a torrent, both ways, while running. Rates are of virtual time, so exact."""

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, where
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.strategy.rate import TokenBucket
from torrentlite.swarm.throttle import Throttle
from torrentlite.wire import messages as wm

SECONDS = 20


async def pair(world, size, name="made-up"):
    metainfo, data = world.torrent(size, name=name)
    seed, leech = world.host(), world.host()
    seed.put(metainfo.info, data)
    return metainfo, seed, leech


async def seconds_of(torrent):
    await torrent.wait_checked()
    started = trio.current_time()
    await torrent.wait_complete()
    return trio.current_time() - started


@pytest.mark.parametrize("limit", [8_000, 20_000, 100_000, 400_000])
@pytest.mark.parametrize("whose", ["session", "torrent"])
@simulated()
async def test_download_limit_holds_on_average(world, limit, whose):
    metainfo, seed, leech = await pair(world, limit * SECONDS)
    async with session_on(seed) as sharing, session_on(leech, download_limit=limit * (whose == "session")) as fetching:
        sharing.add(metainfo)
        torrent = fetching.add(metainfo, peers=[where(seed, sharing)])
        if whose == "torrent":
            torrent.set_limits(download=limit)
        rate = limit * SECONDS / await seconds_of(torrent)
    assert 0.8 * limit < rate < 1.12 * limit, "a burst more at most, and not much less"


@pytest.mark.parametrize("limit", [8_000, 100_000, 400_000])
@pytest.mark.parametrize("whose", ["session", "torrent"])
@simulated()
async def test_upload_limit_holds_on_average(world, limit, whose):
    metainfo, seed, leech = await pair(world, limit * SECONDS)
    async with session_on(seed, upload_limit=limit * (whose == "session")) as sharing, session_on(leech) as fetching:
        shared = sharing.add(metainfo)
        if whose == "torrent":
            shared.set_limits(upload=limit)
        rate = limit * SECONDS / await seconds_of(fetching.add(metainfo, peers=[where(seed, sharing)]))
    assert 0.9 * limit < rate < 1.1 * limit + BLOCK_SIZE / SECONDS


@pytest.mark.parametrize("way", ["upload", "download"])
@pytest.mark.parametrize("whose", ["session", "torrent"])
@simulated()
async def test_a_limit_lifted_while_running_is_felt_at_once(world, way, whose):
    metainfo, seed, leech = await pair(world, 400_000)
    async with session_on(seed) as sharing, session_on(leech) as fetching:
        shared, torrent = sharing.add(metainfo), fetching.add(metainfo, peers=[where(seed, sharing)])
        owner = {"upload": (sharing, shared), "download": (fetching, torrent)}[way][whose == "torrent"]
        owner.set_limits(**{way: 100})  # a block takes 164 s
        await trio.sleep(300)
        assert 0 < torrent.stats().downloaded <= 5 * BLOCK_SIZE
        owner.set_limits(**{way: 0})
        with trio.fail_after(3):
            await torrent.wait_complete()


@pytest.mark.parametrize("way", ["upload", "download"])
@simulated()
async def test_a_limit_set_while_running_is_felt_soon(world, way):
    metainfo, seed, leech = await pair(world, 8 << 20)
    seed.network.set_rates(up=400_000)
    async with session_on(seed) as sharing, session_on(leech) as fetching:
        sharing.add(metainfo)
        torrent = fetching.add(metainfo, peers=[where(seed, sharing)])
        await trio.sleep(5)
        {"upload": sharing, "download": fetching}[way].set_limits(**{way: 20_000})
        await trio.sleep(5)  # what was asked for before may still come
        before = torrent.stats().downloaded
        await trio.sleep(30)
        assert 0.8 * 600_000 < torrent.stats().downloaded - before < 1.1 * 600_000 + 2 * BLOCK_SIZE


@pytest.mark.parametrize("way", ["upload", "download"])
@simulated()
async def test_two_torrents_share_the_limit_of_their_session(world, way):
    one, seed, leech = await pair(world, 2 << 20, "one")
    two, data = world.torrent(2 << 20, name="two")
    seed.put(two.info, data)
    limits = {f"{way}_limit": 100_000}
    async with (
        session_on(seed, **(limits if way == "upload" else {})) as sharing,
        session_on(leech, **(limits if way == "download" else {})) as fetching,
    ):
        for metainfo in (one, two):
            sharing.add(metainfo)
        torrents = [fetching.add(metainfo, peers=[where(seed, sharing)]) for metainfo in (one, two)]
        await trio.sleep(20)
        got = [torrent.stats().downloaded for torrent in torrents]
        assert sum(got) < 1.1 * 100_000 * 20
        assert min(got) > 0.35 * sum(got), f"one of two equals got {got}"


@simulated()
async def test_peers_share_the_upload_limit(world):
    metainfo, seed, _ = await pair(world, 4 << 20)
    async with background() as nursery, session_on(seed, upload_limit=100_000) as sharing:
        shared = sharing.add(metainfo)
        await shared.wait_checked()
        layout = metainfo.info.layout
        talks = []
        for _ in range(4):
            talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(seed, sharing))
            await talk.say(
                wm.Interested(), *[wm.Request(*block) for piece in range(16) for block in layout.blocks(piece)]
            )
            await talk.hear(wm.Unchoke)
            await talk.say(*[wm.Request(*block) for piece in range(16) for block in layout.blocks(piece)])
            talks.append(talk)
        await trio.sleep(20)
        got = [peer.uploaded for peer in shared.peers()]
        assert sum(got) < 1.1 * 100_000 * 20 + BLOCK_SIZE
        assert min(got) > 0.15 * sum(got), f"four equals got {got}"


def test_a_grant_is_the_least_of_both_limits_and_takes_from_both_alike():
    session, torrent = TokenBucket(1_000_000, 0.0), TokenBucket(200_000, 0.0)
    throttle = Throttle((), (session, torrent))
    assert throttle.allowance(100, 0.0) == 100_000 // BLOCK_SIZE
    assert session.take(1 << 30, 0.0) == 500_000 - 6 * BLOCK_SIZE
    throttle.unused(6)
    assert torrent.take(1 << 30, 0.0) == 100_000


def test_without_a_limit_everything_is_granted():
    throttle = Throttle((TokenBucket(0, 0.0),), (TokenBucket(0, 0.0), TokenBucket(0, 0.0)))
    assert throttle.allowance(12_345, 0.0) == 12_345
    assert not throttle.download_limited
    assert throttle.book_upload(1 << 30, 0.0) == 0.0
