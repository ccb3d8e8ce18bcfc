"""Making a torrent: look, hash on all cores, look again, put together."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable

from .. import limits
from ..errors import MetainfoError, StorageError
from ..metainfo.build import automatic_piece_length, build_info, build_metainfo, check_piece_length
from ..metainfo.info import HASH_SIZE
from ..metainfo.layout import Layout
from ..metainfo.metainfo import Metainfo
from ..metainfo.text import display
from ..wire import bitfield
from .check import hash_pieces
from .hashcache import HashCache
from .offload import Offload, ThreadOffload
from .origin import OriginStorage
from .walk import Listing, walk


async def create_metainfo(
    path: str | os.PathLike[str],
    *,
    piece_length: int | None = None,
    trackers: Iterable[str | Iterable[str]] = (),
    web_seeds: Iterable[str] = (),
    private: bool = False,
    comment: str = "",
    created_by: str = "",
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    offload: Offload | None = None,
) -> Metainfo:
    """Hash a file or folder and make the metainfo of it, with its ``origin``. Ends promptly when cancelled.

    Names, order and bytes alone decide on the info-hash, so it is the same on every machine.

    Args:
        path: the file or folder.
        piece_length: bytes, a power of two from 16 KiB; None to choose by size.
        trackers: announce URLs, a tier each, or tiers of them.
        web_seeds: URLs where the same data lies.
        private: peers only from the trackers (BEP 27).
        comment: for people.
        created_by: the program.
        name: the name in the torrent; None for the path's.
        progress: called with the bytes hashed and to hash.
        state_dir: where results are remembered, so that unchanged files are not hashed again; None for nowhere.
        offload: where to hash; None for threads of its own.

    Raises:
        StorageError: a file cannot be read, or changed while it was read; it is named.
        MetainfoError: no bytes to share, too many files, a piece length that is not allowed.
    """
    offload = offload or ThreadOffload()
    listing = await offload.run(walk, path, abandon=True)
    lengths = [file.size if file is not None else 0 for file in listing.origin.files]
    total = sum(lengths)
    if not total:
        what = f"'{display(listing.origin.root)}' holds no bytes that could be shared"
        raise MetainfoError(what, hint="a torrent needs at least one file that is not empty")
    layout = Layout(
        automatic_piece_length(total) if piece_length is None else check_piece_length(piece_length), lengths
    )
    if layout.piece_count > limits.MAX_PIECES:
        raise MetainfoError(
            f"{layout.piece_count} pieces of {layout.piece_length} bytes; {limits.MAX_PIECES} are allowed",
            hint="choose a larger piece length, or none",
        )
    cache = HashCache(state_dir) if state_dir is not None else None
    digests = None
    if cache is not None:
        digests = await offload.run(
            cache.load, listing, layout.piece_length, layout.piece_count * HASH_SIZE, abandon=True
        )
    if digests is None:
        digests = await _hash(listing, layout, offload, progress)
        if cache is not None:
            await offload.run(cache.save, listing, layout.piece_length, digests)
    elif progress is not None:
        progress(total, total)
    build = functools.partial(
        build_info,
        listing.name if name is None else name,
        list(zip(listing.paths, lengths, strict=True)),
        piece_length=layout.piece_length,
        pieces=digests,
        private=private,
    )
    info = await offload.run(build, abandon=True)  # a second for 100,000 files
    metainfo = build_metainfo(
        info,
        trackers=trackers,
        web_seeds=web_seeds,
        comment=comment,
        created_by=created_by,
        origin=listing.origin,
    )
    return dataclasses.replace(metainfo, warnings=listing.warnings)


async def _hash(
    listing: Listing, layout: Layout, offload: Offload, progress: Callable[[int, int], None] | None
) -> bytes:
    """The digests of all pieces, of files that stay as they are meanwhile."""
    result = bytearray(layout.piece_count * HASH_SIZE)
    done = 0

    def got(pieces: range, digests: bytes) -> None:
        nonlocal done
        result[pieces.start * HASH_SIZE : pieces.stop * HASH_SIZE] = digests
        done += layout.bytes_of_pieces(bitfield.span(pieces))
        if progress is not None:
            progress(done, layout.total)

    if progress is not None:
        progress(0, layout.total)
    storage = OriginStorage(layout, listing.origin)
    try:
        found = await offload.run(storage.prepare, frozenset(), abandon=True)
        if found.vouched == bitfield.full(layout.piece_count):
            await hash_pieces(storage, layout, found.vouched, offload, got)
        changed = await offload.run(storage.changed, abandon=True)
    finally:
        storage.close()
    if changed:
        raise StorageError(f"'{display(changed)}' was changed while it was read", path=changed, hint="try again")
    return bytes(result)
