"""What the library's states are in words, and what the letters of the peers' table stand for."""

from __future__ import annotations

from typing import Final

from rich.style import Style

from ..cli import units
from ..metainfo.text import display
from ..stats import PeerStats, SessionStats, SourceStats, TrackerStats, WebSeedStats
from .lines import BAD, BUSY, DIM, GOOD, WARN

FLAGS: Final = {
    "D": "we download from it",
    "d": "has what we need; makes us wait",
    "U": "it downloads from us",
    "u": "would like to; waits for a turn",
    "S": "snubbed: sent nothing for 60 s",
    "I": "incoming: it called us",
    "E": "encrypted",
    "P": "over UDP (uTP)",
}
"""The letters in the column "flags", those of other clients."""

SOURCES: Final = {
    "tracker": "a tracker named it",
    "pex": "another peer named it",
    "dht": "found in the DHT",
    "lsd": "found in this network",
    "link": "named in the magnet link",
    "you": "named by you (--peer)",
    "called": "it called us",
}
_SOURCES: Final = {"magnet": "link", "peer": "you", "incoming": "called"}


def flags(peer: PeerStats) -> str:
    """The letters of one peer."""
    letters = ""
    if peer.am_interested:
        letters += "d" if peer.peer_choking else "D"
    if peer.peer_interested:
        letters += "u" if peer.am_choking else "U"
    return letters + "S" * peer.snubbed + "I" * peer.incoming + "E" * peer.encrypted + "P" * peer.utp


def source(peer: PeerStats) -> str:
    """Where we have it from, in a short word."""
    return _SOURCES.get(peer.source, peer.source)


def web_seed(stats: WebSeedStats) -> tuple[str, str, Style]:
    """How it is with a web seed: a word, a sentence and the style of the word."""
    message = display(stats.message)
    if stats.state == "failed":
        return "failed", f"{message}, again in {span(max(1, stats.retry_in))}", BAD
    if stats.state == "dropped":
        return "dropped", message, BAD
    got = f"{units.size(stats.downloaded)} · {units.rate(stats.down_rate)}" if stats.downloaded else ""
    style = GOOD if stats.state in ("downloading", "idle") else BUSY if stats.state == "asking" else DIM
    return stats.state, " · ".join(filter(None, (got, message))), style


def tracker(stats: TrackerStats) -> tuple[str, str, Style]:
    """How it is with a tracker: a word, a sentence and the style of the word."""
    again = f"again in {span(max(1, stats.next_announce))}" if stats.next_announce >= 0 else ""
    message = display(stats.message)
    if stats.state == "ok":
        counts = []
        if stats.seeders >= 0:
            counts.append(units.plural(stats.seeders, "seed"))
        if stats.leechers >= 0:
            counts.append(f"{stats.leechers:,} downloading")
        counts = counts or [units.plural(stats.peers, "peer")]
        return "ok", "; ".join(filter(None, (", ".join(counts), again, message))), GOOD if not message else WARN
    if stats.state == "failed":
        often = f"{stats.failures} times" if stats.failures > 1 else ""
        return "failed", "; ".join(filter(None, (message, again, often))), BAD
    if stats.state == "announcing":
        return "asking", "…", BUSY
    return "not asked", "one of its group answers, or its turn comes", DIM


def source_of_peers(stats: SourceStats, session: SessionStats) -> tuple[str, str]:
    """What is no tracker and names peers: its name, and how it went."""
    name = {"dht": "DHT", "lsd": "local network", "pex": "peers of peers"}.get(stats.source, "others")
    if stats.state == "off":
        return name, f"not asked: {display(stats.message)}" if stats.message else "not asked"
    node, said = session.dht, []
    if stats.source == "dht":
        said.append(display(node.message))
        if node.read_only:
            said.append("nobody reaches us")
    if stats.source == "lsd" and session.lsd.state == "none":
        said.append(display(session.lsd.message))
    elif stats.state == "asking":
        said.append("asking…")
    elif stats.state == "ok":
        said.append(f"named {units.plural(stats.peers, 'peer')}")
        if stats.next_search >= 0:
            said.append(f"again in {span(max(1, stats.next_search))}")
    if stats.message and stats.message != node.message:
        said.append(display(stats.message))
    return name, " · ".join(filter(None, said))


def span(seconds: float) -> str:
    """``4s``, ``24m`` or ``2h05m``: no finer than it matters."""
    if seconds < 60:
        return f"{int(seconds)}s"
    return f"{int(seconds // 60)}m" if seconds < 3600 else units.duration(seconds)


def brief(rate: float) -> str:
    """``48.7M``: a rate for a column; nothing for nothing."""
    if rate < 1:
        return ""
    number, _, unit = units.size(rate).partition(" ")
    return f"{number}{unit[0]}"


def share(progress: float) -> str:
    """``41%``, and 100 % only when nothing is missing."""
    return f"{int(progress * 100)}%"
