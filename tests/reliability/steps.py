"""A bug anywhere in what talks to others: each time another step of a peer, tracker or DHT task raises what nobody expects.

``python -m tests.reliability steps --rounds 8000`` tells one story again and again: a session fetches a torrent and a
magnet link, found by an HTTP tracker, a UDP tracker and the DHT, from two seeds each. A step is a call of a function of
the swarm, the wire, trackers, HTTP, UDP or the DHT in a task of the session that deals with somebody outside.
"""

from __future__ import annotations

import collections
import dis
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import trio

import torrentlite as tl
from tests.strangers import Stranger, background
from torrentlite.swarm.crew import Crew
from torrentlite.testing import run_simulation
from torrentlite.testing.swarms import Announce
from torrentlite.wire.address import Address

_PACKAGE = os.path.dirname(os.path.abspath(tl.__file__))
_WHERE = tuple(os.path.join(_PACKAGE, name) for name in ("swarm", "wire", "tracker", "net", "dht", "strategy/pipeline", "strategy/peerlist"))  # fmt: skip
_OWN = ("check pieces", "commit", "spill", "finish", "open files", "select files", "tick")
"""Tasks that deal with the disk, or with all torrents in turn: they meet nobody outside."""


_COUNTING = (
    ":_dial",
    ":_greet",
    ":_forget",
    ":_dialled",
    ":left",
    ":_left",
    ":disconnected",
    ":peer_left",
    ":_move",
    ":callable_at",
)
"""Where something is counted out: if that is the step, it stays counted."""


class Planted(Exception):
    """What nobody expects."""


class Injector:
    """Raises in one step.

    Attributes:
        at: the number of the step; the first is 1.
        count: steps so far.
        fired: where it raised, or empty.
        task: the name of the task that it raised in.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0
        self.fired = ""
        self.task = ""
        self.nursery: trio.Nursery | None = None
        self._known: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._starts: dict[types.CodeType, int] = {}  # where the call of a function begins; -1: it is none of these

    def trace(self, frame: types.FrameType, event: str, arg: object) -> None:
        """For ``sys.settrace``: called with each call of a Python function."""
        code = frame.f_code
        start = self._starts.get(code)
        if start is None:
            start = self._starts[code] = _start(code)
        # A coroutine that goes on after an await is not called, though Python says so: raised there it would be torn.
        if start != frame.f_lasti or self.nursery is None or self.fired:
            return
        name = self._name()
        if not name:
            return
        self.count += 1
        if self.count >= self.at:
            self.fired = f"{os.path.relpath(code.co_filename, _PACKAGE)}:{code.co_name}"
            self.task = name
            sys.settrace(None)
            raise Planted(self.fired)

    def _name(self) -> str:
        """The name of the task that runs now, if it is one that deals with others."""
        try:
            task = trio.lowlevel.current_task()
        except RuntimeError:
            return ""
        name = self._known.get(task)
        if name is None:
            name, nursery = task.name, task.parent_nursery
            while nursery is not None and nursery is not self.nursery:
                name, nursery = nursery.parent_task.name, nursery.parent_task.parent_nursery
            if nursery is None or name.startswith(_OWN):
                name = ""
            self._known[task] = name
        return name


def _start(code: types.CodeType) -> int:
    """Where a call of this function begins, if it is a step. What a decider does inside with its books is none."""
    path, name = os.path.relpath(code.co_filename, _PACKAGE), code.co_name
    books = path.startswith("strategy") and (name[:1] == "_" or name in ("put", "discard"))
    if not code.co_filename.startswith(_WHERE) or path.endswith("crew.py") or name[:2] == "__" or books:
        return -1
    return next(step.offset for step in dis.get_instructions(code) if step.opname == "RESUME")


async def _story(world: Any, injector: Injector) -> None:
    # Each source alone leads to everything: whichever the bug takes away, another is left.
    trackers = [world.tracker(), world.tracker()]
    urls = [trackers[0].url, trackers[1].udp_url]
    one, first = world.torrent(80_000, name="one", piece_length=32768, trackers=urls)
    two, second = world.torrent(50_000, name="two", piece_length=16384, trackers=urls[::-1])
    router, machine = world.host(), world.host()
    settings = tl.Settings(bootstrap=(), lsd=False, port_map=False)
    async with background() as nursery, tl.open_session(settings, world=router) as other:
        bootstrap = ((router.network.ip, other.port),)
        for metainfo, data in ((one, first), (two, second)):
            for _ in range(2):
                seed = await Stranger(world.host(up=60_000), metainfo.info, data).serve(nursery)
                for tracker in trackers:
                    tracker.announce(
                        Announce(trio.current_time(), Address(*seed.place), seed.peer_id, metainfo.info.hashes.wire, "started", 0, 0, 0, 50, "http")
                    )  # fmt: skip
        settings = tl.Settings(bootstrap=bootstrap, lsd=False, port_map=False)
        async with tl.open_session(settings, world=machine) as session:
            injector.nursery = _nursery(session._crew)
            sys.settrace(injector.trace)
            try:
                torrents = [session.add(one), session.add(two.magnet)]
                caller = Stranger(world.host(up=60_000), one.info, first)  # somebody calls, too
                with trio.move_on_after(20):
                    await caller.call(nursery, (machine.network.ip, session.port))
                with trio.fail_after(1500):
                    for torrent in torrents:
                        await torrent.wait_complete()
                if injector.at < 1 << 30:
                    await _still_there(world, nursery, session, machine, one)
            finally:
                sys.settrace(None)
            assert session.stats().internal_errors <= bool(injector.fired)
            assert all(torrent.state is tl.State.SEEDING for torrent in torrents)
            injector.nursery = None
        stats = session.stats()
        counts = (stats.peers, stats.half_open, stats.pending_handshakes, stats.piece_memory)
        assert counts == (0, 0, 0, 0) or injector.fired.endswith(_COUNTING), f"{counts} is left"
        assert stats.internal_errors <= bool(injector.fired)
        for metainfo, data in ((one, first), (two, second)):
            assert machine.disk.storage(metainfo.info).content() == data


async def _still_there(
    world: Any, nursery: trio.Nursery, session: tl.Session, machine: Any, metainfo: tl.Metainfo
) -> None:
    """The door is open still, and the session serves who comes in; the bug may have been in the first one's stay."""
    for _ in range(2):
        late = Stranger(world.host(), metainfo.info, has=0)
        with trio.move_on_after(20):
            talk = await late.call(nursery, (machine.network.ip, session.port))
            while talk is not None and not talk.ended:
                if talk.heard:
                    return
                await trio.sleep(0.1)
    raise AssertionError("nobody opens any more")


def _nursery(crew: Crew) -> trio.Nursery:
    return crew._nursery


def tell(at: int, seed: int = 0) -> Injector:
    """One round; what came of the injector. What it took is raised, with a note of where it was."""
    injector = Injector(at)
    for name, module in list(sys.modules.items()):  # what is remembered from the last round is a step less in this one
        for thing in list(vars(module).values()) if name.startswith("torrentlite") else ():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()
    try:
        run_simulation(_story, injector, seed=seed, time_limit=7200)
    except BaseException as error:
        error.add_note(f"step {at} of seed {seed}: {injector.fired or 'not reached'} in task {injector.task!r}")
        raise
    return injector


def rounds(*, seed: int = 0, step: int = 1, offset: int = 0) -> Iterator[Injector]:
    """Every ``step``-th step of one story, until none is left."""
    at = 1 + offset
    while True:
        injector = tell(at, seed)
        if not injector.fired:
            return
        yield injector
        at += step


def run(most: int, say: Callable[[str], None], *, step: int = 1, seed: int = 0, offset: int = 0) -> int:
    """Tell stories until there were so many rounds, one seed after the other; returns how many did not end well."""
    done = bad = 0
    at = 1 + offset
    counts: collections.Counter[str] = collections.Counter()
    while done < most:
        try:
            injector = tell(at, seed)
        except BaseException as error:
            bad += 1
            say(f"{type(error).__name__} {error}: {error.__notes__[-1]}")
            if not isinstance(error, Exception):
                raise
        else:
            if not injector.fired:
                seed, at = seed + 1, 1 + offset
                continue
            counts[injector.fired.partition(":")[0]] += 1
        done += 1
        at += step
        if done % 500 == 0:
            say(f"{done} rounds")
    for name, count in counts.most_common():
        say(f"{count:6}  {name}")
    say(f"{done} rounds, {bad} did not end well")
    return bad
