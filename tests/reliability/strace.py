"""The kernel's answers, spoiled from outside: ``strace -e inject`` makes a call of a real ``tl fetch`` fail.

``python -m tests.reliability strace --rounds 200`` lets each call fail in each way, the first time it is made, the
second, and so on. Unlike ``faults.py``, which fails what Python calls, this also reaches what Python, Trio and the
interpreter do with the answer: EINTR above all, which they promise to hide. A fault that may pass costs no second run; after
one that does not (EACCES), the same command goes on when it is given again. In no case is hashed what was synced.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import itertools
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import trio

import torrentlite as tl
from tests.interop.runs import only
from tests.scripted import ScriptedSeed
from torrentlite.storage.journal import Journal
from torrentlite.testing.torrent import made_up_torrent

DEADLINE = 60
"""Seconds for one run; only a hang takes so long."""
FILES = {
    "pwrite64": "pwrite64,pwritev,pwritev2",
    "fdatasync": "fdatasync",
    "fsync": "fsync",
    "openat": "openat",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
    "mkdir": "mkdir,mkdirat",
    "ftruncate": "ftruncate",
    "preadv": "pread64,preadv,preadv2",
}
"""Calls on files and folders, and what strace has to look at for them; only below the folders of the run."""
OTHERS = {
    "read": "read",
    "write": "write",
    "recvfrom": "recvfrom,recvmsg",
    "sendmsg": "sendmsg,sendto",
    "epoll_wait": "epoll_wait,epoll_pwait,epoll_pwait2",
}
"""Calls on everything else. All of ``write``; of ``read`` that of the .torrent: the loader of programs gives up."""
PASSING = ("ENOSPC", "EIO", "EDQUOT", "EROFS")
KINDS = len(FILES) * (len(PASSING) + 1) + len(FILES) + len(OTHERS)
"""Of faults, that differ in more than when they happen."""


class Fault(NamedTuple):
    """Which call of each thread fails, and how.

    Attributes:
        call: a key of ``FILES`` or ``OTHERS``.
        error: the name of an error.
        when: from 1 on.
    """

    call: str
    error: str
    when: int


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        injected: calls that strace says it let fail.
        code: with which the command ended.
        runs: how many it took.
    """

    injected: int
    code: int
    runs: int


def faults(first: int = 1) -> Iterator[Fault]:
    """All there are, for the first calls first, without end."""
    for when in itertools.count(first):
        for call in (*FILES, *OTHERS):
            yield Fault(call, "EINTR", when)
        for call in FILES:
            for error in (*PASSING, "EACCES"):
                yield Fault(call, error, when)


class Rig:
    """A torrent, a seed and folders.

    Args:
        seed: a peer that serves it.
        metainfo: of the torrent.
        data: its bytes.
        folder: for everything.
        final: an error that the command shall take for final, as a control.
    """

    def __init__(
        self, seed: ScriptedSeed, metainfo: tl.Metainfo, data: bytes, folder: pathlib.Path, final: str
    ) -> None:
        self.seed = seed
        self.metainfo = metainfo
        self.data = data
        self.folder = folder
        self.final = final
        self.torrent = folder / "x.torrent"
        self.torrent.write_bytes(metainfo.encode())

    async def round(self, fault: Fault) -> Outcome:
        """One fault, from nothing to the whole torrent.

        Raises:
            AssertionError: a promise was broken.
        """
        for name in ("save", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        log = self.folder / "strace.log"
        injected = self._inject(fault, log)
        code, told = await self._fetch(injected)
        hits = len(re.findall(r"\(INJECTED\)", log.read_text()))
        runs = 1
        if code:
            assert os.strerror(getattr(errno, fault.error)) in told, told
            # With no folder to keep its state in it does not begin, whatever the reason.
            assert fault.error == "EACCES" or "--state-dir" in told, told
            await self._look(whole=False)
            code, told = await self._fetch([])
            runs = 2
        assert not code, told
        for entry in self.metainfo.files:
            right = self.data[entry.offset : entry.offset + entry.length]
            assert self.folder.joinpath("save", *entry.path).read_bytes() == right, (
                f"{entry.path} is not what it should be"
            )
        lying = [path for path in (self.folder / "save").rglob("*") if path.is_file()]
        assert len(lying) == len(self.metainfo.files), f"left behind: {lying}"
        await self._look(whole=True)
        return Outcome(hits, code, runs)

    def _inject(self, fault: Fault, log: pathlib.Path) -> list[str]:
        calls = {**FILES, **OTHERS}[fault.call]
        words = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-o", str(log), "-e", f"trace={calls}"]
        words += ["-e", f"inject={calls}:error={fault.error}:when={fault.when}"]
        if fault.call in FILES:
            for path in self._paths():
                words += ["-P", str(path)]
        elif fault.call == "read":
            words += ["-P", str(self.torrent)]
        return words

    def _paths(self) -> Iterator[pathlib.Path]:
        """Everything that the command may touch in its two folders."""
        save, state = self.folder / "save", self.folder / "state"
        info = self.metainfo.info
        journal = Journal(state, info.hashes.wire, save, info.layout.piece_count).path
        yield from (
            save,
            save / info.name,
            state,
            state / "resume",
            pathlib.Path(journal),
            pathlib.Path(f"{journal}.new"),
        )
        for entry in self.metainfo.files:
            path = save.joinpath(*entry.path)
            yield from (path, path.with_name(f"{path.name}.{info.hashes.hex[:8]}.part"))

    async def _fetch(self, prefix: list[str]) -> tuple[int, str]:
        command = [*prefix, sys.executable, "-m", "tests.reliability.hasty", self.final, "fetch", str(self.torrent)]
        command += ["-o", str(self.folder / "save"), "--state-dir", str(self.folder / "state")]
        command += ["--peer", f"127.0.0.1:{self.seed.port}", "--listen", "127.0.0.1:0", "--json", *only()]
        with trio.fail_after(DEADLINE):
            done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
        return done.returncode, f"{done.stdout.decode()}{done.stderr.decode()}"

    async def _look(self, *, whole: bool) -> None:
        """A session without peers: what has to be hashed, and whether all is here."""
        info = self.metainfo.info
        journal = Journal(self.folder / "state", info.hashes.wire, self.folder / "save", info.layout.piece_count)
        try:
            synced = info.layout.bytes_of_pieces(journal.load().synced)
        finally:
            journal.close()
        settings = tl.Settings(host="127.0.0.1", state_dir=self.folder / "state", dht=False, lsd=False)
        with trio.fail_after(DEADLINE):
            async with tl.open_session(settings) as session:
                torrent = session.add(self.metainfo, self.folder / "save")
                await torrent.wait_checked()
                stats = torrent.stats()
        assert stats.check_total <= info.layout.stored - synced, "hashed although it was synced"
        assert not whole or (stats.left == 0 and stats.check_total == 0), "a recheck"


@contextlib.asynccontextmanager
async def rig(folder: pathlib.Path, final: str = "") -> AsyncIterator[Rig]:
    """A few files, about twenty pieces, half a second."""
    metainfo, data = made_up_torrent(
        random.Random(5), [300_000, 50_000, 0, 200_000], name="made-up", piece_length=32768
    )
    seed = ScriptedSeed(metainfo.info, data, rate=3_000_000)
    async with seed.serving():
        yield Rig(seed, metainfo, data, folder, final)


def run(rounds: int, say: Callable[[str], None], first: int = 1) -> int:
    """Let so many faults happen, from the ``first`` call of each kind on; returns how many broke a promise."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tl-strace-", dir="/dev/shm"))
    try:
        return trio.run(_run, rounds, folder, say, first)
    finally:
        shutil.rmtree(folder)


async def _run(rounds: int, folder: pathlib.Path, say: Callable[[str], None], first: int) -> int:
    counts: collections.Counter[str] = collections.Counter()
    broken = 0
    done = 0
    over: set[tuple[str, str]] = set()
    async with rig(folder) as one:
        for fault in faults(first):
            if done >= rounds or len(over) == KINDS:
                break
            if fault[:2] in over:
                continue
            try:
                outcome = await one.round(fault)
            except (AssertionError, trio.TooSlowError) as error:
                say(f"{fault}: {error!r}")
                broken += 1
            else:
                if not outcome.injected:  # it is not called so often
                    over.add(fault[:2])
                    continue
                counts[f"{fault.error:7} in {fault.call}{', and a second run' * (outcome.runs - 1)}"] += 1
            done += 1
    for what, count in sorted(counts.items()):
        say(f"{count:6}  {what}")
    say(f"{done} rounds, {broken} of them broke a promise")
    return broken
