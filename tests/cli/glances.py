"""Stats for the tests of what is shown."""

from __future__ import annotations

from typing import Any

from torrentlite.stats import Reason, State, TorrentStats, Why

NOTHING = TorrentStats(
    info_hash="aa" * 20,
    name="debian.iso",
    state=State.DOWNLOADING,
    error="",
    total=0,
    done=0,
    left=0,
    pieces=0,
    pieces_done=0,
    downloaded=0,
    uploaded=0,
    wasted=0,
    hash_failures=0,
    down_rate=0.0,
    up_rate=0.0,
    peers=0,
    seeds=0,
    half_open=0,
    known_peers=0,
    distributed_copies=0.0,
    checked=0,
    check_total=0,
    metadata_done=0,
    metadata_total=0,
    private=False,
    added_at=0.0,
)
FINE = Why(Reason.FINE, "")
CHOKED = Why(Reason.CHOKED, "all 3 peers choke us")


def stats(**changes: Any) -> TorrentStats:
    """A download, a bit of the way."""
    base = NOTHING._replace(
        total=4 << 30,
        done=1690 << 20,
        left=2406 << 20,
        downloaded=1700 << 20,
        peers=38,
        down_rate=20.5 * 2**20,
    )
    return base._replace(**changes)
