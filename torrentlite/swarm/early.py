"""What a peer says it has before we know what there is to have: a magnet's peers come before its metadata."""

from __future__ import annotations

from array import array

from ..limits import MAX_EARLY_HAVES
from ..wire import messages as wm


class Early:
    """Kept as said, and said again once the number of pieces is known."""

    def __init__(self) -> None:
        self._first: wm.Bitfield | wm.HaveAll | wm.HaveNone | None = None
        self._haves = array("I")  # 4 bytes each, not 36: strangers say how many there are

    def keep(self, message: wm.Bitfield | wm.HaveAll | wm.HaveNone | wm.Have) -> None:
        """For later; bounded, whatever comes."""
        if not isinstance(message, wm.Have):
            self._first = message
        elif len(self._haves) < MAX_EARLY_HAVES:
            self._haves.append(message.piece)

    def take(self) -> list[wm.Bitfield | wm.HaveAll | wm.HaveNone | wm.Have]:
        """All that was kept, and forget it."""
        said = [*([self._first] if self._first is not None else []), *map(wm.Have, self._haves)]
        self._first, self._haves = None, array("I")
        return said

    @property
    def size(self) -> int:
        """Bytes of a bitfield that is kept."""
        return len(self._first.data) if isinstance(self._first, wm.Bitfield) else 0
