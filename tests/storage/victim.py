"""A process that kills itself at a system call, over and over, and then looks at what it left behind.

Run as a program (forking is for processes without threads): ``python -m tests.storage.victim FOLDER SEED POWER REUSE``.
Each round tells the same story, killed at another of the calls that change files: before it, in the middle of it, or after.
With POWER, data that was not flushed is then taken away, as a power cut does. With REUSE the story begins with files that
lie elsewhere. One JSON object goes to stdout.
"""

from __future__ import annotations

import errno
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

import trio

from tests.storage.worlds import Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite.storage import platform
from torrentlite.wire import bitfield

CHANGING = ("pwrite", "ftruncate", "link", "rename", "replace", "unlink", "mkdir", "fdatasync", "fsync", "open")
_EVENT = struct.Struct("<BQQQI")  # kind, inode or piece, offset, size before, bytes of old data
RIGHT, COMMITTED, WROTE, FLUSHED = range(4)
_flush, _flush_folder = platform.flush, platform.flush_folder


class Shims:
    """Count the calls that change files, and die at one of them."""

    def __init__(self, deadly: int, how: str, pipe: int) -> None:
        self.count = 0
        self.deadly = deadly
        self.how = how
        self.pipe = pipe
        self.real = {name: getattr(os, name) for name in CHANGING}
        for name in CHANGING:
            setattr(os, name, self._shim(name))
        setattr(os, "copy_file_range", self._no_copying)  # noqa: B010  so that copies are writes, too

    @staticmethod
    def _no_copying(*args: Any) -> int:
        raise OSError(errno.ENOSYS, "not here")

    def tell(self, kind: int, number: int = 0, offset: int = 0, size: int = 0, old: bytes = b"") -> None:
        os.write(self.pipe, _EVENT.pack(kind, number, offset, size, len(old)) + old)

    def _shim(self, name: str) -> Callable[..., Any]:
        real = self.real[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            self.count += 1
            deadly = self.count == self.deadly
            if deadly and self.how == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                if name == "pwrite":
                    fd, data, offset = args
                    if deadly and self.how == "middle":
                        data = data[: len(data) // 2]
                    status = os.fstat(fd)
                    self.tell(WROTE, status.st_ino, offset, status.st_size, os.pread(fd, len(data), offset))
                    return real(fd, data, offset)
                if name in ("fdatasync", "fsync"):
                    self.tell(FLUSHED, os.fstat(args[0]).st_ino)  # not really: that would take its time
                    return None
                return real(*args, **kwargs)
            finally:
                if deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call


async def story(home: Home, seed: int, shims: Shims) -> None:
    rng = random.Random(seed)
    shape = home.shape
    order = list(range(len(shape.pieces)))
    rng.shuffle(order)
    first = frozenset(rng.sample(sorted(shape.all), 2))
    disk = home.disk()
    have = await disk.open(wanted=shape.all if home.reuse else first)
    for piece in bitfield.members(have):
        shims.tell(RIGHT, piece)
    shims.tell(COMMITTED)
    for step, piece in enumerate(order):
        data = shape.pieces[piece]
        if step == 2:
            await disk.spill(piece, [(10, data[10:])])
            await disk.spill(piece, [(0, data[:10])])
            await disk.check_spilled(piece)
        else:
            await write_piece(disk, piece, data)
        have |= 1 << piece
        shims.tell(RIGHT, piece)
        if step % 3 == 2:
            await disk.commit(have)
            shims.tell(COMMITTED)
        if step == 4:
            await disk.select(shape.all)
    await disk.commit(have)
    shims.tell(COMMITTED)
    await disk.close(have)


def cut_power(home: Home, events: list[tuple[int, int, int, int, bytes]], rng: random.Random) -> int:
    """Take away what was written and not flushed: all of it, or some writes. Returns how many were."""
    paths = {}
    for above, _, names in os.walk(home.folder.parent):
        for name in names:
            path = os.path.join(above, name)
            paths[os.stat(path).st_ino] = path
    pending: dict[int, list[tuple[int, int, bytes]]] = {}
    for kind, inode, offset, size, old in events:
        if kind == WROTE:
            pending.setdefault(inode, []).append((offset, size, old))
        elif kind == FLUSHED:
            pending.pop(inode, None)
    everything = rng.random() < 0.5
    taken = 0
    for inode, writes in pending.items():
        if inode not in paths:
            continue
        with open(paths[inode], "r+b") as file:
            for offset, size, old in reversed(writes):
                if everything or rng.random() < 0.5:
                    taken += 1
                    file.seek(offset)
                    file.write(old)
                    if everything:
                        file.truncate(max(size, offset + len(old)) if size else 0)
    return taken


def fork(home: Home, seed: int, deadly: int, how: str) -> tuple[bool, list[tuple[int, int, int, int, bytes]]]:
    """Tell the story in a child; whether it was killed, and what it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        platform.flush, platform.flush_folder = _flush, _flush_folder
        try:
            trio.run(story, home, seed, Shims(deadly, how, writer))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the story failed by itself")
    events = []
    position = 0
    while position + _EVENT.size <= len(told):
        kind, number, offset, size, length = _EVENT.unpack_from(told, position)
        position += _EVENT.size
        events.append((kind, number, offset, size, told[position : position + length]))
        position += length
    return os.WIFSIGNALED(status), events


def main(folder: str, seed: str, power: str, reuse: str) -> None:
    platform.flush = lambda fd: None  # what matters is what was asked for, not the drive
    platform.flush_folder = lambda folder: None
    rng = random.Random(f"{seed} {power}")
    other = pathlib.Path(f"{folder} other")
    shape = Shape({"a": letters(100, 1), "b": letters(30, 2), "e": b"", "c": letters(300, 3), "d": letters(60, 4)})
    if int(reuse):
        (other / "top").mkdir(parents=True)
        for name, content in {"a": letters(100, 1), "c": letters(300, 3)[:210], "d": letters(60, 5)}.items():
            (other / "top" / name).write_bytes(content)
    places = [other] if int(reuse) else []
    result: dict[str, list[Any] | int] = {"rounds": 0, "taken": 0, "false": [], "lost": [], "hashed": [], "broken": []}

    async def restart(home: Home, events: list[tuple[int, int, int, int, bytes]], deadly: int) -> None:
        right = committed = 0
        for kind, number, *_ in events:
            if kind == RIGHT:
                right |= 1 << number
            elif kind == COMMITTED:
                committed = right
        disk = home.disk()
        have = await home.open(disk)
        if wrong := wrong_claims(await content_of(disk, shape.layout, have), shape, have):
            result["false"] += [(deadly, wrong)]  # type: ignore[operator]
        if (committed if int(power) else right) & ~have:
            result["lost"] += [deadly]  # type: ignore[operator]
        if right.bit_count() < 5 and home.hashed > shape.layout.bytes_of_pieces(shape.full & ~committed):
            result["hashed"] += [(deadly, home.hashed)]  # type: ignore[operator]
        for piece in bitfield.members(shape.full & ~have):
            await write_piece(disk, piece, shape.pieces[piece])
        await disk.commit(shape.full)
        await disk.close(shape.full)
        names = [str(home.final(file).relative_to(home.folder)) for file in shape.all]
        contents = all(home.final(file).read_bytes() == shape.content(file) for file in shape.all)
        if home.lying() != sorted(names) or not contents:
            result["broken"] += [deadly]  # type: ignore[operator]

    deadly = 0
    killed = True
    while killed:
        deadly += 1
        home = Home(pathlib.Path(folder), shape, reuse=places)
        killed, events = fork(home, int(seed), deadly, rng.choice(["before", "middle", "after"]))
        if killed and int(power):
            result["taken"] += cut_power(home, events, rng)  # type: ignore[operator]
        home.reuse = places if rng.random() < 0.5 else []
        trio.run(restart, home, events, deadly)
        result["rounds"] += 1  # type: ignore[operator]
        shutil.rmtree(folder)
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
