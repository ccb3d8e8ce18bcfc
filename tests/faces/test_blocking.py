"""Scripts and threads: the same names without ``await``."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest
import trio

import torrentlite
from tests.faces.conftest import LOCAL, holdings, no_more
from tests.scripted import ScriptedSeed
from torrentlite import blocking as tl
from torrentlite.blocking.portal import Call, Portal


@pytest.fixture
def seeding(shared):
    """A session that shares the file."""
    metainfo, folder = shared
    with tl.open_session(LOCAL) as session:
        session.add(metainfo, folder).wait_complete(timeout=10)
        yield session


def test_a_session(seeding, shared, tmp_path):
    metainfo, folder = shared
    with tl.open_session(LOCAL) as session:
        assert session.settings is LOCAL
        assert session.addresses[0].port == session.port
        torrent = session.add(metainfo.magnet, tmp_path / "out", paused=True)
        assert repr(torrent).startswith("<Torrent 'data.bin'")
        with torrent.events() as events:
            with pytest.raises(TimeoutError):
                events.next(timeout=0.02)
            torrent.resume()
            torrent.add_peer("127.0.0.1", seeding.port)
            assert torrent.wait_metadata(timeout=10).info == metainfo.info
            torrent.wait_checked(timeout=10)
            assert torrent.wait_complete(timeout=10) == (tmp_path / "out" / "data.bin",)
            assert torrent.save_to == tmp_path / "out"
            assert torrent.state is tl.State.SEEDING
            assert torrent.error is None
            assert session.torrents == (torrent,)
            assert session.torrents[0] is torrent
            session.remove(torrent)
            kinds = {type(event) for event in events}
        assert {tl.StateChanged, tl.MetadataReceived, tl.PieceVerified, tl.Completed} <= kinds
        assert session.torrents == ()
        with pytest.raises(AttributeError):
            torrent.name = "other"
        again = session.add(metainfo, tmp_path / "out")
        again.wait_complete(timeout=10)
        with pytest.raises(tl.DuplicateTorrentError):
            session.add(metainfo)
        with pytest.raises(ValueError):
            again.add_peer("127.0.0.1", 0)
        assert session.stats().internal_errors == 0
    assert (tmp_path / "out" / "data.bin").read_bytes() == (folder / "data.bin").read_bytes()
    assert again.state is tl.State.CLOSED, "looks do not need the session"
    assert again.stats().progress == 1.0
    assert (again.peers(), again.trackers(), session.stats().peers) == ((), (), 0)
    with pytest.raises(tl.TorrentRemovedError):
        again.wait_complete()


def test_the_files_of_a_magnet_are_known_before_its_hashes(unhashed, tmp_path):
    metainfo, link, port = unhashed
    with tl.open_session(LOCAL) as session:
        torrent = session.add(link, tmp_path / "out")
        info = torrent.wait_info(timeout=20)
        assert (info, info.lacks_layers, torrent.metainfo) == (metainfo.info, True, None)
        with pytest.raises(TimeoutError):
            torrent.wait_metadata(timeout=0.05)
        torrent.add_peer("127.0.0.1", port)
        assert torrent.wait_metadata(timeout=20).info is torrent.wait_info()
        nobody = session.add("cd" * 20, tmp_path)
    with pytest.raises(tl.TorrentRemovedError):
        nobody.wait_info()


def test_the_functions(seeding, shared, tmp_path):
    metainfo, folder = shared
    here, hashed, told = threading.get_ident(), [], []

    def progress(done, total):
        hashed.append((done, total, threading.get_ident()))

    assert tl.create(folder / "data.bin", piece_length=1 << 16, progress=progress).info == metainfo.info
    assert hashed[-1] == (3_000_000, 3_000_000, here)
    assert tl.load(tmp_path / "data.torrent").info == metainfo.info
    magnet = tl.load(metainfo.magnet + f"&x.pe=127.0.0.1:{seeding.port}")
    assert isinstance(magnet, tl.Magnet)
    assert tl.verify(metainfo, folder, progress=progress).ok
    assert hashed[-1] == (3_000_000, 3_000_000, here), "called in the thread that waits"
    (path,) = tl.fetch(str(magnet), tmp_path / "out", settings=LOCAL, progress=told.append, timeout=20)
    assert path.read_bytes() == (folder / "data.bin").read_bytes()
    assert tl.fetch(magnet, tmp_path / "out", settings=LOCAL, timeout=20) == (path,)
    assert told[-1].complete
    with pytest.raises(tl.NoPeersError):
        tl.fetch("ab" * 20, tmp_path / "nothing", settings=LOCAL, timeout=0.05)
    with pytest.raises(tl.SourceError):
        tl.load(tmp_path / "nothing.torrent")


def test_wishes_for_what_is_gone_do_nothing(tmp_path):
    with tl.open_session(LOCAL) as session:
        torrent = session.add("cd" * 20, tmp_path)
    torrent.add_peer("127.0.0.1", 5)
    torrent.announce()
    torrent.resume()
    assert torrent.state is tl.State.CLOSED
    with pytest.raises(tl.TorrentRemovedError):
        torrent.wait_complete()


def test_what_is_misspelt_was_not_removed(tmp_path):
    with pytest.raises(tl.StorageError, match="nothing': no such file or folder") as caught:
        tl.create(tmp_path / "nothing")
    assert caught.value.hint == ""
    assert caught.value.path == tmp_path / "nothing"


def test_time_limits(tmp_path):
    with tl.open_session(LOCAL) as session:
        torrent = session.add("cd" * 20, tmp_path)
        waits = (torrent.wait_info, torrent.wait_metadata, torrent.wait_checked, torrent.wait_complete)
        for wait in (*waits, torrent.wait_copies):
            with pytest.raises(TimeoutError, match=r"not within 0\.01 s") as caught:
                wait(timeout=0.01)
            said = f"{torrent.name}: not within 0.01 s: {torrent.why(patience=0).message}"
            assert (str(caught.value) == said) == (wait in waits)


def test_the_example_awaits_nothing():
    for function in (tl.create, tl.fetch, tl.load, tl.verify):
        assert "await " not in function.__doc__
    assert "fetch(" in tl.fetch.__doc__ and "``await fetch(" in torrentlite.fetch.__doc__


def test_what_a_callback_raises_ends_the_call(shared, tmp_path):
    metainfo, folder = shared

    class MineError(Exception):
        pass

    def fail(*args):
        raise MineError

    for call in (
        lambda: tl.create(folder, progress=fail),
        lambda: tl.verify(metainfo, folder, progress=fail),
        lambda: tl.fetch(tmp_path / "data.torrent", folder, settings=LOCAL, progress=fail),
    ):
        with pytest.raises(MineError):
            call()
    mine = MineError()
    with pytest.raises(MineError) as caught, tl.open_session(LOCAL):
        raise mine
    assert caught.value is mine
    with tl.open_session(LOCAL) as session:
        taken = tl.Settings(host="127.0.0.1", port=session.port)
        with pytest.raises(tl.ListenError), tl.open_session(taken):
            pytest.fail("not reached")


def test_a_slow_callback_hears_the_end(tmp_path):
    data = tmp_path / "data.bin"
    data.write_bytes(bytes(48 << 20))
    heard = []

    def slow(done, total):
        time.sleep(0.05)
        heard.append((done, total))

    tl.create(data, piece_length=1 << 16, progress=slow)
    assert heard[-1] == (48 << 20, 48 << 20)

    class LastError(Exception):
        pass

    def fail_at_the_end(done, total):
        time.sleep(0.05)
        if done == total:
            raise LastError

    with pytest.raises(LastError):
        tl.create(data, piece_length=1 << 16, progress=fail_at_the_end)


def test_from_many_threads_at_once(seeding, shared, tmp_path):
    metainfo, folder = shared
    magnet = metainfo.magnet + f"&x.pe=127.0.0.1:{seeding.port}"
    ends = []

    def fetch(number):
        (path,) = tl.fetch(magnet, tmp_path / str(number), settings=LOCAL, timeout=30)
        ends.append(path.read_bytes() == (folder / "data.bin").read_bytes())

    def look():
        for _ in range(50):
            ends.append(seeding.torrents[0].stats().complete)

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(4)]
    threads += [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ends == [True] * 204


def test_a_wait_in_a_thread_ends_with_the_session(tmp_path):
    ends = []

    def wait(torrent):
        try:
            torrent.wait_complete()
        except tl.TorrentError as error:
            ends.append(error)

    with tl.open_session(LOCAL) as session:
        threads = [threading.Thread(target=wait, args=(session.add("cd" * 20, tmp_path),))]
        threads[0].start()
        time.sleep(0.05)
    threads[0].join(5)
    assert isinstance(ends[0], tl.TorrentRemovedError)


def test_a_hundred_sessions_leave_nothing(shared, short_lived_threads):
    metainfo, folder = shared
    with tl.open_session(LOCAL) as session:
        session.add(metainfo, folder).wait_complete()
    before = holdings()
    for _ in range(100):
        with tl.open_session(LOCAL) as session:
            session.add(metainfo, folder)
    for _ in range(100):
        gone = holdings()
        if no_more(gone, before):
            break
        time.sleep(0.02)
    assert no_more(gone, before)


NEVER_LEFT = {
    "a stack": "stack = contextlib.ExitStack(); session = stack.enter_context(opening)",
    "a generator": "def sharing():\n with opening as session: yield session\nsession = next(it := sharing())",
    "by hand": "session = opening.__enter__()",
    "after an error": "stack = contextlib.ExitStack(); session = stack.enter_context(opening); 1 / 0",
}


@pytest.mark.parametrize("way", NEVER_LEFT)
def test_a_session_that_is_never_left_does_not_keep_the_program(way, shared, tmp_path):
    """It is left in good order: what is saved when a session is left, is there."""
    program = f"""
import contextlib, sys
from torrentlite import blocking as tl
opening = tl.open_session(tl.Settings(host="127.0.0.1", state_dir={str(tmp_path / "state")!r}))
{NEVER_LEFT[way]}
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=20, capture_output=True, text=True, check=False)
    assert done.returncode == (way == "after an error"), done.stderr
    assert ("ZeroDivisionError" in done.stderr) == (way == "after an error")
    assert (tmp_path / "state" / "dht.state").exists()


COLLECTED = """
import gc, threading
from torrentlite import blocking as tl

def sharing():
    with tl.open_session(tl.Settings(host="127.0.0.1", state_dir={state!r})) as session:
        torrent = session.add("cd" * 20, {folder!r})
        with torrent.events() as events:
            yield session, torrent

gc.disable()
it = sharing()
itself = [it]
itself.append(itself)
session, torrent = next(it)
portal = session._portal
del it, itself
portal.look(gc.collect)
if {at_once}:
    portal._thread.join()
    assert torrent.state is tl.State.CLOSED
"""


@pytest.mark.parametrize("at_once", [True, False])
def test_a_block_that_is_left_by_the_collector_in_its_own_thread(at_once, tmp_path):
    """There nothing can be waited for. It is left in good order all the same, by the end of the program at the latest."""
    program = COLLECTED.format(folder=str(tmp_path), state=str(tmp_path / "state"), at_once=at_once)
    done = subprocess.run([sys.executable, "-c", program], timeout=20, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "state" / "dht.state").exists()


async def in_a_nursery():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)


def test_a_call_that_the_end_of_the_thread_cuts_off_says_so_without_a_group():
    with Portal() as portal:
        call = portal.start(Call(in_a_nursery))
        portal.look(lambda: None)
    with pytest.raises(RuntimeError, match="thread has ended"):
        call.result()


def test_a_thread_that_would_wait_for_itself_is_told_so():
    with Portal() as portal, pytest.raises(RuntimeError, match="wait for itself"):
        portal.look(lambda: portal.run(trio.sleep_forever))


def test_a_session_is_of_one_process(shared, tmp_path):
    """The thread that does the work does not go along into a forked one, where all would wait for it for ever."""
    metainfo, folder = shared
    program = f"""
import os, signal, sys
from torrentlite import blocking as tl
with tl.open_session(tl.Settings(host="127.0.0.1")) as session:
    torrent = session.add({metainfo.magnet!r}, {str(tmp_path)!r})
    child = os.fork()
    if not child:
        signal.alarm(10)
        for call in (torrent.stats, lambda: torrent.wait_complete(timeout=1), session.stats):
            try:
                call()
            except RuntimeError as error:
                assert "another" in str(error), error
            else:
                sys.exit("nothing was raised")
        with tl.open_session(tl.Settings(host="127.0.0.1")) as own:
            own.add({metainfo.magnet!r}, {str(tmp_path)!r})
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", program], timeout=20, check=True)


@pytest.mark.parametrize("what", ["fetch", "create", "load", "open_session"])
def test_by_mistake_in_a_loop(what, tmp_path):
    def use():
        if what == "open_session":
            with tl.open_session(LOCAL):
                pass
        else:
            getattr(tl, what)("x")

    async def main():
        use()

    async def in_a_thread():
        await asyncio.to_thread(use)

    with pytest.raises(RuntimeError, match=f"use torrentlite.aio.{what}, or call it by asyncio.to_thread"):
        asyncio.run(main())
    with pytest.raises(RuntimeError, match=f"use torrentlite.{what}, or call it by trio.to_thread.run_sync"):
        trio.run(main)
    if what == "open_session":
        asyncio.run(in_a_thread())
    else:
        with pytest.raises(torrentlite.TorrentError):
            asyncio.run(in_a_thread())


def test_waits_by_mistake_in_a_loop(tmp_path):
    with tl.open_session(LOCAL) as session:
        torrent = session.add("cd" * 20, tmp_path)

        async def main():
            torrent.wait_complete()

        with pytest.raises(RuntimeError, match="would stop the asyncio loop of this thread; use torrentlite.aio"):
            asyncio.run(main())


SCRIPT = """
import asyncio, pathlib, sys
import torrentlite.aio, torrentlite.blocking as tl
settings = tl.Settings(host="127.0.0.1", state_dir=pathlib.Path({state!r}))
def progress(stats):
    print(stats.done, flush=True)
if sys.argv[1] == "fetch":
    print(tl.fetch({source!r}, {out!r}, settings=settings, peers=[("127.0.0.1", {port})], progress=progress))
elif sys.argv[1] == "asyncio":
    async def main():
        async with torrentlite.aio.open_session(settings) as session:
            await session.add(tl_source(), {out!r}, peers=[("127.0.0.1", {port})]).wait_complete()
    tl_source = lambda: pathlib.Path({source!r}).read_bytes()
    asyncio.run(main())
else:
    with tl.open_session(settings) as session:
        torrent = session.add(tl.load({source!r}), {out!r}, peers=[("127.0.0.1", {port})],
                              trackers=["http://127.0.0.1:9/announce"])
        torrent.wait_complete()
"""


@pytest.mark.parametrize("what", ["fetch", "session", "asyncio"])
async def test_ctrl_c_ends_a_script_and_nothing_is_lost(what, shared, tmp_path):
    metainfo, folder = shared
    seed = ScriptedSeed(metainfo.info, (folder / "data.bin").read_bytes(), rate=1_500_000)
    async with seed.serving():
        source, state, out = (str(tmp_path / name) for name in ("data.torrent", "state", "out"))
        script = SCRIPT.format(state=state, source=source, out=out, port=seed.port)
        command = [sys.executable, "-c", script, what]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with trio.move_on_after(30):
            while process.poll() is None and not (seed.told and len(seed.told[-1]) >= 10):
                await trio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            sent = trio.current_time()
            errors = b"".join([part async for part in process.stderr])
            await process.wait()
        process.kill()
        assert trio.current_time() - sent < 5
        assert process.returncode == -signal.SIGINT, errors
        assert errors.decode().rstrip().endswith("KeyboardInterrupt")
        assert b"Group" not in errors
        verified = set(seed.told[-1])
        seed.rate = 0
        done = await trio.run_process(command, capture_stdout=True)
        assert verified <= seed.told[-1]
        assert not verified & set(seed.asked[-1]), "nothing is fetched twice"
        assert b"data.bin" in done.stdout or what != "fetch"
    assert (tmp_path / "out" / "data.bin").read_bytes() == (folder / "data.bin").read_bytes()
