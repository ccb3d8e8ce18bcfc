"""Make the metainfo of data on disk; no session is needed, nor what it consists of (30 ms to import)."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable
from os import PathLike
from typing import get_args

from .given import urls_of
from .loops import require_trio
from .metainfo.build import Version
from .metainfo.metainfo import Metainfo
from .settings import USER_AGENT
from .storage.hashing import create_metainfo
from .storage.offload import ThreadOffload


async def create(
    path: str | PathLike[str],
    *,
    trackers: Iterable[str] = (),
    web_seeds: Iterable[str] = (),
    private: bool = False,
    comment: str = "",
    piece_length: int | None = None,
    name: str | None = None,
    version: Version = "v1",
    progress: Callable[[int, int], None] | None = None,
    state_dir: str | PathLike[str] | None = None,
) -> Metainfo:
    """Hash a file or folder, with all cores, and make the metainfo of it.

    ``session.add`` does not hash it again.

    Args:
        path: the file or folder.
        trackers: announce URLs, a tier each.
        web_seeds: URLs where the same data lies.
        private: peers only from the trackers (BEP 27).
        comment: free text.
        piece_length: bytes, a power of two from 16 KiB; None to choose by size.
        name: the name in the torrent; None for the path's.
        version: "v1", which every client can use; "v2" (BEP 52), whose pieces never hold two files and are hashed with
            SHA-256; or "hybrid", which is both.
        progress: called with (bytes done, bytes in all).
        state_dir: where results are remembered, so that unchanged files are not hashed again; None for nowhere.

    Raises:
        StorageError: a file cannot be read, or changed while it was read; it is named.
        MetainfoError: nothing to share, or the piece length is not allowed.
        TypeError: the URLs are one text.
        ValueError: there is no such version.
    """
    require_trio("create")
    if version not in get_args(Version):
        raise ValueError(f"version={version!r}: one of {', '.join(get_args(Version))}")
    return await create_metainfo(
        pathlib.Path(path),
        trackers=tuple((url,) for url in urls_of("trackers", trackers)),
        web_seeds=urls_of("web_seeds", web_seeds),
        private=private,
        comment=comment,
        created_by=USER_AGENT,
        piece_length=piece_length,
        name=name,
        version=version,
        progress=progress,
        state_dir=pathlib.Path(state_dir) if state_dir is not None else None,
        offload=ThreadOffload(),
    )
