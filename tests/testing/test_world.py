"""Sessions in a simulated world."""

import pytest
import trio

import torrentlite
from torrentlite.testing import NetworkStats, Trace, run_simulation, simulated


async def share(world, scheme, *, leeches=2):
    """One seed, some leeches and a tracker; returns when everybody has everything."""
    tracker = world.tracker()
    metainfo, data = world.torrent(500_000, 300_000, trackers=[getattr(tracker, scheme)])
    machines = [world.host(up=400_000, latency=0.02) for _ in range(1 + leeches)]
    machines[0].put(metainfo.info, data)

    async def session(machine, task_status):
        async with torrentlite.open_session(torrentlite.Settings(), world=machine) as session:
            await session.add(metainfo).wait_complete()
            assert machine.disk.storage(metainfo.info).content() == data
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as sessions:
        async with trio.open_nursery() as waiting:
            for machine in machines:
                waiting.start_soon(sessions.start, session, machine)
        took = trio.current_time()
        sessions.cancel_scope.cancel()
    await trio.sleep(5)
    tracker.host.stop()
    assert world.network.stats() == NetworkStats(hosts=2 + leeches, sockets=0, held=0)
    return took


@pytest.mark.parametrize("scheme", ["url", "udp_url"])
@simulated(seed=1)
async def test_sessions_meet_and_share(world, scheme):
    took = await share(world, scheme)
    assert 2 < took < 30, "no faster than the lines are, and not stuck"


def test_a_run_of_sessions_can_be_replayed():
    digests = []
    for seed in (1, 1, 2):
        trace = Trace()
        run_simulation(share, "url", seed=seed, trace=trace)
        digests.append(trace.digest())
    assert digests[0] == digests[1] != digests[2]


@simulated()
async def test_machines_have_dice_of_their_own(world):
    a, b = world.host("11.1.1.1"), world.host("11.2.2.2")
    assert a.secret(20) != b.secret(20)
    assert a.rng.random() != b.rng.random()


def test_one_machine_more_changes_nothing_for_the_others():
    async def secrets(world, *addresses):
        return {address: world.host(address).secret(8) for address in addresses}

    few = run_simulation(secrets, "11.1.1.1", "11.2.2.2")
    many = run_simulation(secrets, "11.3.3.3", "11.2.2.2", "11.1.1.1")
    assert few.items() <= many.items()


@simulated()
async def test_torrents_are_made_up(world):
    one, data = world.torrent()
    same, _ = world.torrent()
    other, _ = world.torrent(name="other")
    assert one.info_hash == same.info_hash != other.info_hash
    assert one.total == len(data) == 1 << 20
    several, data = world.torrent(10, 70_000, 0, name="folder", piece_length=32 << 10, private=True)
    assert [file.length for file in several.files] == [10, 70_000, 0]
    assert (several.name, several.private, several.piece_length) == ("folder", True, 32 << 10)
    assert len(data) == 70_010
