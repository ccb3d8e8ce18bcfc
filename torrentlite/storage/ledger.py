"""What is known of a torrent's pieces and files on the disk. No I/O and no waiting: the books, and nothing else.

A piece is in one of these states, or in none: *unsynced*, hashed and written; *synced*, known to outlive a power cut,
and only that is claimed by the journal; *unsure*, written when the operating system failed to put the file on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..metainfo.info import Info
from ..wire import bitfield
from .runs import complete_files, runs, union
from .storage import NO_STAMP, Stamp


class Batch(NamedTuple):
    """What one commit makes last.

    Attributes:
        pieces: that are unsynced (bit ``i`` is piece ``i``).
        flush: files to be flushed, besides those that were written to.
        whole: of these the files that lie in verified pieces only, and get their final names.
    """

    pieces: int
    flush: frozenset[int]
    whole: list[int]


class Ledger:
    """The books of one torrent, from one look at its files to the next.

    Args:
        info: whose they are.
        synced, unsynced: the pieces (bit ``i`` is piece ``i``) that are right without hashing, and by it.
        stamps: of the files that exist.

    Attributes:
        synced, unsynced, unsure: the pieces in these states.
        stamps: how the files looked when what they hold was known.
        news: those of the stamps that the journal does not have yet.
        changed: finished files that somebody wrote to since they were looked at.
    """

    def __init__(
        self, info: Info, synced: int = 0, unsynced: int = 0, stamps: Mapping[int, Stamp] | None = None
    ) -> None:
        self._layout = info.layout
        self._solid = frozenset(file for file in info.wanted_files if info.layout.file_lengths[file])
        self.synced = synced
        self.unsynced = unsynced
        self.unsure = 0
        self.stamps: dict[int, Stamp] = dict(stamps or {})
        self.news: dict[int, Stamp] = {}
        self.changed: set[int] = set()
        self._finished: set[int] = set()  # have their final names
        self._touched = set(info.wanted_files)  # may be complete now
        self._in_hand = 0  # pieces of the commit under way that are still what they were
        self._found: set[int] = set()  # hold pieces that were found, not written: nobody else would flush them

    @property
    def here(self) -> int:
        """The pieces that are right."""
        return self.synced | self.unsynced

    @property
    def dirty(self) -> int:
        """Bytes that a power cut would take."""
        return self._layout.bytes_of_pieces(self.unsynced)

    def whole(self, files: Iterable[int], have: int) -> list[int]:
        """Which of these files lie in these pieces, or have no bytes."""
        return complete_files(files, have, self._layout)

    # -- pieces ------------------------------------------------------------------------------------------------------

    def got_right(self, pieces: Iterable[int]) -> None:
        """These were hashed, and written."""
        bits = bitfield.of(pieces)
        self.discard(bits)
        self.unsynced |= bits
        self.unsure &= ~bits

    def discard(self, pieces: int) -> None:
        """These are not here any more."""
        self.synced &= ~pieces
        self.unsynced &= ~pieces
        self._in_hand &= ~pieces

    def lose(self, files: Iterable[int]) -> None:
        """What was written to these files since they were flushed is not claimed any more."""
        lost = self.unsynced & union(map(self._layout.pieces_of_file, files), self._layout.piece_count)
        self.unsynced &= ~lost
        self.unsure |= lost

    # -- files -------------------------------------------------------------------------------------------------------

    def found_finished(self, files: Iterable[int]) -> None:
        """Of these, which have their final names, those that are whole need nothing any more."""
        self._finished.update(self.whole(files, self.here))

    def flush_found(self) -> None:
        """What was found by hashing is to be flushed with the next commit, which claims it."""
        self._found = self._files_of(self.unsynced)

    def touch(self, files: Iterable[int]) -> None:
        """These may be complete now."""
        self._touched.update(files)

    def displaced(self, file: int) -> None:
        """Its bytes are elsewhere now, and what stands under its name is not ours."""
        self._finished.discard(file)
        self.forget(file)

    def forget(self, file: int) -> None:
        """A file whose bytes are elsewhere now does not stand for its pieces, though it looks as before."""
        self.stamps[file] = self.news[file] = NO_STAMP

    # -- a commit, step by step --------------------------------------------------------------------------------------

    def batch(self, have: int) -> Batch:
        """What is to be made last, when these pieces count as verified."""
        self._in_hand = pieces = have & self.unsynced
        self._touched |= self._files_of(pieces)
        whole = self.whole(sorted(self._touched - self._finished), have & self.here)
        return Batch(pieces, frozenset(self._found.union(whole)), whole)

    def flushed(self, stamps: Mapping[int, Stamp], final: Callable[[int], bool]) -> None:
        """These files are flushed, and look like this; some have their final names already."""
        # What was hashed has the stamp from before: a later one would vouch for what another program wrote meanwhile.
        changed = {file for file, stamp in stamps.items() if final(file) and self.stamps.get(file) != stamp}
        news = {file: stamp for file, stamp in stamps.items() if file not in changed}
        self.changed |= changed
        self.stamps.update(news)
        self.news.update(news)

    def synced_now(self) -> None:
        """The journal has it too. What was written or discarded meanwhile is not what was flushed."""
        self.unsynced &= ~self._in_hand
        self.synced |= self._in_hand
        self._in_hand = 0
        self._found.clear()

    def named(self, files: Iterable[int]) -> None:
        """These have their final names."""
        self._finished.update(files)
        self._touched -= self._finished

    def _files_of(self, pieces: int) -> set[int]:
        """The real files that these pieces have bytes of."""
        return {file for run in runs(pieces) for file in self._layout.files_of_run(run)} & self._solid
