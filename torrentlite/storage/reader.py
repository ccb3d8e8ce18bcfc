"""Reading a torrent's bytes over the borders of its files."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from .. import limits
from ..errors import StorageError
from ..metainfo.layout import BLOCK_SIZE, Block, Layout, Span
from . import platform
from .beneath import Opened
from .pool import FilePool, Key
from .storage import Room

_SMALL: Final = limits.UPLOAD_BATCH_BLOCKS * BLOCK_SIZE
"""Bytes of a file that a batch of blocks has most of, so that to have it open still would not help the next batch."""


class Home(NamedTuple):
    """Where the bytes of a file lie at the moment.

    Attributes:
        key: the open file in the pool.
        shift: what to add to an offset in the torrent's file.
    """

    key: Key
    shift: int = 0


class SpanReader:
    """Reads by offsets into the torrent, from wherever its files lie.

    A file that is read whole is opened for that and closed again: of thousands of small ones, none is in the pool when
    it is asked for, and each would drive out one that is of use there.

    Args:
        layout: of the torrent.
        pool: of open files.
        home: where a file lies, by its number; None for a pad file.
        opener: opens a file to be read, by its number in its ``Key``. Raises OSError.
        failed: the error to raise for an OSError about that file.
        holding: what keeps folders open while several files are opened (``Beneath.holding``).
    """

    def __init__(
        self,
        layout: Layout,
        pool: FilePool,
        home: Callable[[int], Home | None],
        opener: Callable[[int], Opened],
        failed: Callable[[int, OSError], StorageError],
        holding: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._layout = layout
        self._pool = pool
        self._home = home
        self._opener = opener
        self._failed = failed
        self._holding = holding
        self._memory: int | None = None  # the device of the file that was read whole last, if it is one in memory

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``."""
        spans = self._spans(offset, buffers)
        if self._memory is None:
            return all(self._fill(span, views) for span, views in spans)
        try:
            with self._holding():
                return all(self._fill(span, views) for span, views in spans)
        except OSError:
            return False  # a thread meets it again, and says what it is

    def _fill(self, span: Span, views: Sequence[Room]) -> bool:
        home = self._home(span.file)
        if home is None:
            _clear(views)
            return True
        pool, key = self._pool, home.key
        file = pool.peek(key)
        if file is not None:
            try:
                return pool.cached.fill(file.fd, file.device, views, span.offset + home.shift, span.length)
            finally:
                pool.give_back(file)
        if self._memory is None or key.file != span.file or self._layout.file_lengths[span.file] > _SMALL:
            return False  # opening may wait for a disk
        # In memory it waits for none, and a hop to a thread for every batch was much of what serving them took.
        fd, status = self._opener(key.file)
        try:
            if status.st_dev != self._memory:  # folders may be on other disks than those above them
                self._memory = None
                return False
            return platform.pread_full(fd, views, span.offset) == span.length
        finally:
            os.close(fd)

    def pread_into(self, offset: int, buffers: Sequence[Room]) -> None:
        """See ``Storage.pread_into``."""
        for span, views in self._spans(offset, buffers):
            home = self._home(span.file)
            if home is None:
                _clear(views)
                continue
            key = home.key
            try:
                if span.length == self._layout.file_lengths[span.file] and key.file == span.file:
                    count = self._read_whole(key.file, views)
                else:
                    file = self._pool.take(key, lambda: self._opener(key.file).fd)  # noqa: B023  now
                    try:
                        count = platform.pread_full(file.fd, views, span.offset + home.shift)
                    finally:
                        self._pool.give_back(file)
                if count < span.length:
                    raise OSError(errno.ENODATA, "the file is shorter than it was")
            except OSError as error:
                raise self._failed(key.file, error) from error

    def _read_whole(self, file: int, views: Sequence[Room]) -> int:
        fd, status = self._pool.scarce(lambda: self._opener(file))
        try:
            self._memory = status.st_dev if self._pool.cached.in_memory(status.st_dev) else None
            return platform.pread_full(fd, views, 0)
        finally:
            os.close(fd)

    def _spans(self, offset: int, buffers: Sequence[Room]) -> Iterable[tuple[Span, Sequence[Room]]]:
        """The buffers, cut at the borders of files."""
        spans = list(self._layout.spans(offset, sum(map(len, buffers))))
        if len(spans) == 1:
            return [(spans[0], buffers)]
        return zip(spans, cut(buffers, [span.length for span in spans]), strict=True)


def join(blocks: Sequence[Block], buffers: Sequence[Room], piece_length: int) -> Iterator[tuple[int, Sequence[Room]]]:
    """Blocks and their buffers as (offset in the torrent, buffers): those that follow one another are one read."""
    start = stop = 0
    views: list[Room] = []
    for (piece, begin, size), buffer in zip(blocks, buffers, strict=True):
        offset = piece * piece_length + begin
        if offset != stop or len(views) == limits.MAX_VECTOR:
            if views:
                yield start, views
            start, views = offset, []
        views.append(buffer)
        stop = offset + size
    if views:
        yield start, views


def cut(buffers: Sequence[Room], sizes: Iterable[int]) -> Iterator[list[Room]]:
    """Buffers for so many bytes, and for so many of the rest, and so on."""
    more = iter(buffers)
    view = memoryview(b"")
    for size in sizes:
        views: list[Room] = []
        while size:
            while not view:
                view = memoryview(next(more))
            head, view = (view, view[:0]) if len(view) <= size else (view[:size], view[size:])
            views.append(head)
            size -= len(head)
        yield views


def _clear(views: Sequence[Room]) -> None:
    for view in views:
        view[:] = bytes(len(view))
