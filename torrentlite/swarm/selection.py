"""Which files of a torrent are wanted, and what that means in pieces and bytes."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import NamedTuple, SupportsIndex

from ..errors import NoSuchFileError
from ..limits import MOST_PRIORITY
from ..metainfo.metainfo import Info
from ..metainfo.text import display
from ..stats import FileStats
from ..storage.runs import bytes_of_files
from ..wire import bitfield


def files_of(what: str, files: Iterable[str | int] | None) -> tuple[str | int, ...] | None:
    """Several files, each named by its path in the torrent or by index; None for all.

    Raises:
        TypeError: it is one text, which would be taken for its letters, or one of them is neither path nor index.
    """
    if files is None:
        return None
    if isinstance(files, str | bytes):
        raise TypeError(f"{what}: several files are expected, and this is one text")
    return tuple(file if isinstance(file, str) else _index_of(what, file) for file in files)


def _index_of(what: str, file: SupportsIndex) -> int:
    try:
        return operator.index(file)
    except TypeError:
        raise TypeError(
            f"{what}: paths in the torrent (texts) or indexes are expected, and this is a {type(file).__name__}"
        ) from None


class Choice(NamedTuple):
    """Which files are wanted, chosen maybe before anybody knew which there are.

    Attributes:
        files: path or index of each; None for all.
        by_hand: a person chose, and is told of each that is not there. Else a link did, and it may name more than there
            are (``so=5-999``: from 5 on); but where none of them is there it means another torrent than this one.
    """

    files: tuple[str | int, ...] | None
    by_hand: bool = True

    def of(self, info: Info) -> tuple[int, ...] | None:
        """Their indexes; None for all.

        Raises:
            NoSuchFileError: there is no such file.
        """
        if self.files is None:
            return None
        paths = _paths(info) if any(isinstance(file, str) for file in self.files) else {}
        indexes = [_find(info, paths, file) if isinstance(file, str) else file for file in self.files]
        there = tuple(index for index in indexes if 0 <= index < len(info.files))
        if self.by_hand and len(there) < len(indexes):
            raise _no_file(info, next(index for index in indexes if not 0 <= index < len(info.files)))
        if self.files and not there:
            raise NoSuchFileError(f"{info.name} has none of the files that its link names", hint=_names(info))
        return there

    def real(self, info: Info) -> list[int]:
        """Those of them that are real files, in order; NoSuchFileError as ``of``."""
        chosen = self.of(info)
        return sorted(set(info.wanted_files).intersection(info.wanted_files if chosen is None else chosen))


def find_file(info: Info, what: str | int | None) -> int:
    """The index of a file, named by its path in the torrent (with or without the torrent's name), by index, or not.

    Raises:
        NoSuchFileError: there is no such file, or it was not named and there are several.
    """
    real = info.wanted_files
    if what is None:
        if len(real) != 1:
            raise NoSuchFileError(f"{info.name} has {len(real)} files: say which", hint=_names(info))
        return real[0]
    if isinstance(what, int):
        if what not in real:
            raise _no_file(info, what)
        return what
    return _find(info, _paths(info), what)


def _paths(info: Info) -> dict[str, int]:
    return {"/".join(info.files[index].path): index for index in reversed(info.wanted_files)}


def _find(info: Info, paths: dict[str, int], path: str) -> int:
    index = paths.get(path, paths.get(f"{info.name}/{path}"))
    if index is None:
        raise NoSuchFileError(f"{info.name} has no file {display(path)!r}", hint=_names(info))
    return index


def _no_file(info: Info, index: int) -> NoSuchFileError:
    count = len(info.files)
    why = "" if 0 <= index < count else f": there are {count}, the first is 0"
    return NoSuchFileError(f"{info.name} has no file {index}{why}", hint=_names(info))


def _names(info: Info) -> str:
    names = ["/".join(info.files[index].path) for index in info.wanted_files[:4]]
    return "there are " + ", ".join(map(display, names[:3])) + (" …" if len(names) > 3 else "")


def check_priority(priority: int, start: int, stop: int | None) -> None:
    """Look whether this is a priority, and a part of a file.

    Raises:
        ValueError: it is not.
    """
    if not -MOST_PRIORITY <= priority <= MOST_PRIORITY:
        raise ValueError(f"a priority is between -{MOST_PRIORITY} and {MOST_PRIORITY}, not {priority}")
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"no part of a file: {start} to {stop}")


def pieces_of(info: Info, what: str | int | range, start: int, stop: int | None) -> range:
    """The pieces of a file's part, or these pieces.

    Raises:
        NoSuchFileError: there is no such file.
        ValueError: there are no such pieces.
    """
    layout = info.layout
    if isinstance(what, range):
        if what and not (what.step == 1 and 0 <= what.start <= what.stop <= layout.piece_count):
            raise ValueError(f"{what} is no range of pieces: there are {layout.piece_count}")
        return what
    file = find_file(info, what)
    size = layout.file_lengths[file]
    start, stop = min(start, size), size if stop is None else min(stop, size)
    return layout.pieces_of_bytes(layout.file_offsets[file] + start, stop - start)


class Selection:
    """The wanted files. Pad files and symlinks are never among them, and never counted.

    Args:
        chosen: file indexes as in ``info.files``, all of which there are; None for all.
    """

    def __init__(self, info: Info, chosen: Iterable[int] | None = None) -> None:
        real = frozenset(info.wanted_files)
        chosen = real if chosen is None else frozenset(chosen)
        assert chosen <= frozenset(range(len(info.files)))
        self.info = info
        self.files = chosen & real
        self.total = sum(info.files[index].length for index in self.files)
        self._plain = self.total == info.layout.stored  # all that lies in pieces: no file has to be looked at
        self.pieces = self._pieces()

    def _pieces(self) -> int:
        layout = self.info.layout
        if self._plain:
            return bitfield.full(layout.piece_count)
        pieces = 0
        for index in self.files:
            pieces |= bitfield.span(layout.pieces_of_file(index))
        return pieces

    def bytes_of(self, piece: int) -> int:
        """Wanted bytes in one piece."""
        layout = self.info.layout
        if self._plain:
            return layout.piece_size(piece)
        spans = layout.spans(layout.offset(piece), layout.piece_size(piece))
        return sum(span.length for span in spans if span.file in self.files)

    def left(self, have: int) -> int:
        """Wanted bytes that are not in these pieces."""
        missing = self.pieces & ~have
        if self._plain:
            return self.info.layout.bytes_of_pieces(missing)
        return sum(map(self.bytes_of, bitfield.members(missing)))

    def file_stats(self, have: int) -> list[FileStats]:
        """How far each file is; only real files."""
        files, real = self.info.files, self.info.wanted_files
        return [
            FileStats("/".join(files[index].path), files[index].length, done, wanted=index in self.files)
            for index, done in zip(real, bytes_of_files(real, have, self.info.layout), strict=True)
        ]
