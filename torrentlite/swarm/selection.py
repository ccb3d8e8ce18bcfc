"""Which files of a torrent are wanted, and what that means in pieces and bytes."""

from __future__ import annotations

from collections.abc import Iterable

from ..metainfo.metainfo import Info
from ..stats import FileStats
from ..wire import bitfield


def check_indexes(info: Info, chosen: Iterable[int] | None) -> None:
    """Look whether there are such files.

    Raises:
        ValueError: there is no such file.
    """
    for index in chosen or ():
        if not 0 <= index < len(info.files):
            raise ValueError(f"no file {index}: there are {len(info.files)}, the first is 0")


class Selection:
    """The wanted files. Pad files and symlinks are never among them, and never counted.

    Args:
        chosen: file indexes as in ``info.files``; None for all.
    """

    def __init__(self, info: Info, chosen: Iterable[int] | None = None) -> None:
        real = info.wanted_files
        wanted = dict.fromkeys(real) if chosen is None else {i: None for i in sorted(set(chosen)) if i in set(real)}
        self.info = info
        self.files = frozenset(wanted)
        self.everything = len(wanted) == len(real)
        self._plain = self.everything and len(real) == len(info.files)
        self.total = sum(info.files[index].length for index in wanted)
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
        layout, found = self.info.layout, []
        for index in self.info.wanted_files:
            entry = self.info.files[index]
            pieces = layout.pieces_of_file(index)
            here = have & bitfield.span(pieces)
            done = here.bit_count() * layout.piece_length
            if pieces:
                first, last = pieces[0], pieces[-1]
                if have >> first & 1:
                    done -= layout.file_offsets[index] - layout.offset(first)
                if have >> last & 1:
                    done -= layout.offset(last) + layout.piece_length - (layout.file_offsets[index] + entry.length)
            found.append(FileStats(path="/".join(entry.path), size=entry.length, done=done, wanted=index in self.files))
        return found
