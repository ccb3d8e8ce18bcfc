"""How many peers to unchoke: as many as the user says, and more where more of them really take more from us."""

from __future__ import annotations

from typing import Final

STEP: Final = 4
"""A trial adds one seat for each so many: from 8 to 100 within two minutes where every seat is worth it."""

REST: Final = 6
"""Rounds (a minute) after a trial that brought nothing."""


class Seats:
    """The number of peers to unchoke, adjusted once a round by trial.

    That our upload is below the user's limit does not mean that there is any to spare: with no limit at all it always
    is, while the line has long been full, and then each further seat takes from those who have one. Nobody tells us
    how fast the line is. So we add seats for one round and compare: if all of us together did not get noticeably
    faster, they go again.
    """

    __slots__ = ("_before", "_rest", "_trial", "extra")

    def __init__(self) -> None:
        self.extra = 0
        self._trial = 0
        self._before = 0
        self._rest = 0

    def adjust(self, slots: int, sent: int, *, spare_upload: bool, crowded: bool) -> None:
        """Decide on the seats of the next round.

        Args:
            slots: the seats that there are in any case.
            sent: bytes uploaded in the round that has just ended.
            spare_upload: whether the upload is below its limit.
            crowded: whether more peers are interested than there were seats.
        """
        if not spare_upload or not crowded:
            self.extra = self.extra * 3 // 4
            self._trial = 0
            return
        if self._trial:
            before = slots + self.extra - self._trial
            # Half of what the new seats would bring if they were as good as the old ones. A failure costs one seat
            # more than was tried, so that what chance once granted is lost again.
            if sent <= self._before * (1 + self._trial / (2 * before)):
                self.extra = max(0, self.extra - self._trial - 1)
                self._rest = REST
            self._trial = 0
        if self._rest:
            self._rest -= 1
            return
        self._trial = max(1, (slots + self.extra) // STEP)
        self._before = sent
        self.extra += self._trial
