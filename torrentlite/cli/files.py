"""Paths as they were typed, and writing small files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import secrets
from collections.abc import Iterator

from ..errors import StorageError
from ..storage.platform import flush_folder, is_read_only, may_use
from .exits import closest_path


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Write a file beside its final place, and give it its name when all of it is on the disk."""
    with _written(path, data, 0o666) as temporary:
        os.replace(temporary, path)


def write_secret(path: pathlib.Path, data: bytes) -> None:
    """The same for a new file that only its owner may read, and that is to outlast a power cut.

    Raises:
        FileExistsError: there is one.
    """
    with _written(path, data, 0o600) as temporary:
        os.link(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        flush_folder(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _written(path: pathlib.Path, data: bytes, mode: int) -> Iterator[pathlib.Path]:
    """Beside its final place; what is left there in the end goes away."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def require_path(path: str, verb: str) -> None:
    """Look whether there is something at a path that was typed.

    Raises:
        StorageError: there is not, with what was probably meant.
    """
    where = os.path.dirname(full_path(path))  # first: a working folder that was removed still has its "."
    if not os.path.lexists(path):
        meant = closest_path(path)
        hint = f"did you mean '{meant}'?" if meant else f"nothing in '{where}' is called so"
        raise StorageError(f"cannot {verb} '{path}': no such file or folder", path=path, hint=hint)


def full_path(path: str) -> str:
    """The absolute path: "." and "photos/.." have no name of their own."""
    return os.path.abspath(path)


def require_folder(path: str) -> None:
    """Look whether something may be saved into this folder, which need not be there yet.

    Raises:
        StorageError: it is something else.
    """
    place = _nearest(path)
    if os.path.exists(place) and not os.path.isdir(place):
        what = "it" if place == path else f"'{place}'"
        raise StorageError(f"cannot save into '{path}': {what} is not a folder", path=path, hint="-o names a folder")


def require_writable(path: str) -> None:
    """Look whether new files may be made in this folder, or in the one that it will be made in.

    Raises:
        StorageError: they may not.
    """
    folder = _nearest(full_path(path))
    try:
        if os.path.isdir(folder):
            check_writable(folder)
    except OSError as error:
        why = "it is on a read-only disk" if error.errno == errno.EROFS else "permission denied"
        hint = "-o names another folder; ls -ld shows whose this one is"
        raise StorageError(f"cannot save into '{path}': {why}", path=path, hint=hint) from error


def _nearest(path: str) -> str:
    """The path, or the nearest folder above it that is there; empty for the working folder."""
    while path and not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def lies_in(path: str | os.PathLike[str], folder: str) -> bool:
    """Whether it is this folder, or will be below it."""
    inner, outer = os.path.realpath(path), os.path.realpath(folder)
    return inner == outer or inner.startswith(os.path.join(outer, ""))


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Look whether new files may be made in this folder, which is there.

    Raises:
        OSError: they may not: the disk is read-only (EROFS), or the folder is not ours (EACCES).
    """
    if may_use(folder, os.W_OK | os.X_OK):
        return
    number = errno.EROFS if is_read_only(os.fspath(folder)) else errno.EACCES
    raise OSError(number, os.strerror(number), os.fspath(folder))
