"""Making a torrent: look, hash on all cores, look again, put together."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable

from .. import limits
from ..errors import MetainfoError, StorageError
from ..metainfo.build import Version, automatic_piece_length, build_metainfo, check_piece_length
from ..metainfo.metainfo import Metainfo
from ..metainfo.text import display
from ..wire import bitfield
from .check import hash_pieces
from .hashcache import HashCache
from .offload import Offload, ThreadOffload
from .origin import OriginStorage
from .plan import Plan
from .walk import walk


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
    version: Version = "v1",
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
        version: "v1", "v2", or "hybrid" for both.
        progress: called with the bytes hashed and to hash.
        state_dir: where results are remembered, so that unchanged files are not hashed again; None for nowhere.
        offload: where to hash; None for threads of its own.

    Raises:
        StorageError: a file cannot be read, or changed while it was read; it is named.
        MetainfoError: no bytes to share, too many files, a piece length that is not allowed.
    """
    offload = offload or ThreadOffload()
    listing = await offload.run(walk, path, abandon=True)
    total = sum(file.size for file in listing.origin.files if file is not None)
    if not total:
        what = f"'{display(listing.origin.root)}' holds no bytes that could be shared"
        raise MetainfoError(what, hint="a torrent needs at least one file that is not empty")
    piece_length = automatic_piece_length(total) if piece_length is None else check_piece_length(piece_length)
    plan = Plan(listing, piece_length, version)
    layout, hashing = plan.layout, plan.hashing
    if layout.piece_count > limits.MAX_PIECES:
        raise MetainfoError(
            f"{layout.piece_count} pieces of {piece_length} bytes; {limits.MAX_PIECES} are allowed",
            hint="choose a larger piece length, or none",
        )
    cache = HashCache(state_dir) if state_dir is not None else None
    digests = None
    if cache is not None:
        digests = await offload.run(cache.load, listing, piece_length, hashing, layout.piece_count, abandon=True)
    if digests is None:
        digests = await _hash(plan, total, offload, progress)
        if cache is not None:
            await offload.run(cache.save, listing, piece_length, hashing, digests)
    elif progress is not None:
        progress(total, total)
    build = functools.partial(plan.build, listing.name if name is None else name, digests, private=private)
    info, layers, origin = await offload.run(build, abandon=True)  # a second for 100,000 files
    metainfo = build_metainfo(
        info,
        layers=layers,
        trackers=trackers,
        web_seeds=web_seeds,
        comment=comment,
        created_by=created_by,
        origin=origin,
    )
    warnings = listing.warnings
    if version == "v2" and listing.paths[0] and not info.multi:
        warnings += ("version 2 knows no folder that holds only one file: the torrent is that file alone",)
    return dataclasses.replace(metainfo, warnings=warnings)


async def _hash(plan: Plan, total: int, offload: Offload, progress: Callable[[int, int], None] | None) -> bytes:
    """The digests of all pieces, of files that stay as they are meanwhile."""
    layout, size = plan.layout, plan.hashing.size
    result = bytearray(layout.piece_count * size)
    done = 0

    def got(pieces: range, digests: bytes) -> None:
        nonlocal done
        result[pieces.start * size : pieces.stop * size] = digests
        done += layout.bytes_of_pieces(bitfield.span(pieces))
        if progress is not None:
            progress(done, total)

    if progress is not None:
        progress(0, total)
    storage = OriginStorage(layout, plan.origin)
    try:
        found = await offload.run(storage.prepare, frozenset(), abandon=True)
        if found.vouched == bitfield.full(layout.piece_count):
            await hash_pieces(storage, layout, plan.hashing, found.vouched, offload, got)
        changed = await offload.run(storage.changed, abandon=True)
    finally:
        storage.close()
    if changed:
        raise StorageError(f"'{display(changed)}' was changed while it was read", path=changed, hint="try again")
    return bytes(result)
