"""What a torrent need not hash: the journal's word, where the files still look as it says."""

from __future__ import annotations

from typing import NamedTuple

from ..metainfo.layout import Layout
from ..wire import bitfield
from .journal import Resume
from .runs import union
from .storage import Found, Stamp


class Sorted(NamedTuple):
    """Pieces that may be there, as sets.

    Attributes:
        trusted: right without hashing.
        doubtful: to be hashed.
    """

    trusted: int
    doubtful: int


def sort_pieces(layout: Layout, resume: Resume, found: Found, *, recheck: bool) -> Sorted:
    """Compare what the journal says with what lies there.

    Args:
        layout: of the torrent.
        resume: what the journal says.
        found: what lies there.
        recheck: trust nothing.
    """
    if recheck:
        return Sorted(0, found.maybe)
    changed = _changed_pieces(layout, resume, found)
    trusted = found.maybe & (found.vouched | resume.synced & ~changed)
    doubtful = found.maybe & ~trusted
    if resume.known and not resume.torn:
        doubtful &= changed | bitfield.of(resume.written)
    return Sorted(trusted, doubtful)


def _changed_pieces(layout: Layout, resume: Resume, found: Found) -> int:
    """Pieces of files that do not look as the journal says, or of which it says nothing."""
    aside = len(layout.file_lengths)
    changed: set[int] = set()
    for file, stamp in found.stamps.items():
        if not _looks_the_same(resume.stamps.get(file), stamp, whole=resume.clean or file in found.finished):
            changed.add(file)
    if aside in changed:
        changed.remove(aside)
        changed.update(file for file in range(aside) if file not in found.stamps)
    return union((layout.pieces_of_file(file) for file in sorted(changed)), layout.piece_count)


def _looks_the_same(then: Stamp | None, now: Stamp, *, whole: bool) -> bool:
    """An unfinished file goes on changing after its last stamp, so only its identity counts then."""
    if then is None:
        return False
    return then == now if whole else then.inode == now.inode
