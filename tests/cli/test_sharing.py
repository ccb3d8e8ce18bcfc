"""How long is shared: --seed, --ratio, --copies and --seed-time, in a simulated world."""

from __future__ import annotations

import argparse
import math

import pytest
import trio

from tests.strangers import background, session_on, simulated, where
from torrentlite.cli import sharing
from torrentlite.cli.output import Output
from torrentlite.cli.terminal import Mode


def flags(
    *, seed: bool = False, ratio: float | None = None, copies: int | None = None, seed_time: float | None = None
) -> argparse.Namespace:
    return argparse.Namespace(seed=seed, ratio=ratio, copies=copies, seed_time=seed_time)


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (flags(), False),
        (flags(seed=True), True),
        (flags(ratio=0.0), True),
        (flags(copies=1), True),
        (flags(seed_time=1.0), True),
    ],
)
def test_a_limit_is_a_wish(args: argparse.Namespace, wanted: bool) -> None:
    assert sharing.wanted(args) is wanted


@pytest.mark.parametrize(
    ("args", "seconds"),
    [
        (flags(seed=True, ratio=1.0), 10),
        (flags(ratio=0.5), 5),  # and the other half, for who is being served
        (flags(ratio=0.0), 0),
        (flags(ratio=5.0, seed_time=4.0), 4),
        (flags(copies=1), 10),
        (flags(copies=1, ratio=0.5), 5),
        (flags(copies=2), math.inf),
        (flags(seed_time=30.0), 30),
        (flags(seed=True), math.inf),
        (flags(ratio=1.5), math.inf),
    ],
)
@simulated()
async def test_until_it_is_enough(world, args: argparse.Namespace, seconds: float) -> None:  # type: ignore[no-untyped-def]
    metainfo, data = world.torrent(1_000_000)
    seed = world.host(up=100_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as session, session_on(world.host()) as other, background():
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        other.add(metainfo, peers=[where(seed, session)])
        began = trio.current_time()
        with trio.move_on_after(1000):
            await sharing.share(torrent, session, args, Output(Mode.QUIET))
            assert session.torrents == ()
        took = trio.current_time() - began
        assert took == 1000 if seconds == math.inf else 0.9 * seconds <= took < 2 * seconds + 5


@simulated()
async def test_who_is_being_served_gets_the_rest(world) -> None:  # type: ignore[no-untyped-def]
    metainfo, data = world.torrent(1_000_000)
    seed = world.host(up=100_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as session, session_on(world.host()) as other:
        torrent = session.add(metainfo)
        fetched = other.add(metainfo, peers=[where(seed, session)])
        await sharing.share(torrent, session, flags(ratio=0.9), Output(Mode.QUIET))
        with trio.fail_after(1):
            await fetched.wait_complete()


@pytest.mark.parametrize("copies", [1, 2])
@simulated()
async def test_who_is_still_fetching_gets_a_moment(world, copies: int) -> None:  # type: ignore[no-untyped-def]
    """One has all, and another all but a little: it is not left with that."""
    metainfo, data = world.torrent(1_000_000)
    seed = world.host(up=100_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as session, session_on(world.host()) as first, session_on(world.host()) as second:
        torrent = session.add(metainfo)
        one = first.add(metainfo, peers=[where(seed, session)])
        await trio.sleep(2)
        other = second.add(metainfo, peers=[where(seed, session)])
        await sharing.share(torrent, session, flags(copies=copies), Output(Mode.QUIET))
        with trio.fail_after(1):
            await one.wait_complete()
            await other.wait_complete()
        assert torrent.stats().copies >= copies


@simulated()
async def test_nothing_to_give_is_given_at_once(world) -> None:  # type: ignore[no-untyped-def]
    metainfo, _ = world.torrent(100_000)
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo, select=())
        await torrent.wait_complete()
        with trio.fail_after(5):
            await sharing.share(torrent, session, flags(ratio=1.0), Output(Mode.QUIET))
