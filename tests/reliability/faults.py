"""A download over real files, told again and again: each time another call to the system fails, once.

``python -m tests.reliability faults --rounds 4000`` tells it for every call there is, with each fault, for one torrent
after the other. What fails: ENOSPC, EIO, EDQUOT, or a write that writes half. A flush that fails has lost what was
written before it, as on Linux, where the pages are taken for clean from then on. Of every other torrent some, or what is like it,
lies elsewhere (``elsewhere.py``), where a call may fail as well.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import itertools
import os
import pathlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import trio

from tests.reliability.elsewhere import Elsewhere, disturbed
from tests.storage.worlds import FAILING
from tests.strangers import Stranger, Talk, background, session_on
from torrentlite.limits import DISK_RETRY
from torrentlite.metainfo.build import Version
from torrentlite.metainfo.info import Info
from torrentlite.testing import run_simulation
from torrentlite.wire import bitfield, messages as wm

CALLS = (*FAILING, "scandir")
READING = ("preadv", "scandir")
"""Calls by which donors are read, once they are open: what cannot be read is done without."""
FAULTS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EDQUOT": errno.EDQUOT, "short write": 0}


class Injector:
    """Counts calls that can fail, and lets one of them fail: the first from number ``at`` on that can fail like that.

    Attributes:
        count: calls so far.
        fired: the name of the call that failed, or empty.
    """

    def __init__(self, at: int, number: int) -> None:
        self.at = at
        self.number = number
        self.count = 0
        self.fired = ""
        self._unflushed: dict[int, list[tuple[int, bytes]]] = {}  # by inode: offset, what was there before

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """In the place of the system's calls, for the length of a block."""
        real = {name: getattr(os, name) for name in (*CALLS, "copy_file_range", "pread")}
        for name in CALLS:
            setattr(os, name, self._shim(name, real))
        setattr(os, "copy_file_range", _no_copying)  # noqa: B010  so that copies are reads and writes
        try:
            yield
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def _shim(self, name: str, real: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            fails = (
                not self.fired and self.count >= self.at and (self.number or (name == "pwrite" and len(args[1]) > 1))
            )
            if fails:
                self.fired = name
            if name in ("fdatasync", "fsync"):
                lost = self._unflushed.pop(os.fstat(args[0]).st_ino, [])
                if fails:
                    if lost:
                        fd = real["open"](
                            f"/proc/self/fd/{args[0]}", os.O_WRONLY
                        )  # flushed is what was opened to be read
                        for offset, old in reversed(lost):
                            real["pwrite"](fd, old, offset)
                        os.close(fd)
                    raise OSError(self.number, os.strerror(self.number))
                return None  # not really: that would take its time
            if fails and self.number:
                raise OSError(self.number, os.strerror(self.number))
            if name == "pwrite":
                fd, data, offset = args
                if fails:
                    data = data[: len(data) // 2]
                old = real["pread"](fd, len(data), offset).ljust(len(data), b"\0")
                self._unflushed.setdefault(os.fstat(fd).st_ino, []).append((offset, old))
                return real["pwrite"](fd, data, offset)
            return real[name](*args, **kwargs)

        return call


def _no_copying(*_: object) -> int:
    raise OSError(errno.ENOSYS, "not here")


class Shape(NamedTuple):
    """A torrent, and what is done with it.

    Attributes:
        sizes: bytes of its files.
        piece: bytes of its pieces.
        first: the files that are wanted at first; all in the end.
        seed: of the world.
        version: of the torrent.
        elsewhere: whether something like it lies elsewhere.
    """

    sizes: tuple[int, ...]
    piece: int
    first: tuple[int, ...] | None
    seed: int
    version: Version = "v1"
    elsewhere: bool = False


def shapes() -> Iterator[Shape]:
    """One file, several, and so on for ever: the same ones each time."""
    yield Shape((300_000,), 32768, None, 0)
    yield Shape((100_000, 5, 0, 90_000, 70_001), 32768, (0, 3), 1)
    yield Shape((100_000, 5, 0, 90_000, 70_001), 32768, (0, 3), 2, "v2")
    yield Shape((100_000, 5, 0, 90_000, 70_001), 32768, (0, 3), 3, "hybrid")
    yield Shape((100_000, 5, 0, 90_000, 70_001), 32768, (0, 3), 4, "v1", True)
    yield Shape((100_000, 5, 0, 90_000, 70_001), 32768, (0, 3), 5, "v2", True)
    yield Shape((100_000, 5, 0, 90_000, 70_001), 32768, (0, 3), 6, "hybrid", True)
    rng, which = random.Random("shapes"), random.Random("elsewhere")
    seed = 7
    while True:
        sizes = tuple(rng.choice([0, 1, 20_000, 50_000, 150_000]) for _ in range(rng.randint(1, 6)))
        if sum(sizes) > 40_000:
            first = tuple(n for n in range(len(sizes)) if rng.random() < 0.5) if rng.random() < 0.6 else None
            piece, version = rng.choice([16384, 32768, 65536]), rng.choice(get_args(Version))
            yield Shape(sizes, piece, first, seed, version, which.random() < 0.5)
            seed += 1


async def _story(world: Any, shape: Shape, folder: pathlib.Path, injector: Injector) -> None:
    metainfo, data = world.torrent(*shape.sizes, piece_length=shape.piece, version=shape.version)
    real = metainfo.info.wanted_files
    first = None if shape.first is None else [real[number] for number in shape.first]
    machine = dataclasses.replace(world.host(), storage=None)
    every = None if shape.first is None else list(real)
    rng = random.Random(shape.seed)
    donors = Elsewhere(metainfo, data, folder, rng, first) if shape.elsewhere else None
    if donors:
        donors.lay()
    reuse = donors.places if donors else []

    @contextlib.asynccontextmanager
    async def life() -> Any:
        async with session_on(machine, state_dir=folder / "state", dht=False) as session:
            torrent = session.add(metainfo, folder / "save", select=first, peers=[honest.place], reuse=reuse)
            yield torrent

    async with background() as nursery:
        honest = await Stranger(world.host(up=40_000), metainfo.info, data).serve(nursery)
        with injector.installed(), disturbed([donors] if donors else []):
            async with life() as torrent:  # left in the middle
                await trio.sleep(4)
            async with life() as torrent:  # to the end, with another wish
                torrent.select_files(every)
                with trio.fail_after(60 + 2 * DISK_RETRY):
                    await torrent.wait_complete()
                assert torrent.stats().hash_failures == 0, "an honest peer would have paid for our disk"
                assert torrent.error is None
        async with life() as torrent:  # and once more, to see what is claimed
            torrent.select_files(every)
            await torrent.wait_checked()
            stats = torrent.stats()
            assert not stats.check_total or not injector.fired or stats.check_total < len(data), "a full recheck"
            assert injector.fired or not stats.check_total, "hashed although nothing happened"
            with trio.fail_after(60):
                await torrent.wait_complete()
            again = torrent.stats().downloaded
            assert not again or injector.fired in ("fdatasync", "fsync"), f"{again} bytes are fetched again"
        again, asked = _asked(metainfo.info, honest.talks)
        flushing = injector.fired in ("open", "fdatasync", "fsync")
        assert not again or flushing, f"{again} are asked for again"
        if donors:
            assert not donors.changed()
            needless = asked & donors.given
            assert not needless or flushing or injector.fired in READING, f"{needless} lay elsewhere"
    lying = {str(path.relative_to(folder / "save")) for path in (folder / "save").rglob("*") if path.is_file()}
    lying -= {str(path.relative_to(folder / "save")) for path in donors.lying} if donors else set()
    for index in real:
        entry = metainfo.files[index]
        path = folder.joinpath("save", *entry.path)
        right = data[entry.offset : entry.offset + entry.length]
        assert path.read_bytes() == right, f"{path.name} is not what it should be"
        lying.discard(str(path.relative_to(folder / "save")))
    assert not lying, f"left behind: {lying}"


def _asked(info: Info, talks: list[Talk]) -> tuple[set[int], set[int]]:
    """The pieces that were asked for after it was told that they are here, and all that were."""
    told, again, asked = set[int](), set[int](), set[int]()
    count = info.layout.piece_count
    for message in itertools.chain.from_iterable(talk.heard for talk in talks):
        match message:
            case wm.Have(piece):
                told.add(piece)
            case wm.Bitfield(data):
                told.update(bitfield.members(bitfield.from_wire(data, count)))
            case wm.HaveAll():
                told.update(range(count))
            case wm.Request(piece):
                asked.add(piece)
                again |= {piece} & told
    return again, asked


def tell(shape: Shape, fault: str, at: int) -> Injector:
    """One round; what came of the injector."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tl-faults-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    injector = Injector(at, FAULTS[fault])
    try:
        run_simulation(_story, shape, folder, injector, seed=shape.seed, time_limit=3600)
    except BaseException as error:
        error.add_note(f"{fault} at call {at} ({injector.fired or 'not reached'}) of {shape}")
        raise
    finally:
        shutil.rmtree(folder)
    return injector


def rounds(shape: Shape, *, step: int = 1, offset: int = 0) -> Iterator[tuple[str, Injector]]:
    """Every ``step``-th call of a shape's story with every fault, until no call is left to fail."""
    for fault in FAULTS:
        at = 1 + offset % step
        while True:
            injector = tell(shape, fault, at)
            if not injector.fired:
                break
            yield fault, injector
            at += step


def run(most: int, say: Callable[[str], None]) -> int:
    """Tell stories until there were so many rounds; returns how many there were."""
    done = 0
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for shape in shapes():
        begun = done
        for fault, injector in rounds(shape):
            counts[fault, injector.fired] += 1
            done += 1
        say(f"{done - begun:5} rounds of {shape}")
        if done >= most:
            break
    for (fault, name), count in sorted(counts.items()):
        say(f"{count:6}  {fault:12} in {name}")
    say(f"{done} rounds, each ended well")
    return done
