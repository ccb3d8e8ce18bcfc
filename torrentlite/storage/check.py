"""Hashing what lies in a storage: in parallel, in batches, in bounded memory. Nothing is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import trio

from .. import limits
from ..errors import StorageError
from ..metainfo.digest import Hashing
from ..metainfo.info import Info
from ..metainfo.layout import BLOCK_SIZE, Layout
from ..wire import bitfield
from .offload import Offload
from .runs import batches
from .storage import Buffer, Storage


def digests(storage: Storage, layout: Layout, hashing: Hashing, pieces: range, *, aside: bool = False) -> bytes:
    """The digests of consecutive pieces, one after the other. Blocks; runs in a thread.

    Raises:
        StorageError: the bytes cannot be read.
    """
    result = []
    buffer = memoryview(bytearray(min(limits.READ_CHUNK, len(pieces) * layout.piece_length)))
    for run in layout.unbroken(pieces):
        position = layout.offset(run.start)
        stop = layout.offset(run.stop - 1) + layout.piece_size(run.stop - 1)
        piece, missing = run.start, layout.piece_size(run.start)
        digest = hashing.new()
        while position < stop:
            rest = buffer[: stop - position]
            storage.pread_into(position, [rest], aside=aside)
            position += len(rest)
            while rest:
                head, rest = rest[:missing], rest[missing:]
                digest.update(head)
                missing -= len(head)
                if not missing:
                    result.append(digest.digest())
                    piece += 1
                    digest, missing = hashing.new(), layout.piece_size(piece)
    return b"".join(result)


def block_digests(data: Buffer) -> list[bytes]:
    """The SHA-1 digest of each block of a piece."""
    view = memoryview(data)
    return [
        hashlib.sha1(view[start : start + BLOCK_SIZE], usedforsecurity=False).digest()
        for start in range(0, len(view), BLOCK_SIZE)
    ]


def right_ones(info: Info, pieces: range, found: bytes) -> list[int]:
    """Which of these pieces have the digests they should have."""
    size = info.hashing.size
    if found == info.pieces[pieces.start * size : pieces.stop * size]:
        return list(pieces)
    return [
        piece
        for index, piece in enumerate(pieces)
        if found[index * size : (index + 1) * size] == info.piece_hash(piece)
    ]


async def hash_pieces(
    storage: Storage,
    layout: Layout,
    hashing: Hashing,
    pieces: int,
    offload: Offload,
    got: Callable[[range, bytes], None],
) -> None:
    """Hash a set of pieces (bit ``i`` is piece ``i``) on all cores.

    Args:
        storage: where they are.
        layout: of the torrent.
        hashing: likewise.
        pieces: which.
        offload: where to hash.
        got: called in the loop with some consecutive pieces and their digests; batches come in any order.

    Raises:
        StorageError: some bytes cannot be read.
    """
    todo = batches(pieces, layout, limits.HASH_BATCH)
    failures: list[StorageError] = []

    async def work() -> None:
        for batch in todo:
            try:
                found = await offload.run(digests, storage, layout, hashing, batch, abandon=True)
            except StorageError as error:
                failures.append(error)
                nursery.cancel_scope.cancel()
                return
            got(batch, found)

    async with trio.open_nursery() as nursery:
        for _ in range(offload.parallel):
            nursery.start_soon(work)
    if failures:
        raise failures[0]


async def check_pieces(
    info: Info,
    storage: Storage,
    pieces: int,
    offload: Offload,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Which of these pieces are right (sets: bit ``i`` is piece ``i``).

    Args:
        info: what they should be.
        storage: where they are.
        pieces: which to hash.
        offload: where to hash.
        progress: called with the bytes hashed and to hash.

    Raises:
        StorageError: some bytes cannot be read.
    """
    layout = info.layout
    total = layout.bytes_of_pieces(pieces)
    done = 0
    right: list[int] = []

    def got(batch: range, found: bytes) -> None:
        nonlocal done
        right.extend(right_ones(info, batch, found))
        done += layout.bytes_of_pieces(bitfield.span(batch))
        if progress is not None:
            progress(done, total)

    if progress is not None:
        progress(0, total)
    await hash_pieces(storage, layout, info.hashing, pieces, offload, got)
    return bitfield.of(right)
