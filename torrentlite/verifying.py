"""Compare data on disk with a torrent; nothing is changed, and no session is needed."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import errno
import os
import pathlib
import stat
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import BinaryIO, Final

import trio

from .errors import StorageError
from .given import metainfo_of
from .loops import require_trio
from .metainfo.metainfo import Info, Metainfo
from .metainfo.paths import original_path, system_path
from .storage.beneath import Beneath
from .storage.offload import Offload, ThreadOffload

_STEP: Final = 1 << 20
"""Bytes that are read and hashed at a time."""
_BATCH: Final = 16 << 20
"""Bytes a thread is given at once: few hops, and progress that moves."""
_PROBES: Final = 1000
"""Files that are looked for to tell which folder was meant."""


Names = tuple[str, ...]
"""A file's path, from the torrent's name on."""


class Problem(enum.Enum):
    """What is wrong with a file; the values are the words that people see."""

    MISSING = "missing"
    SIZE = "wrong size"
    UNREADABLE = "unreadable"
    BAD = "bad data"
    UNPROVEN = "unproven"
    """Every bad piece of it is shared with a file that is missing or worse: it may be right."""


@dataclasses.dataclass(frozen=True, slots=True)
class BadFile:
    """A file that does not match.

    Attributes:
        index: in ``metainfo.files``.
        path: where it is, or should be.
        problem: what is wrong with it.
        pieces: the bad pieces that have bytes of it, in order.
        message: more about it, for people; may be empty.
    """

    index: int
    path: pathlib.Path
    problem: Problem
    pieces: tuple[int, ...]
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` found.

    Attributes:
        root: the file, or the top folder, that was compared.
        pieces: how many the torrent has.
        bad_pieces: those that do not match, in order.
        bad_files: in the torrent's order; padding and links are not looked at.
        good_bytes: bytes of real files in matching pieces.
    """

    root: pathlib.Path
    pieces: int
    bad_pieces: tuple[int, ...]
    bad_files: tuple[BadFile, ...]
    good_bytes: int

    @property
    def ok(self) -> bool:
        """Whether everything matches."""
        return not self.bad_pieces and not self.bad_files


async def verify(
    metainfo: Metainfo,
    path: str | PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
    offload: Offload | None = None,
) -> VerifyReport:
    """Hash data on disk, with all cores, and say what differs from the torrent.

    Args:
        metainfo: what should be there.
        path: the file or top folder itself, or the folder that it lies in.
        progress: called with (bytes done, bytes in all). What it raises ends the check.
        offload: where to hash; None for threads.

    Raises:
        StorageError: there is nothing at ``path``, or no thread to read in.
        MetainfoError: ``metainfo`` lacks the hashes of its pieces (``Info.lacks_layers``).
        TypeError: ``metainfo`` is no Metainfo.
    """
    require_trio("verify")
    metainfo = metainfo_of(metainfo)
    offload = offload or ThreadOffload()
    check = _Check(metainfo.info, *await offload.run(_find_root, metainfo.info, os.fspath(path), abandon=True))
    await offload.run(check.look, abandon=True)
    batches = check.batches()
    total, done = metainfo.info.layout.stored, 0
    failure: BaseException | None = None

    async def work() -> None:
        nonlocal done, failure
        for batch in batches:
            try:
                await offload.run(check.hash, batch, abandon=True)
                done += sum(map(metainfo.info.layout.piece_size, batch))
                if progress is not None:
                    progress(done, total)
            except trio.Cancelled:
                raise
            except BaseException as error:  # the nursery would wrap it
                failure = error
                nursery.cancel_scope.cancel()
                return

    async with trio.open_nursery() as nursery:
        for _ in range(offload.parallel):
            nursery.start_soon(work)
    if failure is not None:
        raise failure
    return await offload.run(check.report)


def _find_root(info: Info, path: str) -> tuple[str, list[Names]]:
    """The file or top folder that is meant (``path`` itself, or what lies in it under the torrent's name), and the
    paths of all files as they lie there: the safe ones, or those that they had where the torrent was made.
    """
    try:
        os.stat(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StorageError(f"cannot read '{path}': {why}", errno=error.errno or 0, path=path) from error
    safe = [system_path(entry.path) for entry in info.files]
    original = [original_path(entry.raw_path) or path for entry, path in zip(info.files, safe, strict=True)]
    # What tells most comes first. A folder may hold another of its own name, so what counts is where the files are.
    probes = sorted(info.wanted_files, key=lambda index: original[index] == safe[index])[:_PROBES]

    def present(choice: tuple[str, list[Names]]) -> int:
        root, names = choice
        return sum(_lies_there(root, names[index][1:]) for index in probes)

    choices = [(os.path.join(path, *names[0][:1]), names) for names in (safe, original)]
    if info.multi:
        choices = [(path, safe), choices[0], (path, original), choices[1]]
    elif not os.path.isdir(path):
        choices = [(path, safe)]
    return max(choices, key=present)


def _stat(root: str, below: Names) -> os.stat_result:
    """A file's status. A path that is longer than the system takes is gone down step by step, as it was written."""
    try:
        return os.stat(os.path.join(root, *below))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    status = Beneath(root).stat(below)
    if status is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status


def _open(root: str, below: Names) -> BinaryIO:
    """Open a file to read, likewise."""
    try:
        return open(os.path.join(root, *below), "rb", buffering=0)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    return open(Beneath(root).open(below, os.O_RDONLY).fd, "rb", buffering=0)


def _lies_there(root: str, below: Names) -> bool:
    """Whether there is something, be it a link to nothing."""
    if os.path.lexists(os.path.join(root, *below)):
        return True
    with contextlib.suppress(OSError):
        return bool(_stat(root, below))
    return False


class _Check:
    """One comparison. ``hash`` runs in several threads at once; each piece belongs to one of them."""

    def __init__(self, info: Info, root: str, names: Sequence[Names]) -> None:
        self._info = info
        self._root = root
        self._names = names
        self._wanted = frozenset(info.wanted_files)
        self._problems: dict[int, tuple[Problem, str]] = {}
        self._bad = bytearray(info.layout.piece_count)

    def look(self) -> None:
        """Compare sizes, before anything is read."""
        for index in self._info.wanted_files:
            expected = self._info.files[index].length
            try:
                status = _stat(self._root, self._names[index][1:])
            except (FileNotFoundError, NotADirectoryError):
                self._problems[index] = Problem.MISSING, ""
            except OSError as error:
                self._problems[index] = Problem.UNREADABLE, error.strerror or str(error)
            else:
                if not stat.S_ISREG(status.st_mode):  # a FIFO would be waited for
                    self._problems[index] = Problem.UNREADABLE, "it is not a regular file"
                elif status.st_size != expected:
                    self._problems[index] = Problem.SIZE, f"{status.st_size:,} bytes instead of {expected:,}"

    def batches(self) -> Iterator[range]:
        """Runs of pieces, each for one thread."""
        layout = self._info.layout
        step = max(1, _BATCH // layout.piece_length)
        for start in range(0, layout.piece_count, step):
            yield range(start, min(start + step, layout.piece_count))

    def hash(self, pieces: range) -> None:
        """Read and compare these pieces."""
        with contextlib.ExitStack() as stack:
            reader = _Reader(self, stack)
            for piece in pieces:
                self._bad[piece] = not self._matches(piece, reader)

    def _matches(self, piece: int, reader: _Reader) -> bool:
        info, layout = self._info, self._info.layout
        digest = info.hashing.new()
        for span in layout.spans(layout.offset(piece), layout.piece_size(piece)):
            if info.files[span.file].pad:
                for start in range(0, span.length, _STEP):
                    digest.update(bytes(min(_STEP, span.length - start)))
            elif not reader.feed(digest.update, span.file, span.offset, span.length):
                return False
        return digest.digest() == info.piece_hash(piece)

    def open(self, index: int) -> BinaryIO | None:
        """Open a file, or remember why not."""
        if self._problems.get(index, (None,))[0] in (Problem.MISSING, Problem.UNREADABLE):
            return None
        try:
            return _open(self._root, self._names[index][1:])
        except OSError as error:
            self.unreadable(index, error)
            return None

    def unreadable(self, index: int, error: OSError) -> None:
        """Reading a file failed."""
        self._problems[index] = Problem.UNREADABLE, error.strerror or str(error)

    def report(self) -> VerifyReport:
        """What was found."""
        layout = self._info.layout
        bad = tuple(piece for piece, is_bad in enumerate(self._bad) if is_bad)
        known = dict(self._problems)
        excused = {piece for index in known for piece in layout.pieces_of_file(index)}
        files = []
        for index in self._info.wanted_files:
            touched = layout.pieces_of_file(index)
            pieces = tuple(piece for piece in touched if self._bad[piece])
            if index not in known and not pieces:
                continue
            guilty = Problem.UNPROVEN if excused.issuperset(pieces) else Problem.BAD
            problem, message = known.get(index, (guilty, ""))
            files.append(BadFile(index, self._path(index), problem, pieces, message))
        return VerifyReport(pathlib.Path(self._root), layout.piece_count, bad, tuple(files), self._good_bytes())

    def _good_bytes(self) -> int:
        layout = self._info.layout
        good = 0
        for piece, is_bad in enumerate(self._bad):
            if not is_bad:
                spans = layout.spans(layout.offset(piece), layout.piece_size(piece))
                good += sum(span.length for span in spans if span.file in self._wanted)
        return good

    def _path(self, index: int) -> pathlib.Path:
        return pathlib.Path(self._root, *self._names[index][1:])


class _Reader:
    """Reads the files of one batch in order, so that one is open at a time."""

    def __init__(self, check: _Check, stack: contextlib.ExitStack) -> None:
        self._check = check
        self._stack = stack
        self._index = -1
        self._file: BinaryIO | None = None
        self._buffer = memoryview(bytearray(_STEP))

    def feed(self, update: Callable[[memoryview], None], index: int, offset: int, length: int) -> bool:
        """Hand these bytes of a file on; False where they are not there."""
        if index != self._index:
            self._stack.close()
            self._index, self._file = index, self._check.open(index)
            if self._file is not None:
                self._stack.enter_context(self._file)
        if self._file is None:
            return False
        try:
            self._file.seek(offset)
            while length:
                count = self._file.readinto(self._buffer[: min(length, _STEP)])  # type: ignore[attr-defined]
                if not count:
                    return False
                update(self._buffer[:count])
                length -= count
        except OSError as error:
            self._check.unreadable(index, error)
            return False
        return True
