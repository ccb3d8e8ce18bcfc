"""asyncio programs: the same names, asyncio's time limits, and nothing left in the loop."""

import asyncio
import contextlib
import contextvars
import gc
import http.server
import os
import threading
import time

import pytest
import trio
import trio.lowlevel

import torrentlite
from tests.faces.conftest import LOCAL, holdings, no_more
from torrentlite import aio as tl
from torrentlite.aio import guest as guests


async def settled():
    """Let the loop finish what it has to do."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_whole_fetch_with_everything_on_the_way(run, shared, tmp_path):
    metainfo, folder = shared

    async def main():
        seen = []

        async def follow(torrent):
            async with torrent.events() as events:
                async for event in events:
                    seen.append(event)

        async with tl.open_session(LOCAL) as seeding, tl.open_session(LOCAL) as session:
            assert len(guests._guests) == 1, "one Trio for both"
            share = seeding.add(metainfo, folder)
            assert type(share) is tl.Torrent
            await share.wait_complete()
            torrent = session.add(metainfo.magnet, tmp_path / "out", peers=[("127.0.0.1", seeding.port)])
            following = asyncio.create_task(follow(torrent))
            async with asyncio.timeout(20):
                assert (await torrent.wait_metadata()).info == metainfo.info
                await torrent.wait_checked()
                assert await torrent.wait_complete() == (tmp_path / "out" / "data.bin",)
            assert session.torrents == (torrent,)
            assert torrent.stats().progress == 1.0
            assert [stats.path for stats in torrent.files()] == ["data.bin"]
            assert torrent.why().reason is tl.Reason.COMPLETE
            assert torrent.pieces().have.bit_count() == torrent.stats().pieces
            assert session.stats().internal_errors == seeding.stats().internal_errors == 0
            await session.remove(torrent)
            async with asyncio.timeout(5):
                await following
            assert session.torrents == ()
        assert session.stats().torrents == 0, "looks need no Trio"
        assert torrent.state is tl.State.CLOSED
        assert torrent.stats().done == 3_000_000
        assert share.peers() == share.trackers() == ()
        kinds = {type(event) for event in seen}
        assert {tl.MetadataReceived, tl.PieceVerified, tl.StateChanged, tl.Completed} <= kinds
        assert not guests._guests
        with pytest.raises(tl.TorrentRemovedError):
            await torrent.wait_complete()

    run(main)
    assert (tmp_path / "out" / "data.bin").read_bytes() == (folder / "data.bin").read_bytes()


def test_the_files_of_a_magnet_are_known_before_its_hashes(run, unhashed, tmp_path):
    metainfo, link, port = unhashed

    async def main():
        async with tl.open_session(LOCAL) as session, asyncio.timeout(20):
            torrent = session.add(link, tmp_path / "out")
            info = await torrent.wait_info()
            assert (info, info.lacks_layers, torrent.metainfo) == (metainfo.info, True, None)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(torrent.wait_metadata(), 0.05)
            torrent.add_peer("127.0.0.1", port)
            assert (await torrent.wait_metadata()).info is await torrent.wait_info()
            nobody = session.add("cd" * 20, tmp_path)
            task = asyncio.create_task(nobody.wait_info())
            await asyncio.sleep(0.01)
            await session.remove(nobody)
            with pytest.raises(tl.TorrentRemovedError):
                await task

    run(main)


def test_the_functions(run, shared, tmp_path):
    metainfo, folder = shared

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(metainfo.encode())

        def log_message(self, *args):
            pass

    async def main():
        hashed = []
        made = await tl.create(folder / "data.bin", piece_length=1 << 16, progress=lambda *how: hashed.append(how))
        assert made.info_hash == metainfo.info_hash
        assert hashed[-1] == (3_000_000, 3_000_000)
        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            assert await tl.load(f"http://127.0.0.1:{server.server_port}/data.torrent") == metainfo
            thread.join()
        assert (await tl.verify(metainfo, folder)).ok
        told = []
        paths = await tl.fetch(tmp_path / "data.torrent", folder, settings=LOCAL, progress=told.append)
        assert paths == (folder / "data.bin",)
        assert told[-1].complete
        assert await tl.fetch(made, folder, settings=LOCAL) == paths
        assert all(isinstance(stats, tl.TorrentStats) for stats in told)
        with pytest.raises(tl.NoPeersError):
            await tl.fetch("ab" * 20, tmp_path / "nothing", settings=LOCAL, timeout=0.05)
        with pytest.raises(tl.SourceError):
            await tl.load(tmp_path / "nothing.torrent")
        assert not guests._guests

    run(main)


def test_time_limits_and_cancellation_are_those_of_asyncio(run, tmp_path):
    async def main():
        async with tl.open_session(LOCAL) as session:
            torrent = session.add("cd" * 20, tmp_path)
            waits = (torrent.wait_info, torrent.wait_metadata, torrent.wait_checked, torrent.wait_complete)
            for wait in (*waits, torrent.wait_copies):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(torrent.wait_complete(), 0.01)
            async with torrent.events() as events:
                while True:
                    try:
                        async with asyncio.timeout(0.01):
                            await anext(events)
                    except TimeoutError:
                        break
            task = asyncio.create_task(torrent.wait_complete())
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            many = [asyncio.create_task(torrent.wait_complete()) for _ in range(50)]
            await settled()
            for task in many[::2]:
                task.cancel()
            await session.remove(torrent)
            ends = await asyncio.gather(*many, return_exceptions=True)
            assert {type(end) for end in ends[::2]} == {asyncio.CancelledError}
            assert {type(end) for end in ends[1::2]} == {tl.TorrentRemovedError}
            assert len(asyncio.all_tasks()) == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), tl.open_session(LOCAL) as session:
                session.add("cd" * 20, tmp_path)
                await asyncio.sleep(60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tl.fetch("cd" * 20, tmp_path, settings=LOCAL)
        assert not guests._guests

    run(main)


def test_cancelled_at_every_step_of_a_session(run, tmp_path):
    """A task is cancelled after so many turns of the loop: while Trio starts, while the session opens, while it ends."""

    async def session():
        async with tl.open_session(LOCAL) as opened:
            torrent = opened.add("cd" * 20, tmp_path)
            await opened.remove(torrent)

    async def main():
        ended = cancelled = 0
        for turns in range(40):
            task = asyncio.create_task(session())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
                ended += 1
            except asyncio.CancelledError:
                cancelled += 1
            assert not guests._guests, f"after {turns} turns"
            assert asyncio.all_tasks() == {asyncio.current_task()}
        assert cancelled > 5
        async with tl.open_session(LOCAL):
            pass
        task = asyncio.create_task(session())
        while not task.done():  # again and again
            task.cancel()
            await asyncio.sleep(0)
        assert not guests._guests

    run(main)


def test_exceptions_come_out_as_themselves(run, shared, tmp_path):
    metainfo, folder = shared

    class MineError(Exception):
        pass

    def fail(*args):
        raise MineError

    async def main():
        mine = MineError()
        with pytest.raises(MineError) as caught:
            async with tl.open_session(LOCAL), tl.open_session(LOCAL):
                raise mine
        assert caught.value is mine
        for call in (
            tl.create(folder, progress=fail),
            tl.verify(metainfo, folder, progress=fail),
            tl.fetch(tmp_path / "data.torrent", folder, settings=LOCAL, progress=fail),
        ):
            with pytest.raises(MineError):
                await call
        async with tl.open_session(LOCAL) as session:
            with pytest.raises(tl.ListenError):
                async with tl.open_session(torrentlite.Settings(host="127.0.0.1", port=session.port)):
                    pytest.fail("not reached")
            torrent = session.add(metainfo, folder)
            with pytest.raises(tl.DuplicateTorrentError):
                session.add(metainfo, folder)
            (tmp_path / "wrong" / "data.bin").mkdir(parents=True)
            await session.remove(torrent)
            with pytest.raises(tl.StorageError):
                await session.add(metainfo, tmp_path / "wrong").wait_complete()

    run(main)


def test_a_hundred_sessions_leave_nothing(run, shared, tmp_path, short_lived_threads):
    metainfo, folder = shared

    async def main():
        async with tl.open_session(LOCAL) as session:
            await session.add(metainfo, folder).wait_complete()
        await asyncio.sleep(0.1)
        before, gone = holdings(), None
        for _ in range(100):
            async with tl.open_session(LOCAL) as session:
                session.add(metainfo, folder)
        for _ in range(100):  # idle threads go after a moment
            gone = holdings()
            if no_more(gone, before):  # threads that were idle before are gone too
                break
            await asyncio.sleep(0.02)
        assert no_more(gone, before)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not guests._guests
        assert not [thing for thing in gc.get_objects() if isinstance(thing, guests.Guest | guests._Call)]

    run(main)


def test_loops_in_several_threads(shared, run, tmp_path):
    metainfo, folder = shared
    ends = []

    async def main(number):
        async with tl.open_session(LOCAL) as session:
            await session.add(metainfo, folder).wait_complete()
            await asyncio.sleep(0.1)
            ends.append(len(guests._guests))

    threads = [threading.Thread(target=run, args=(main, number)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert max(ends) > 1
    assert len(ends) == 3
    run(main, 4)


def test_a_guest_starts_in_nobodys_context(run, tmp_path):
    """What a request has set must not live on in an engine that serves others."""
    request = contextvars.ContextVar("request", default="none")

    async def main():
        request.set("mine")
        async with guests.guest() as guest:

            async def look():
                await trio.lowlevel.checkpoint()
                return request.get()

            assert await guest.run(look) == "mine", "a call is its caller's"
            before = request.get()
            await asyncio.sleep(0.01)
            assert before == request.get() == "mine"

    run(main)


def test_the_wrong_door_names_the_right_one(tmp_path):
    async def use(namespace, what):
        function = getattr(namespace, what)
        if what == "open_session":
            async with function(LOCAL):
                pass
        else:
            await function("x", *([tmp_path] if what == "verify" else []))

    for what in ("open_session", "create", "load", "fetch", "verify"):
        with pytest.raises(RuntimeError, match=f"runs on Trio; in asyncio use torrentlite.aio.{what}$"):
            asyncio.run(use(torrentlite, what))
        with pytest.raises(RuntimeError, match=f"runs on asyncio; in Trio use torrentlite.{what}$"):
            trio.run(use, tl, what)
        with pytest.raises(RuntimeError, match=f"without a loop use torrentlite.blocking.{what}$"):
            use(tl, what).send(None)
        with pytest.raises(RuntimeError, match=f"without a loop use torrentlite.blocking.{what}$"):
            use(torrentlite, what).send(None)


def test_somebody_elses_guest_is_not_disturbed(run):
    async def main():
        loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        scope = trio.CancelScope()

        async def other():
            with scope:
                await trio.sleep_forever()

        trio.lowlevel.start_guest_run(
            other,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        with pytest.raises(RuntimeError, match="Trio runs in this thread already"):
            async with tl.open_session(LOCAL):
                pass
        scope.cancel()
        await done
        async with tl.open_session(LOCAL):
            pass

    run(main)


def test_asyncio_goes_on_while_trio_works(run, shared, tmp_path):
    metainfo, folder = shared

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with tl.open_session(LOCAL) as seeding, tl.open_session(LOCAL) as session:
            await seeding.add(metainfo, folder).wait_complete()
            before = ticks
            await session.add(metainfo, tmp_path, peers=[("127.0.0.1", seeding.port)]).wait_complete()
            assert ticks > before + 20
        ticking.cancel()

    run(main)


def test_leaving_is_quick_also_when_cancelled(run, tmp_path):
    async def main():
        async with tl.open_session(LOCAL) as session:
            session.add("ef" * 20, tmp_path, trackers=["udp://127.0.0.1:9/announce"])
            await asyncio.sleep(0.2)
            started = time.monotonic()
        assert time.monotonic() - started < 5

    run(main)
    assert os.listdir(tmp_path) == []


def test_the_loop_ends_while_a_session_is_open(run, shared, tmp_path):
    """asyncio.run cancels what is left: a session held by a forgotten task is left in good order too."""
    metainfo, folder = shared
    ends = []

    async def hold():
        async with tl.open_session(LOCAL) as session:
            await session.add(metainfo, folder).wait_complete()
            ends.append(session)
            await asyncio.sleep(3600)

    async def main():
        task = asyncio.create_task(hold())
        while not ends:
            await asyncio.sleep(0.01)
        return task

    task = run(main)
    assert task.cancelled()
    assert ends[0].torrents[0].state is tl.State.CLOSED
    assert not guests._guests
    run(main)


def test_a_cancellation_while_leaving_is_not_lost(run, tmp_path):
    """Not even where the block is left by an exception that is caught further out."""

    raised = []

    async def hold():
        with contextlib.suppress(ValueError):
            async with tl.open_session(LOCAL):
                raised.append(1)
                raise ValueError
        await asyncio.sleep(3600)

    async def main():
        while_leaving = 0
        for turns in range(15):
            raised.clear()
            task = asyncio.create_task(hold())
            while not raised:
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            while_leaving += bool(guests._guests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                async with asyncio.timeout(5):
                    await task
        assert while_leaving >= 5

    run(main)


def test_a_guest_that_dies_takes_its_calls_along(run, tmp_path, caplog):
    """Trio itself failing would be a bug; but nobody may then wait for ever."""

    async def main():
        with pytest.raises(RuntimeError, match="Trio was stopped"):
            async with tl.open_session(LOCAL) as session:
                torrent = session.add("cd" * 20, tmp_path)
                waiting = asyncio.create_task(torrent.wait_complete())
                await asyncio.sleep(0.02)

                async def break_it():
                    raise ZeroDivisionError

                trio.lowlevel.spawn_system_task(break_it)
                async with asyncio.timeout(5):
                    with pytest.raises(RuntimeError, match="Trio was stopped"):
                        await waiting
        assert "ZeroDivisionError" in caplog.text, "and why is in the log"
        assert not guests._guests
        async with tl.open_session(LOCAL):
            pass

    run(main)


def test_a_call_that_is_cut_off_says_so_without_a_group(run):
    async def in_a_nursery():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)

    async def main():
        async with guests.guest() as host:
            waiting = asyncio.create_task(host.run(in_a_nursery))
            while not host._calls:
                await asyncio.sleep(0)
            host._scope.cancel()
            async with asyncio.timeout(5):
                with pytest.raises(RuntimeError, match="Trio was stopped"):
                    await waiting

    run(main)


def test_another_thread_is_told_where_to_go(run, tmp_path):
    """FastAPI runs a sync endpoint in a thread of its own, in which the session must not be touched."""

    async def main():
        async with tl.open_session(LOCAL) as session:
            torrent = session.add("cd" * 20, tmp_path)
            for call in (torrent.stats, torrent.pause, torrent.why, session.stats, lambda: torrent.state,
                         lambda: session.add("ef" * 20), lambda: session.set_limits(upload=1)):  # fmt: skip
                with pytest.raises(RuntimeError, match="asyncio.run_coroutine_threadsafe"):
                    await asyncio.to_thread(call)
            loop = asyncio.get_running_loop()

            async def there():
                torrent.pause()
                return torrent.state

            state = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(there(), loop).result())
            assert state is tl.State.PAUSED
            assert len(session.torrents) == 1
        assert (await asyncio.to_thread(torrent.stats)).state is tl.State.CLOSED
        assert (await asyncio.to_thread(session.stats)).torrents == 1

    run(main)
