"""What tit for tat is measured against."""

import random
from collections.abc import Sequence
from typing import Generic

from torrentlite.strategy.choker import C


class UnchokeAll(Generic[C]):
    """Everybody who is interested, always."""

    def round(
        self,
        peers: Sequence[C],
        now: float,
        rng: random.Random,
        *,
        seeding: bool,
        slots: int,
        spare_upload: bool,
    ) -> list[C]:
        """See ``Choker.round``."""
        return [peer for peer in peers if peer.peer_interested]

    def left(self, peer: C) -> None:
        """See ``Choker.left``."""
