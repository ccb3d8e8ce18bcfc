"""What a new torrent is to be made of: one file, or all files of a folder, hidden ones too, in a fixed order.

A link to a regular file inside the same folder counts as that file under the link's name. Links that lead out of it,
to folders or nowhere, and what is no file at all (sockets, FIFOs, devices) are left out with a warning; so nothing is
shared that was not meant to be, and no loop is entered.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .. import limits
from ..errors import MetainfoError, StorageError
from ..metainfo.metainfo import Origin, OriginFile
from ..metainfo.text import display
from . import platform
from .faults import about, fault


class Listing(NamedTuple):
    """What was found.

    Attributes:
        name: of the file or folder.
        paths: the components of each file below the folder; empty for a torrent of one file.
        origin: the files themselves, in the same order.
        warnings: what was left out.
    """

    name: bytes
    paths: tuple[tuple[bytes, ...], ...]
    origin: Origin
    warnings: tuple[str, ...]


def walk(path: str | os.PathLike[str]) -> Listing:
    """Look at a file or a folder.

    Raises:
        StorageError: it is not there, is neither, or a folder in it cannot be read.
        MetainfoError: more files than a torrent may have.
    """
    typed = os.path.abspath(path)
    root = os.path.realpath(typed)
    try:
        mode = os.stat(root).st_mode
    except FileNotFoundError as error:  # misspelt, more often than removed just now
        what = f"cannot read '{display(typed)}': no such file or folder"
        raise StorageError(what, errno=errno.ENOENT, path=typed) from error
    except OSError as error:
        raise fault(error, typed, "read") from error
    files: list[tuple[tuple[bytes, ...], OriginFile]]
    warnings: list[str] = []
    if stat.S_ISREG(mode):
        files = [((), _file(root))]
    elif stat.S_ISDIR(mode):
        files, warnings = _Walk(root).run()
    else:
        raise fault(OSError(errno.ENXIO, "it is neither a file nor a folder"), typed, "read")
    origin = Origin(typed, tuple(file for _, file in files))
    return Listing(os.fsencode(os.path.basename(typed)), tuple(parts for parts, _ in files), origin, tuple(warnings))


class _Walk:
    def __init__(self, root: str) -> None:
        self._root = root
        self._files: list[tuple[tuple[bytes, ...], OriginFile]] = []
        self._left_out: list[str] = []
        self._count = 0

    def run(self) -> tuple[list[tuple[tuple[bytes, ...], OriginFile]], list[str]]:
        folders: list[tuple[tuple[bytes, ...], str]] = [((), self._root)]
        while folders:
            above, folder = folders.pop()
            for entry in _entries(folder):
                parts = (*above, os.fsencode(entry.name))
                with about(entry.path, "read"):
                    if entry.is_symlink():
                        self._link(parts, entry.path)
                    elif entry.is_dir():
                        folders.append((parts, entry.path))
                    elif entry.is_file():
                        self._add(parts, entry.path)
                    else:
                        self._leave_out(entry.path, "it is not a regular file")
        self._files.sort(key=lambda found: found[0])
        if self._count > len(self._left_out):
            self._left_out.append(f"and {self._count - len(self._left_out)} more were left out")
        return self._files, self._left_out

    def _link(self, parts: tuple[bytes, ...], path: str) -> None:
        target = os.path.realpath(path)
        try:
            mode = os.stat(target).st_mode
        except OSError:
            self._leave_out(path, "a link that leads nowhere")
            return
        if os.path.commonpath((target, self._root)) != self._root:
            self._leave_out(path, "a link that leads out of the folder")
        elif stat.S_ISREG(mode):
            self._add(parts, target)
        else:
            self._leave_out(path, "a link that does not lead to a file")

    def _add(self, parts: tuple[bytes, ...], path: str) -> None:
        if len(self._files) >= limits.MAX_FILES:
            raise MetainfoError(f"more than {limits.MAX_FILES} files")
        self._files.append((parts, _file(path)))

    def _leave_out(self, path: str, why: str) -> None:
        self._count += 1
        if self._count <= limits.MAX_CREATE_WARNINGS:
            self._left_out.append(f"left out '{display(os.path.relpath(path, self._root))}': {why}")


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with about(folder, "read"), os.scandir(folder) as entries:
        yield from entries


def _file(path: str) -> OriginFile:
    with about(path, "read"):
        size, mtime_ns, inode = platform.stamp(os.lstat(path))
    return OriginFile(path, size, mtime_ns, inode)
