"""Snapshots of every state that the dashboard shows."""

from __future__ import annotations

import math
import random
from typing import Any

from torrentlite.cli.progress import Glance, look
from torrentlite.stats import (
    DhtStats,
    FileStats,
    PeerStats,
    PieceStats,
    Reason,
    SessionStats,
    SourceStats,
    State,
    TorrentStats,
    TrackerStats,
    Why,
)  # fmt: skip
from torrentlite.tui.snapshot import Detail, Shown, Snapshot

STATS = TorrentStats(
    info_hash="aa" * 20, name="debian-13.1.0-amd64-DVD-1.iso", state=State.DOWNLOADING, error="", total=4812 << 20,
    done=1983 << 20, left=2829 << 20, pieces=4812, pieces_done=1983, downloaded=1990 << 20, uploaded=190 << 20,
    wasted=2 << 20, hash_failures=0, down_rate=48.7 * 2**20, up_rate=2.1 * 2**20, peers=14, seeds=5, half_open=3,
    known_peers=91, distributed_copies=5.2, checked=0, check_total=0, metadata_done=0, metadata_total=0, private=False,
    added_at=0.0,
)  # fmt: skip
PEER = PeerStats(
    host="203.0.113.7", port=51413, client="qBittorrent 5.1.2", incoming=False, source="tracker", progress=1.0,
    down_rate=6.2 * 2**20, up_rate=0.0, downloaded=9 << 20, uploaded=0, queue=48, queue_target=50, upload_queue=0,
    am_choking=True, am_interested=True, peer_choking=False, peer_interested=False, snubbed=False, connected_for=60.0,
)  # fmt: skip
TRACKER = TrackerStats(
    url="udp://tracker.example.org:6969/announce", tier=0, state="ok", message="", peers=38, seeders=12, leechers=26,
    next_announce=1440.0, failures=0,
)  # fmt: skip
SESSION = SessionStats(
    port=51001, torrents=1, peers=14, half_open=3, pending_handshakes=0, down_rate=48.7 * 2**20, up_rate=2.1 * 2**20,
    downloaded=1990 << 20, uploaded=190 << 20, piece_memory=0, internal_errors=0, dht=DhtStats("joined", "123 IPv4 nodes", 123),
)  # fmt: skip
FINE = Why(Reason.FINE, "downloading from 9 peers")
CLIENTS = (
    "qBittorrent 5.1.2",
    "Transmission 4.0.6",
    "libtorrent 2.0.11",
    "torrentlite 0.1.0",
    "aria2 1.36.0",
    "µTorrent 3.6.0",
)
LOG = (
    "03:12:40 listening on port 51001",
    "03:12:41 tracker udp://tracker.example.org:6969/announce: 38 peers",
    "03:12:44 piece 118 was wrong; sent by 198.51.100.23",
    "03:13:02 198.51.100.23 banned: sent wrong data",
)


def bits(count: int, having: Any) -> int:
    return sum(1 << piece for piece in range(count) if having(piece))


def pieces(count: int = 4812, done: float = 0.41, copies: int = 5) -> PieceStats:
    dice = random.Random(3)
    have = bits(count, lambda piece: piece < done * count * 0.8 or dice.random() < 0.15 * (done > 0))
    flying = bits(count, lambda piece: 0.40 * count <= piece < 0.40 * count + 17) & ~have if done else 0
    partial = bits(count, lambda piece: 0.45 * count <= piece < 0.45 * count + 30) & ~have & ~flying if done else 0
    counts = tuple(
        max(0, copies + round(2 * math.sin(piece / count * 9) + dice.random())) if copies else 0
        for piece in range(count)
    )
    return PieceStats(count, have, flying, partial, (1 << count) - 1, counts)


def peers(count: int = 14) -> tuple[PeerStats, ...]:
    dice = random.Random(5)
    found = []
    for number in range(count):
        v6 = number % 5 == 3
        found.append(
            PEER._replace(
                host=f"2001:db8:85a3::{number:x}:7334" if v6 else f"203.0.113.{number + 7}",
                port=dice.randrange(1024, 65536),
                client=CLIENTS[number % len(CLIENTS)],
                source=("tracker", "pex", "dht", "incoming", "peer", "lsd")[number % 6],
                incoming=number % 6 == 3,
                progress=1.0 if number % 3 == 0 else dice.random(),
                down_rate=dice.random() ** 3 * 12 * 2**20 if number < count * 2 // 3 else 0.0,
                up_rate=dice.random() * 2**18 if number % 3 else 0.0,
                queue=dice.randrange(2, 60) if number < count * 2 // 3 else 0,
                peer_choking=number >= count * 2 // 3,
                peer_interested=number % 3 != 0,
                am_choking=number % 2 == 0,
                snubbed=number == 2,
            )
        )
    return tuple(found)


RATES = tuple((40 + 12 * math.sin(n / 7) + 4 * math.sin(n)) * 2**20 for n in range(120))


def shown(why: Why = FINE, *, sharing: bool = False, elapsed: float = 95.0, **changes: Any) -> Shown:
    stats = STATS._replace(**changes)
    moving = stats.down_rate > 0
    return Shown(
        look(stats, why, sharing=sharing), stats, RATES if moving else (0.0,) * 60,
        tuple(rate / 20 for rate in RATES) if stats.up_rate else (0.0,) * 60, elapsed,
    )  # fmt: skip


def snapshot(job: Shown | None = None, *others: Shown, **detail: Any) -> Snapshot:
    parts = {
        "peers": peers(),
        "pieces": pieces(),
        "trackers": (TRACKER,),
        "sources": (SourceStats("dht", "ok", "", 12, 240.0),),
        "files": (FileStats(STATS.name, STATS.total, STATS.done, True),),
    }
    return Snapshot((job or shown(), *others), Detail(**(parts | detail)), SESSION, LOG, "tl fetch")


def hashing() -> Shown:
    glance = Glance(
        name="holiday", stage="hashing", done=3 << 30, total=10 << 30, down_rate=210 * 2**20, eta=34.0, moved=3 << 30
    )
    return Shown(glance, None, RATES[:20], (), 12.0)
