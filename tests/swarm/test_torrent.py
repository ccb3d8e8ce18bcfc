"""A torrent's wishes and waits: pause, resume, recheck, select, remove, at any moment and in any order."""

import itertools

import pytest
import trio
import trio.testing

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.testing import run_simulation
from torrentlite.wire import messages as wm


async def seeding(world, *sizes, up=0, **torrent):
    metainfo, data = world.torrent(*(sizes or (1 << 20,)), **torrent)
    machine = world.host(up=up)
    machine.put(metainfo.info, data)
    return metainfo, data, machine


@simulated()
async def test_a_link_to_send_to_somebody(world):
    metainfo, data, seed = await seeding(world, trackers=["http://11.1.1.1:1/announce"])
    secret, _ = world.torrent(name="secret", private=True)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        shared = sharing.add(metainfo, trackers=["udp://11.1.1.2:1", metainfo.trackers[0][0]])
        await shared.wait_complete()
        link = tl.Magnet.parse(shared.link())
        assert link == tl.Magnet.parse(shared.magnet)._replace(
            trackers=("http://11.1.1.1:1/announce", "udp://11.1.1.2:1"), peers=(where(seed, sharing),)
        )
        torrent = session.add(link)
        assert torrent.link() == torrent.magnet, "nothing is known yet"
        await torrent.wait_complete()
        hidden = session.add(secret)
        assert hidden.link() == hidden.magnet, "its peers come from its trackers"


@simulated()
async def test_pause_and_resume(world):
    metainfo, data, seed = await seeding(world, up=200_000)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await until(lambda: torrent.stats().pieces_done >= 4)
        torrent.pause()
        assert torrent.state is tl.State.PAUSED
        assert torrent.why().reason is tl.Reason.PAUSED
        await trio.sleep(1)
        stats = torrent.stats()
        assert (stats.peers, stats.half_open, torrent.peers()) == (0, 0, ())
        assert stats.pieces_done >= 4, "what is verified is kept"
        await trio.sleep(100)
        assert torrent.stats().downloaded == stats.downloaded
        torrent.resume()
        assert torrent.state is tl.State.DOWNLOADING
        await torrent.wait_complete()
        assert torrent.stats().downloaded - torrent.stats().wasted == len(data), "no block was lost by the pause"
        assert machine.disk.storage(metainfo.info).content() == data


@simulated()
async def test_added_paused(world):
    metainfo, data, seed = await seeding(world)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, paused=True, peers=[where(seed, sharing)])
        await trio.sleep(60)
        assert torrent.state is tl.State.PAUSED
        assert machine.disk.calls == 0, "not even looked at"
        torrent.resume()
        await torrent.wait_complete()


def test_wishes_in_any_order_at_once():
    """pause, resume and recheck one right after the other: the last one counts."""

    async def run(world, wishes):
        metainfo, data, seed = await seeding(world, 200_000)
        machine = world.host()
        async with session_on(seed) as sharing, session_on(machine) as session:
            sharing.add(metainfo)
            torrent = session.add(metainfo, peers=[where(seed, sharing)])
            for wish in wishes:
                getattr(torrent, wish)()
            await trio.sleep(30)
            paused = False
            for wish in wishes:
                paused = {"pause": True, "resume": False, "recheck": paused}[wish]
            assert torrent.state is (tl.State.PAUSED if paused else tl.State.SEEDING), wishes
            torrent.resume()
            await torrent.wait_complete()

    for length in (2, 3):
        for wishes in itertools.product(("pause", "resume", "recheck"), repeat=length):
            run_simulation(run, wishes)


@pytest.mark.parametrize("wish", ["pause", "recheck", "select", "remove"])
def test_wishes_at_any_moment_of_a_transfer(wish):
    """Every few milliseconds of virtual time once; uploads and downloads are under way."""

    async def run(world, moment):
        metainfo, data, seed = await seeding(world, 60_000, 90_000, up=200_000, piece_length=16 << 10)
        machine = world.host()
        machine.offload.duration = 0.004
        seed.offload.duration = 0.003
        async with session_on(seed) as sharing, session_on(machine) as session:
            shared = sharing.add(metainfo)
            torrent = session.add(metainfo, peers=[where(seed, sharing)])
            await trio.sleep(moment)
            if wish == "pause":
                torrent.pause()
                await trio.sleep(0.01)
                torrent.resume()
                await trio.sleep(0.03)
                shared.pause()
                shared.resume()
            elif wish == "recheck":
                shared.recheck()
                torrent.recheck()
                await trio.sleep(0.005)
                torrent.recheck()
            elif wish == "select":
                torrent.select_files([0])
                await trio.sleep(0.01)
                torrent.select_files([1])
                torrent.select_files(None)
            else:
                await session.remove(torrent)
                with pytest.raises(tl.TorrentRemovedError):
                    await torrent.wait_complete()
                torrent = session.add(metainfo, peers=[where(seed, sharing)])
            with trio.fail_after(120):
                await torrent.wait_complete()
            assert machine.disk.storage(metainfo.info).content() == data
            assert torrent.stats().left == 0
            assert {file.done for file in torrent.files()} == {60_000, 90_000}

    for number in range(60):
        run_simulation(run, number * 0.021, seed=number)


@simulated()
async def test_recheck_finds_what_has_rotted_and_fetches_it_again(world):
    metainfo, data, seed = await seeding(world)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        machine.disk.storage(metainfo.info).fill(data[:100_000] + bytes([data[100_000] ^ 1]) + data[100_001:])
        torrent.recheck()
        assert torrent.state is tl.State.CHECKING
        assert torrent.why().reason is tl.Reason.CHECKING
        await torrent.wait_checked()
        assert torrent.state is tl.State.DOWNLOADING
        assert torrent.stats().pieces_done == 15
        before = torrent.stats().downloaded
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data
        assert torrent.stats().downloaded - before == metainfo.piece_length


@simulated()
async def test_recheck_shows_its_progress_and_serves_nobody_meanwhile(world):
    metainfo, data, seed = await seeding(world)
    seed.disk.rate = 1_000_000
    async with session_on(seed) as session:
        torrent = session.add(metainfo)
        await trio.sleep(0.5)
        assert torrent.state is tl.State.CHECKING
        stats = torrent.stats()
        assert 0 <= stats.checked < stats.check_total == len(data)
        await torrent.wait_complete()
        async with background() as nursery:
            torrent.recheck()
            stranger = Stranger(world.host(), metainfo.info, has=0)
            assert await stranger.call(nursery, where(seed, session)) is None
            await torrent.wait_complete()
            assert await stranger.call(nursery, where(seed, session)) is not None


@simulated()
async def test_a_recheck_interrupted_by_a_pause_is_made_up_for(world):
    metainfo, data, seed = await seeding(world)
    async with session_on(seed) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        seed.disk.rate = 1_000_000
        torrent.recheck()
        await trio.sleep(0.2)
        torrent.pause()
        await trio.sleep(5)
        assert torrent.state is tl.State.PAUSED
        seed.disk.storage(metainfo.info).fill(bytes(len(data)))
        torrent.resume()
        await torrent.wait_checked()
        assert torrent.stats().pieces_done == 0


@pytest.mark.parametrize("gap", [0, 0.1])
@simulated()
async def test_a_recheck_is_not_forgotten_for_what_is_still_open(world, gap):
    """The files are let go when the last write has ended. Who goes on before that begins with what is on the disk."""
    metainfo, data, seed = await seeding(world, up=500_000)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await until(lambda: torrent.stats().done > 200_000)
        machine.disk.seek = 1.0
        calls = machine.disk.calls
        await until(lambda: machine.disk.calls > calls)
        torrent.recheck()
        await trio.sleep(gap)
        torrent.pause()
        await trio.sleep(gap / 2)
        torrent.resume()
        assert torrent.state is tl.State.CHECKING
        machine.disk.seek = 0.0
        await torrent.wait_complete()
        assert torrent.stats().check_total >= 200_000
        assert machine.disk.storage(metainfo.info).content() == data
        assert session.stats().piece_memory == 0


@simulated()
async def test_resume_inside_a_world(world):
    """A second session on the same machine hashes what is there and fetches the rest only."""
    metainfo, data, seed = await seeding(world, up=300_000)
    machine = world.host()
    async with session_on(seed) as sharing:
        shared = sharing.add(metainfo)
        async with session_on(machine) as session:
            torrent = session.add(metainfo, peers=[where(seed, sharing)])
            await until(lambda: torrent.stats().pieces_done >= 6)
        sent = shared.stats().uploaded
        async with session_on(machine) as session:
            torrent = session.add(metainfo, peers=[where(seed, sharing)])
            await torrent.wait_checked()
            assert torrent.stats().done >= 6 * metainfo.piece_length
            await torrent.wait_complete()
        assert shared.stats().uploaded - sent <= len(data) - 6 * metainfo.piece_length


@simulated()
async def test_selecting_during_the_download(world):
    metainfo, data, seed = await seeding(world, 300_000, 300_000, 300_000, up=200_000)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        shared = sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)], select=[0, 1])
        assert torrent.stats().total == 600_000
        await until(lambda: torrent.stats().pieces_done >= 2)
        torrent.select_files([2])
        assert [file.wanted for file in torrent.files()] == [False, False, True]
        assert torrent.stats().total == 300_000
        await torrent.wait_complete()
        files = torrent.files()
        assert files[2].done == 300_000
        assert files[0].done < 300_000
        assert shared.stats().uploaded < 600_000, "what is not wanted any more is not asked for"
        torrent.select_files(None)
        assert torrent.state is tl.State.DOWNLOADING, "who waits now waits for the new ones too"
        await torrent.wait_complete()
        assert torrent.stats().left == 0
        assert machine.disk.storage(metainfo.info).content() == data


@simulated()
async def test_selecting_nothing_and_what_is_not_there(world):
    metainfo, data, seed = await seeding(world, 100_000, 100_000)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)], select=[])
        await torrent.wait_complete()
        assert (torrent.stats().total, torrent.stats().downloaded, torrent.stats().progress) == (0, 0, 1.0)
        for wrong in ([2], [-1], [0, 99], ["2.bin"], [0, "made-up"]):
            with pytest.raises(tl.NoSuchFileError, match="no file"):
                torrent.select_files(wrong)
        assert [file.wanted for file in torrent.files()] == [False, False], "a wrong wish changes nothing"
        for wrong in ("1.bin", [None]):
            with pytest.raises(TypeError, match="files: "):
                torrent.select_files(wrong)
        torrent.select_files(["1.bin"])
        await torrent.wait_complete()
        assert [file.done == 100_000 for file in torrent.files()] == [False, True]
        for wrong in ([2], [-1], ["0.bin", "2.bin"]):
            with pytest.raises(tl.NoSuchFileError, match="no file"):
                session.add(world.torrent(1, 2, name="other")[0], select=wrong)


@simulated()
async def test_waits_can_be_cancelled_and_changed_their_mind(world):
    metainfo, data, seed = await seeding(world, up=100_000)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        with trio.move_on_after(1) as scope:
            await torrent.wait_complete()
        assert scope.cancelled_caught
        assert torrent.state is tl.State.DOWNLOADING, "a wait is only a look"
        ended = []

        async def wait(number):
            await torrent.wait_complete()
            ended.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(wait, number)
        assert sorted(ended) == [0, 1, 2]
        assert await torrent.wait_metadata() is metainfo
        await torrent.wait_checked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await torrent.wait_complete()
        assert scope.cancelled_caught, "every wait is a checkpoint"


@simulated()
async def test_every_wait_of_a_removed_torrent_ends(world):
    hashes = "ab" * 20
    async with session_on(world.host()) as session:
        torrent = session.add(hashes)
        ended = []

        async def wait(what):
            with pytest.raises(tl.TorrentRemovedError):
                await getattr(torrent, what)()
            ended.append(what)

        async def read():
            async with torrent.events() as events:
                ended.append([type(event).__name__ async for event in events][-1])

        async with trio.open_nursery() as nursery:
            for what in ("wait_info", "wait_metadata", "wait_checked", "wait_complete"):
                nursery.start_soon(wait, what)
            nursery.start_soon(read)
            await trio.sleep(3)
            await session.remove(torrent)
        assert len(ended) == 5
        assert torrent.state is tl.State.CLOSED
        for wish in (torrent.pause, torrent.resume, torrent.recheck, torrent.announce):
            wish()
        torrent.select_files([0])
        torrent.add_peer("11.9.9.9", 5)
        torrent.add_tracker("http://tracker.example/announce")
        torrent.set_limits(upload=5, download=5)
        await trio.sleep(30)
        assert torrent.state is tl.State.CLOSED
        assert (torrent.peers(), torrent.files(), torrent.stats().peers) == ((), (), 0)
        await session.remove(torrent)
        session.add(hashes)


@simulated()
async def test_removing_is_not_interrupted_half_way(world):
    metainfo, data, seed = await seeding(world)
    async with session_on(seed) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        seed.offload.duration = 1
        with trio.move_on_after(0.1):
            await session.remove(torrent)
        assert torrent.state is tl.State.CLOSED
        assert torrent._life.swarm.pieces is None or not torrent._life.content.pieces, "its files are closed"
        again = session.add(metainfo)
        await again.wait_complete()
        await session.remove(torrent)
        assert session.torrents == (again,), "who is gone takes nobody along"


@simulated()
async def test_events_tell_the_story(world):
    metainfo, data, seed = await seeding(world, 300_000, up=100_000)
    machine = world.host()
    async with session_on(seed) as sharing, background() as nursery, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)], paused=True)
        got = []

        async def read():
            async with torrent.events() as events:
                got.extend([event async for event in events])

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        torrent.resume()
        paths = await torrent.wait_complete()
        await session.remove(torrent)
    changes = [(event.before.value, event.after.value) for event in got if isinstance(event, tl.StateChanged)]
    assert changes == [
        ("paused", "checking"), ("checking", "downloading"), ("downloading", "seeding"), ("seeding", "closed"),
    ]  # fmt: skip
    assert sorted(event.piece for event in got if isinstance(event, tl.PieceVerified)) == list(range(5))
    progress = [event for event in got if isinstance(event, tl.Progress)]
    assert len(progress) >= 3
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    (completed,) = [event for event in got if isinstance(event, tl.Completed)]
    assert completed.paths == paths


@simulated()
async def test_why_at_each_stage(world):
    metainfo, data, seed = await seeding(world, 1_500_000, up=100_000)
    machine = world.host()
    async with background() as nursery, session_on(machine, lsd=False, dht=False) as session:
        torrent = session.add(metainfo)
        assert torrent.why().reason is tl.Reason.CHECKING
        await torrent.wait_checked()
        await trio.sleep(30)
        assert torrent.why().reason is tl.Reason.NO_SOURCES
        torrent.add_peer("11.200.0.1", 6881)
        await trio.sleep(60)
        assert torrent.why().reason is tl.Reason.UNREACHABLE
        choking = await Stranger(world.host(), metainfo.info, data, has=1, unchokes=False).serve(nursery)
        torrent.add_peer(*choking.place)
        await trio.sleep(30)
        assert torrent.why().reason is tl.Reason.CHOKED
        empty = await Stranger(world.host(), metainfo.info, has=0).serve(nursery)
        await choking.talk.stream.aclose()
        await trio.sleep(0.5)
        choking.machine.network.plugged = False  # else it is called again within a second
        torrent.add_peer(*empty.place)
        await trio.sleep(7)
        assert torrent.why().reason is tl.Reason.MISSING_PIECES
        silent = await Stranger(world.host(), metainfo.info, data, answer=lambda request, right: None).serve(nursery)
        torrent.add_peer(*silent.place)
        await trio.sleep(30)
        assert torrent.why().reason is tl.Reason.SLOW
        async with session_on(seed) as sharing:
            sharing.add(metainfo)
            torrent.add_peer(*where(seed, sharing))
            await until(lambda: torrent.stats().done)
            assert torrent.why().reason is tl.Reason.FINE
            torrent.set_limits(download=20_000)
            await trio.sleep(15)
            assert torrent.why().reason is tl.Reason.LIMITED
            torrent.set_limits(download=0)
            await torrent.wait_complete()
        assert torrent.why().reason is tl.Reason.COMPLETE


@simulated()
async def test_nothing_flows_while_it_is_paused(world):
    metainfo, data, seed = await seeding(world, 1_500_000, up=100_000)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await until(lambda: torrent.stats().down_rate > 50_000)
        assert torrent.stats().eta
        torrent.pause()
        assert (torrent.stats().down_rate, torrent.stats().up_rate, torrent.stats().eta) == (0, 0, None)


@simulated()
async def test_looks_at_each_stage(world):
    metainfo, data, seed = await seeding(world, 100_000, 200_000, up=100_000)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        shared = sharing.add(metainfo)
        magnet = session.add(tl.Magnet(tl.InfoHashes(b"x" * 20)), paused=True)
        assert (magnet.files(), magnet.peers(), magnet.trackers(), magnet.paths()) == ((), (), (), ())
        assert magnet.pieces() == tl.PieceStats(0, 0, 0, 0, 0, ())
        assert (magnet.stats().progress, magnet.metainfo, magnet.name) == (1.0, None, (b"x" * 20).hex())
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        assert torrent.pieces().count == 5
        assert torrent.pieces().have == 0
        await until(lambda: torrent.stats().pieces_done == 2)
        (peer,) = torrent.peers()
        assert (peer.host, peer.port) == where(seed, sharing)
        assert (peer.source, peer.incoming, peer.progress, peer.client) == ("peer", False, 1.0, "torrentlite/0.1.0")
        assert peer.am_interested
        assert not peer.peer_choking
        assert peer.downloaded == torrent.stats().downloaded
        (back,) = shared.peers()
        assert (back.incoming, back.source, back.host) == (True, "incoming", machine.network.ip)
        assert back.peer_interested
        assert back.uploaded >= peer.downloaded
        pieces = torrent.pieces()
        assert pieces.have.bit_count() == 2
        assert pieces.wanted == 31
        assert pieces.availability == (1,) * 5
        assert pieces.in_flight
        assert not pieces.have & (pieces.in_flight | pieces.partial)
        stats = torrent.stats()
        assert (stats.seeds, stats.peers, stats.distributed_copies) == (1, 1, 1.0)
        assert stats.eta and stats.eta > 0
        assert session.stats().down_rate == pytest.approx(stats.down_rate, rel=0.1)
        assert sum(file.done for file in torrent.files()) == stats.done
        assert "downloading" in repr(torrent)
        await torrent.wait_complete()
        assert torrent.stats().eta is None
        assert torrent.stats().complete
        assert torrent.pieces().have == 31
        assert session.stats().downloaded == len(data)


@simulated()
async def test_a_paused_torrent_answers_nobody(world):
    metainfo, data, seed = await seeding(world)
    async with background() as nursery, session_on(seed) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.call(nursery, where(seed, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        torrent.pause()
        await talk.wait_ended()
        assert await stranger.call(nursery, where(seed, session)) is None
        torrent.resume()
        await torrent.wait_complete()
        assert await stranger.call(nursery, where(seed, session)) is not None
