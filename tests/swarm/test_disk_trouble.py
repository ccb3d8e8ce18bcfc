"""Disks that are full, broken or slow: what is verified stays, nobody innocent is blamed, and it goes on by itself."""

import contextlib
import dataclasses
import errno
import itertools
import os

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import COMMIT_INTERVAL, DISK_RETRY, TICK
from torrentlite.testing import run_simulation
from torrentlite.testing.offload import SimulatedOffload

SIZES = (400_000, 112_000)


@contextlib.asynccontextmanager
async def fetching(world, *, sizes=SIZES, down=500_000, **settings):
    """A seed, and a machine whose disk can be spoiled before its session begins."""
    metainfo, data = world.torrent(*sizes)
    seed, machine = world.host(), world.host(down=down)
    seed.put(metainfo.info, data)

    @contextlib.asynccontextmanager
    async def begin():
        async with session_on(machine, **settings) as session:
            yield session.add(metainfo, peers=[where(seed, sharing)])

    async with session_on(seed) as sharing:
        sharing.add(metainfo)
        yield machine, begin, metainfo
        storage = machine.disk.storage(metainfo.info)
        assert storage.content() == data
        assert len(storage.finished) == len(sizes)


@simulated()
async def test_what_arrives_is_safe_against_a_power_cut_every_other_second(world):
    async with fetching(world, down=50_000) as (machine, begin, metainfo):
        storage = machine.disk.storage(metainfo.info)
        sync, at = storage.sync, []

        def noted(files=()):
            at.append(trio.current_time())
            return sync(files)

        storage.sync = noted
        async with begin() as torrent:
            await until(lambda: torrent.stats().done)
            at.append(trio.current_time())
            await torrent.wait_complete()
            at.append(trio.current_time())
            assert at[-1] - at[0] > 3 * COMMIT_INTERVAL, "it takes its time"
            assert max(after - before for before, after in itertools.pairwise(sorted(at))) <= COMMIT_INTERVAL + 2 * TICK


@simulated()
async def test_a_full_disk_pauses_with_its_reason_and_goes_on_when_there_is_room(world):
    async with fetching(world) as (machine, begin, metainfo), begin() as torrent:
        machine.disk.room = 200_000
        waited = []

        async def wait():
            waited.append(await torrent.wait_complete())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(60)
            assert world.trace.counts["disk error"] >= 3, "it is tried again and again"
            why = torrent.why()
            assert why.reason is tl.Reason.DISK
            assert "No space left" in why.message
            assert isinstance(torrent.error, tl.DiskFullError)
            assert torrent.state is tl.State.DOWNLOADING
            assert "No space left" in torrent.stats().error
            done = torrent.stats().done
            assert 0 < done < sum(SIZES), "what found room is verified"
            asked = torrent.stats().downloaded
            await trio.sleep(60)
            assert torrent.stats().downloaded == asked, "nothing is asked for that cannot be stored"
            assert waited == []
            machine.disk.room = None
            await until(lambda: waited, DISK_RETRY + 5)
        assert torrent.error is None
        assert torrent.why().reason is tl.Reason.COMPLETE
        assert torrent.stats().downloaded == sum(SIZES), "nothing is fetched twice"


@simulated()
async def test_full_pause_and_resume(world):
    async with fetching(world) as (machine, begin, metainfo), begin() as torrent:
        machine.disk.room = 200_000
        await until(lambda: torrent.error)
        torrent.pause()
        await trio.sleep(30)
        assert torrent.state is tl.State.PAUSED
        torrent.resume()
        await trio.sleep(30)
        assert torrent.why().reason is tl.Reason.DISK
        machine.disk.room = None
        await torrent.wait_complete()


@simulated()
async def test_removed_and_left_while_the_disk_is_full(world):
    metainfo, data = world.torrent(*SIZES)
    seed, machine = world.host(), world.host(down=500_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing:
        sharing.add(metainfo)
        for remove in (True, False):
            async with session_on(machine) as session:
                torrent = session.add(metainfo, peers=[where(seed, sharing)])
                machine.disk.room = 100_000
                await until(lambda: torrent.error)
                left_at = trio.current_time()
                if remove:
                    await session.remove(torrent)
            assert trio.current_time() - left_at < 5
    assert world.trace.counts["disk error"]


def calls_of_a_clean_run():
    async def run(world):
        async with fetching(world, sizes=(200_000, 60_000)) as (machine, begin, _), begin() as torrent:
            await torrent.wait_complete()
            return machine.disk.calls

    return run_simulation(run)


CALLS = calls_of_a_clean_run()


@pytest.mark.parametrize(("number", "times"), [(errno.EIO, 1), (errno.EIO, 3), (errno.ENOSPC, 1)])
@pytest.mark.parametrize("first", range(1, CALLS + 1))
def test_a_fault_at_any_call(first, number, times):
    """Whichever call fails, and however often: it completes, in a time that the retries explain, and blames nobody."""

    async def run(world):
        async with fetching(world, sizes=(200_000, 60_000)) as (machine, begin, _):
            machine.disk.fail_at = dict.fromkeys(range(first, first + times), number)
            async with begin() as torrent:
                started = trio.current_time()
                await torrent.wait_complete()
                assert trio.current_time() - started < 2 + (DISK_RETRY + 2) * times
                assert world.trace.counts["disk error"] >= 1
                assert torrent.error is None
                assert torrent.stats().hash_failures == 0

    run_simulation(run)


@simulated()
async def test_what_a_failed_sync_may_have_lost_is_not_claimed(world):
    async with fetching(world, sizes=(3 << 20,)) as (machine, begin, metainfo), begin() as torrent:
        await torrent.wait_checked()
        real = machine.disk.storage(metainfo.info).sync
        failed = []

        def sync(files=()):
            if not failed:
                failed.append(torrent.stats().pieces_done)
                machine.disk.fail_at[machine.disk.calls + 1] = errno.EIO
            return real(files)

        machine.disk.storage(metainfo.info).sync = sync
        await until(lambda: torrent.error)
        assert type(torrent.error) is tl.DiskTroubleError, "there is room"
        assert failed[0] > 0
        assert torrent.why().reason is tl.Reason.DISK
        lost = failed[0] - torrent.stats().pieces_done
        assert lost > 0
        assert torrent.stats().done + torrent.stats().left == 3 << 20
        await torrent.wait_complete()
        assert torrent.stats().downloaded >= (3 << 20) + lost * metainfo.piece_length, "fetched again"


@simulated()
async def test_a_disk_that_never_syncs_is_not_a_reason_to_download_all_day(world):
    async with fetching(world, sizes=(1 << 20,)) as (machine, begin, metainfo), begin() as torrent:
        await torrent.wait_checked()
        real = machine.disk.storage(metainfo.info).sync
        broken = [True]

        def sync(files=()):
            if broken:
                machine.disk.fail_at[machine.disk.calls + 1] = errno.EIO
            return real(files)

        machine.disk.storage(metainfo.info).sync = sync
        reasons = []
        for _ in range(120):
            await trio.sleep(1)
            reasons.append(torrent.why().reason)
        assert reasons.count(tl.Reason.DISK) > 60, "for most of the time it waits"
        assert world.trace.counts["disk error"] >= 5
        assert torrent.stats().downloaded <= (1 << 20) * (120 / DISK_RETRY + 1)
        broken.clear()
        await torrent.wait_complete()


@simulated()
async def test_a_disk_that_refuses_for_good_is_an_error_for_those_who_wait(world):
    async with fetching(world) as (machine, begin, metainfo), begin() as torrent:
        machine.disk.fail_at = {machine.disk.calls + 10: errno.EACCES}
        with pytest.raises(tl.StorageError) as caught:
            await torrent.wait_complete()
        assert caught.value.errno == errno.EACCES
        assert torrent.state is tl.State.ERROR
        assert torrent.why().reason is tl.Reason.ERROR
        await trio.sleep(20)
        assert torrent.peers() == ()
        torrent.resume()
        await torrent.wait_complete()


@simulated()
async def test_what_stopped_it_is_not_forgotten_when_the_disk_has_room_again(world):
    """It is full for a flush, which waits; then it refuses a write for good; then the flush is tried again."""
    async with fetching(world, sizes=(3 << 20,)) as (machine, begin, metainfo), begin() as torrent:
        await torrent.wait_checked()
        storage, full = machine.disk.storage(metainfo.info), []
        real = storage.sync

        def sync(files=()):
            if not full:
                full.append(machine.disk.calls + 1)
                machine.disk.fail_at = {full[0]: errno.ENOSPC, full[0] + 1: errno.EACCES}
            return real(files)

        storage.sync = sync
        await until(lambda: torrent.state is tl.State.ERROR)
        assert world.trace.counts["disk error"] == 2
        calls = machine.disk.calls
        await trio.sleep(DISK_RETRY + 5)
        assert machine.disk.calls > calls, "it is tried again"
        assert torrent.error is not None
        assert torrent.error.errno == errno.EACCES
        assert torrent.why().reason is tl.Reason.ERROR
        with pytest.raises(tl.StorageError):
            await torrent.wait_complete()
        torrent.resume()
        await torrent.wait_complete()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@simulated()
async def test_a_read_that_fails_while_seeding(world, number):
    """A fault that may pass is the asking peer's bad luck; one that does not ends the sharing, with its reason."""
    metainfo, data = world.torrent(*SIZES)
    seed, machine = world.host(), world.host(down=500_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        shared = sharing.add(metainfo)
        await shared.wait_complete()
        seed.disk.cached = False
        seed.disk.fail_at = {seed.disk.calls + 3: number}
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        if number == errno.EIO:
            await torrent.wait_complete()
            assert shared.state is tl.State.SEEDING
        else:
            await until(lambda: shared.error)
            assert shared.state is tl.State.ERROR
            shared.resume()
            await torrent.wait_complete()
        assert world.trace.counts["disk error"] == 1


@simulated()
async def test_after_an_error_the_disk_is_looked_at_also_where_a_pause_came_between(world):
    metainfo, data = world.torrent(*SIZES)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        shared = sharing.add(metainfo)
        await shared.wait_complete()
        seed.disk.cached = False
        seed.disk.fail_at = {seed.disk.calls + 3: errno.EACCES}
        session.add(metainfo, peers=[where(seed, sharing)])
        await until(lambda: shared.state is tl.State.ERROR)
        shared.pause()
        assert shared.state is tl.State.PAUSED
        seed.disk.storage(metainfo.info).fill(bytes(len(data)))
        shared.resume()
        assert shared.state is tl.State.CHECKING
        await shared.wait_checked()
        assert shared.state is tl.State.DOWNLOADING
        assert shared.stats().pieces_done == 0


@simulated()
async def test_a_slow_disk_bounds_memory_and_stalls_no_reader(world):
    piece = 64 << 10
    memory = 4 * piece
    async with fetching(world, sizes=(2 << 20,), down=0, piece_memory=memory) as (machine, begin, metainfo):
        machine.disk.rate = 100_000
        async with begin() as torrent:
            most = 0
            stats = torrent.stats()
            with trio.fail_after(60):
                while torrent.stats().left:
                    await trio.sleep(0.05)
                    stats = torrent.stats()
                    most = max(most, torrent._life.swarm.commons.memory.used)
                    for peer in machine.network.streams:
                        assert peer._in.unread == 0, "what has come is read, whatever the disk does"
            assert most <= memory
            assert most >= memory - piece, "and it is used"
            assert stats.wasted == 0
            await torrent.wait_complete()


@pytest.mark.parametrize("honest", [True, False])
@simulated()
async def test_slow_peers_with_big_pieces_do_not_keep_a_fast_one_waiting(world, honest):
    """Twenty peers at 1 KiB/s begin twenty pieces, and memory has room for four. What they hold up is written out."""
    metainfo, data = world.torrent(24 << 18, piece_length=256 << 10)
    memory = 1 << 20
    machine = world.host()
    async with background() as nursery, session_on(machine, piece_memory=memory) as session:
        slow = [
            await Stranger(world.host(up=1_000), metainfo.info, data, delay=0 if honest else 1e6).serve(nursery)
            for _ in range(20)
        ]
        torrent = session.add(metainfo, peers=[stranger.place for stranger in slow])
        await trio.sleep(5)
        assert torrent.stats().peers == 20
        assert session.stats().piece_memory >= memory - metainfo.piece_length, "they fill the memory"
        fast = await Stranger(world.host(up=1_000_000), metainfo.info, data).serve(nursery)
        torrent.add_peer(*fast.place)
        started = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - started < 60, "a few times what it takes alone (6 s)"
        assert session.stats().piece_memory <= memory
        assert machine.disk.storage(metainfo.info).content() == data
        assert torrent.stats().hash_failures == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@simulated()
async def test_the_disk_is_full_just_when_memory_is_short(world, number):
    """Half done pieces that are written out to make room are not lost when the disk does not take them."""
    metainfo, data = world.torrent(24 << 18, piece_length=256 << 10)
    machine = world.host()
    async with background() as nursery, session_on(machine, piece_memory=1 << 20) as session:
        slow = [await Stranger(world.host(up=4_000), metainfo.info, data).serve(nursery) for _ in range(8)]
        torrent = session.add(metainfo, peers=[stranger.place for stranger in slow])
        await torrent.wait_checked()
        machine.disk.error = number
        await until(lambda: torrent.error)
        assert torrent.why().reason is tl.Reason.DISK
        fast = await Stranger(world.host(up=1_000_000), metainfo.info, data).serve(nursery)
        torrent.add_peer(*fast.place)
        await trio.sleep(45)
        assert world.trace.counts["disk error"] >= 3
        assert session.stats().piece_memory <= 1 << 20
        machine.disk.error = 0
        with trio.fail_after(120):
            await torrent.wait_complete()
        assert torrent.stats().hash_failures == 0, "an honest peer would have paid for our disk"
        assert machine.disk.storage(metainfo.info).content() == data


class SlowFlushes(SimulatedOffload):
    slow = False

    async def run(self, fn, *args, abandon=False):
        self.duration = 1.5 if self.slow and fn.__name__ == "_make_last" else 0.0
        return await super().run(fn, *args, abandon=abandon)


@pytest.mark.parametrize("late", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
@simulated()
async def test_complete_is_what_is_wanted_by_then(world, tmp_path, late):
    """Another file is wanted while the last flush is under way; its piece comes at any moment of that."""
    metainfo, data = world.torrent(131072, 1000, piece_length=32768)
    machine = dataclasses.replace(world.host(), storage=None, offload=SlowFlushes())
    async with background() as nursery:
        honest = await Stranger(world.host(), metainfo.info, data, delay=0.05).serve(nursery)
        async with session_on(machine, dht=False) as session:
            torrent = session.add(metainfo, tmp_path, select=[0], peers=[honest.place])
            await torrent.wait_checked()
            machine.offload.slow = True
            await until(lambda: not torrent.stats().left)
            assert torrent.state is tl.State.DOWNLOADING
            honest.delay = late
            torrent.select_files(None)
            await torrent.wait_complete()
            for file in metainfo.files:
                assert tmp_path.joinpath(*file.path).read_bytes() == data[file.offset : file.offset + file.length]


@simulated()
async def test_complete_is_not_said_before_the_disk_knows_what_is_wanted(world, tmp_path, monkeypatch):
    metainfo, data = world.torrent(100_000, 1000, piece_length=65536)
    machine = dataclasses.replace(world.host(), storage=None)
    truncate, refused = os.ftruncate, []

    def refuse(fd, length):
        refused.append(length)
        raise OSError(errno.ENOSPC, "No space left on device")

    async with background() as nursery:
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        async with session_on(machine, dht=False) as session:
            torrent = session.add(metainfo, tmp_path, select=[0], peers=[honest.place])
            await torrent.wait_complete()
            torrent.pause()
            monkeypatch.setattr(os, "ftruncate", refuse)
            torrent.select_files(None)
            await trio.sleep(1)
            assert refused
            monkeypatch.setattr(os, "ftruncate", truncate)
            torrent.resume()
            await torrent.wait_complete()
            assert tmp_path.joinpath(*metainfo.files[1].path).read_bytes() == data[100_000:]


@simulated()
async def test_no_descriptor_is_free_for_a_while(world, tmp_path, monkeypatch):
    metainfo, data = world.torrent(*[20_000] * 40, piece_length=32768)
    machine = dataclasses.replace(world.host(down=200_000), storage=None)
    open_file, refused = os.open, []

    def refuse(path, *args, **kwargs):
        refused.append(path)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with background() as nursery:
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        async with session_on(machine, dht=False) as session:
            torrent = session.add(metainfo, tmp_path, peers=[honest.place])
            await until(lambda: torrent.stats().done > 200_000)
            monkeypatch.setattr(os, "open", refuse)
            await until(lambda: torrent.error)
            monkeypatch.setattr(os, "open", open_file)
            assert refused
            assert torrent.why().reason is tl.Reason.DISK
            assert "ulimit -n" in torrent.error.hint
            await torrent.wait_complete()
            at = 0
            for file in metainfo.files:
                assert tmp_path.joinpath(*file.path).read_bytes() == data[at : at + file.length]
                at += file.length
