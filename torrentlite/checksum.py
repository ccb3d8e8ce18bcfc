"""A fetched file against the SHA-256 that a web page, a lock file or a colleague gave for it.

The torrent's own hashes say that a file is what its torrent means; this says that the torrent means the right file.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from typing import TYPE_CHECKING, Any

from .errors import StorageError, VerifyError
from .metainfo.info import Info
from .metainfo.paths import system_path
from .metainfo.text import display
from .storage.offload import Offload
from .storage.platform import rename_if_free
from .swarm.torrent import Torrent, selected_files, was_fetched

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


def the_one_file(torrent: Torrent, info: Info) -> int:
    """The number of the one file that is wanted, whoever chose it: a person, or the link.

    Args:
        info: the torrent's, which may lack the hashes of its pieces.

    Raises:
        VerifyError: it is not one.
        NoSuchFileError: what was selected is not there.
    """
    wanted = selected_files(torrent, info)
    if len(wanted) != 1:
        raise VerifyError(
            f"a SHA-256 is of one file, and {len(wanted)} of {display(torrent.name)} are wanted",
            hint="select one of them",
        )
    return wanted[0]


async def check_sha256(torrent: Torrent, session: Session[Any], expected: bytes) -> None:
    """Compare the one file of a complete torrent.

    Where it is another one than was meant, its torrent is removed from the session, and what was fetched is put aside
    as ``NAME.wrong``, so that nobody takes it for the right one. What was there before stays where it is.

    Raises:
        VerifyError: it has another SHA-256.
        StorageError: it cannot be read, or there is no thread to read in.
    """
    assert torrent.metainfo is not None
    file = the_one_file(torrent, torrent.metainfo.info)
    path = torrent.save_to.joinpath(*system_path(torrent.metainfo.files[file].path))
    where, fetched = path, was_fetched(torrent, file)
    offload = session._commons.world.offload
    found = await _sha256_of(path, offload)
    if found == expected:
        return
    await session.remove(torrent)
    if fetched:
        aside = path.with_name(path.name + ASIDE)
        try:
            await offload.run(rename_if_free, os.fspath(path), os.fspath(aside))
            where = aside
        except (OSError, StorageError):
            pass  # an earlier one lies there, or no thread is free: then this one stays, and the error says so
    raise VerifyError(
        f"'{path.name}' is what its torrent says, but not the file that was meant: its SHA-256 is {found.hex()}, "
        f"not {expected.hex()}",
        hint=f"it lies in '{where}'",
    )


async def _sha256_of(path: pathlib.Path, offload: Offload) -> bytes:
    def read() -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    try:
        return await offload.run(read, abandon=True)
    except OSError as error:
        raise StorageError(f"cannot read '{path}': {error.strerror}", errno=error.errno or 0, path=str(path)) from error
