"""What a peer says it has before we know what there is to have: a magnet's peers come before its metadata."""

from __future__ import annotations

from ..limits import MAX_EARLY_HAVES
from ..wire import messages as wm


class Early:
    """Kept as said, and said again once the number of pieces is known."""

    def __init__(self) -> None:
        self._first: wm.Bitfield | wm.HaveAll | wm.HaveNone | None = None
        self._haves: list[int] = []

    def keep(self, message: wm.Bitfield | wm.HaveAll | wm.HaveNone | wm.Have) -> None:
        """For later; bounded, whatever comes."""
        if not isinstance(message, wm.Have):
            self._first = message
        elif len(self._haves) < MAX_EARLY_HAVES:
            self._haves.append(message.piece)

    def take(self) -> list[wm.Bitfield | wm.HaveAll | wm.HaveNone | wm.Have]:
        """All that was kept, and forget it."""
        said = [*([self._first] if self._first is not None else []), *map(wm.Have, self._haves)]
        self._first, self._haves = None, []
        return said
