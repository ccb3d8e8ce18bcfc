"""What a program hands over, looked at where it enters: whoever takes the wrong thing is told what the right one is.

Type checkers find these slips; who writes without one would else meet an error from deep inside.
"""

from __future__ import annotations

import errno
import os
import pathlib
import stat
from collections.abc import Awaitable, Iterable
from os import PathLike
from typing import Final

from .errors import MagnetError, StorageError
from .metainfo.link import is_magnet
from .metainfo.magnet import Magnet
from .metainfo.metainfo import Metainfo
from .metainfo.text import display
from .storage.platform import may_use

_THROUGH_LOAD: Final = "a path or URL goes through load first"


def torrent_of(
    source: Metainfo | Magnet | str | bytes, texts: str = "a link or info-hash as text"
) -> Metainfo | Magnet:
    """What a session can add.

    Args:
        texts: what texts are expected, in the error.

    Raises:
        MagnetError, MetainfoError: the text or bytes are no torrent; the hashes of its pieces are not here.
        TypeError: it is something else, such as a path.
    """
    if isinstance(source, Magnet):
        return source
    if isinstance(source, Metainfo):
        source.info.require_layers()
        return source
    if isinstance(source, bytes):
        return Metainfo.from_bytes(source)
    if isinstance(source, str):
        try:
            return Magnet.parse(source)
        except MagnetError as error:
            if not is_magnet(source):
                error.hint = f"{error.hint}; {_THROUGH_LOAD}" if error.hint else _THROUGH_LOAD
            raise
    raise _not("source", f"a Metainfo, a Magnet, bytes, or {texts}", source)


def metainfo_of(metainfo: Metainfo) -> Metainfo:
    """What data can be compared with.

    Raises:
        MetainfoError: the hashes of its pieces are not here.
        TypeError: it is something else, such as a path or a Magnet.
    """
    if isinstance(metainfo, Magnet):
        raise TypeError("metainfo: a Magnet has no hashes of pieces; a Metainfo is expected, as wait_metadata gives it")
    if not isinstance(metainfo, Metainfo):
        raise _not("metainfo", "a Metainfo", metainfo)
    metainfo.info.require_layers()
    return metainfo


def urls_of(what: str, urls: Iterable[str]) -> tuple[str, ...]:
    """Several URLs.

    Raises:
        TypeError: it is a text, which would be taken for its letters.
    """
    if isinstance(urls, str | bytes):
        raise TypeError(f"{what}: several URLs are expected, and this is one text")
    return tuple(urls)


def places_of(what: str, paths: Iterable[str | PathLike[str]]) -> tuple[str, ...]:
    """Several files or folders of this machine, which can be read; as they are now, wherever the program goes later.

    Raises:
        TypeError: it is one path.
        StorageError: there is nothing, or nothing that may be read.
    """
    if isinstance(paths, str | bytes | PathLike):
        raise TypeError(f"{what}: several paths are expected, and this is one")
    found = tuple(os.path.abspath(path) for path in paths)
    for path in found:
        try:
            mode = os.stat(path).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise OSError(errno.ENXIO, "it is neither a file nor a folder")
            how = os.R_OK | os.X_OK if stat.S_ISDIR(mode) else os.R_OK
            if not may_use(path, how):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            number = error.errno or 0
            why = "no such file or folder" if number == errno.ENOENT else (error.strerror or str(error)).lower()
            raise StorageError(f"cannot {what} '{display(path)}': {why}", errno=number, path=path) from error
    return found


def folder_of(what: str, path: str | PathLike[str]) -> pathlib.Path:
    """A folder of this machine.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(path, str | PathLike):
        raise _not(what, "a folder, as text or a path,", path)
    return pathlib.Path(path)


def peers_of(peers: Iterable[tuple[str, int]], what: str = "peers") -> tuple[tuple[str, int], ...]:
    """Several peers, or nodes of the DHT.

    Raises:
        TypeError: one of them is no pair of a host and the number of a port.
    """
    found = tuple(peers)
    for peer in found:
        match peer:
            case (str(), int()):
                pass
            case _:
                raise TypeError(f"{what}: (host, port) is expected, such as ('192.0.2.1', 6881), and this is {peer!r}")
    return found


def _not(what: str, expected: str, given: object) -> TypeError:
    if isinstance(given, Awaitable):
        return TypeError(f"{what}: {expected} is expected, and this is not awaited yet: write await before it")
    hint = f"; {_THROUGH_LOAD}" if isinstance(given, str | PathLike) else ""
    return TypeError(f"{what}: {expected} is expected, and this is a {type(given).__name__}{hint}")
