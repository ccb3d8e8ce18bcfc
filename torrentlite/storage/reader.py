"""Reading a torrent's bytes over the borders of its files."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from .. import limits
from ..metainfo.layout import Block, Layout, Span
from . import platform
from .pool import FilePool, Key
from .storage import Room


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

    Args:
        layout: of the torrent.
        pool: of open files.
        home: where a file lies, by its number; None for a pad file.
        borrow: a descriptor for the length of a block; OSErrors of the block become StorageErrors.
    """

    def __init__(
        self,
        layout: Layout,
        pool: FilePool,
        home: Callable[[int], Home | None],
        borrow: Callable[[Key], AbstractContextManager[int]],
    ) -> None:
        self._layout = layout
        self._pool = pool
        self._home = home
        self._borrow = borrow

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``."""
        pool = self._pool
        for span, views in self._spans(offset, buffers):
            home = self._home(span.file)
            if home is None:
                _clear(views)
                continue
            file = pool.peek(home.key)
            if file is None:
                return False  # opening may wait for a disk
            try:
                if not pool.cached.fill(file.fd, file.device, views, span.offset + home.shift, span.length):
                    return False
            finally:
                pool.give_back(file)
        return True

    def pread_into(self, offset: int, buffers: Sequence[Room]) -> None:
        """See ``Storage.pread_into``."""
        for span, views in self._spans(offset, buffers):
            home = self._home(span.file)
            if home is None:
                _clear(views)
                continue
            with self._borrow(home.key) as fd:
                if platform.pread_full(fd, views, span.offset + home.shift) < span.length:
                    raise OSError(errno.ENODATA, "the file is shorter than it was")

    def _spans(self, offset: int, buffers: Sequence[Room]) -> Iterator[tuple[Span, Sequence[Room]]]:
        """The buffers, cut at the borders of files."""
        size = sum(map(len, buffers))
        spans = list(self._layout.spans(offset, size))
        if len(spans) == 1:
            yield spans[0], buffers
            return
        rest = [memoryview(buffer) for buffer in buffers]
        for span in spans:
            views, rest = cut(rest, span.length)
            yield span, views


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


def cut(views: Sequence[memoryview], size: int) -> tuple[list[memoryview], list[memoryview]]:
    """Buffers for the first ``size`` bytes, and those for the rest."""
    for index, view in enumerate(views):
        if size < len(view):
            head = [*views[:index], view[:size]] if size else list(views[:index])
            return head, [view[size:], *views[index + 1 :]]
        size -= len(view)
    return list(views), []


def _clear(views: Sequence[Room]) -> None:
    for view in views:
        view[:] = bytes(len(view))
