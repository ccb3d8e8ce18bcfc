"""When a torrent has something to do: at every tick, at some time, or not before something happens.

Whatever happens to a torrent that sleeps has to wake it (``Life.wake``): a task of its own begins, its state changes,
peers, trackers or web seeds are named, somebody reads from it or follows its events.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .life import Life


def due(life: Life) -> float:
    """When ``Life.tick`` is to be called again, on Trio's clock: -inf for the next tick, inf for not by itself."""
    swarm, content = life.swarm, life.content
    if life.tasks or swarm.peers or life.streams or len(life.reading) or (content is not None and content.busy):
        return -math.inf
    if swarm.downloading and len(swarm.web):
        return -math.inf
    asking = life.discovery.next_due() if life.active else math.inf
    return min(asking, swarm.peerlist.next_due(), swarm.dialler.knock_at) if swarm.open else asking
