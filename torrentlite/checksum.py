"""A fetched file against the SHA-256 that a web page, a lock file or a colleague gave for it.

The torrent's own hashes say that a file is what its torrent means; this says that the torrent means the right file.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import trio

from .errors import StorageError, VerifyError
from .metainfo.metainfo import Metainfo
from .metainfo.paths import system_path
from .metainfo.text import display
from .storage.platform import rename_if_free
from .swarm.selection import chosen_of, files_of
from .swarm.torrent import Torrent, was_fetched

if TYPE_CHECKING:
    from .session import Session

ASIDE = ".wrong"
"""What is put behind the name of a file that is not the one that was meant."""


def parse_sha256(text: str) -> bytes:
    """The digest in 64 hex digits; ``sha256:`` may stand before them, as tools and lock files write it.

    Raises:
        ValueError: these are not.
    """
    digits = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(f"{display(text)!r} is no SHA-256: it has 64 hex digits")
    return bytes.fromhex(digits)


def the_one_file(metainfo: Metainfo, select: Iterable[str | int] | None) -> int:
    """The number of the one file that is wanted.

    Raises:
        VerifyError: it is not one.
    """
    chosen = chosen_of(metainfo.info, files_of("select", select), by_hand=True)
    wanted = metainfo.info.wanted_files if chosen is None else tuple(set(chosen))
    if len(wanted) != 1:
        raise VerifyError(
            f"a SHA-256 is of one file, and {len(wanted)} of {display(metainfo.name)} are wanted",
            hint="select one of them",
        )
    return wanted[0]


async def check_sha256(
    torrent: Torrent, session: Session[Any], expected: bytes, select: Iterable[str | int] | None = None
) -> None:
    """Compare the one file of a complete torrent.

    Where it is another one than was meant, its torrent is removed from the session, and what was fetched is put aside
    as ``NAME.wrong``, so that nobody takes it for the right one. What was there before stays where it is.

    Raises:
        VerifyError: it has another SHA-256.
        StorageError: it cannot be read.
    """
    assert torrent.metainfo is not None
    file = the_one_file(torrent.metainfo, select)
    path = torrent.save_to.joinpath(*system_path(torrent.metainfo.files[file].path))
    where, fetched = path, was_fetched(torrent, file)
    found = await _sha256_of(path)
    if found == expected:
        return
    await session.remove(torrent)
    if fetched:
        aside = path.with_name(path.name + ASIDE)
        try:
            await trio.to_thread.run_sync(rename_if_free, os.fspath(path), os.fspath(aside))
            where = aside
        except OSError:
            pass  # an earlier one lies there: then this one stays, and the error says so
    raise VerifyError(
        f"'{path.name}' is what its torrent says, but not the file that was meant: its SHA-256 is {found.hex()}, "
        f"not {expected.hex()}",
        hint=f"it lies in '{where}'",
    )


async def _sha256_of(path: pathlib.Path) -> bytes:
    def read() -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    try:
        return await trio.to_thread.run_sync(read, abandon_on_cancel=True)
    except OSError as error:
        raise StorageError(f"cannot read '{path}': {error.strerror}", errno=error.errno or 0, path=str(path)) from error
