"""What ``torrent.events()`` yields: small typed values.

A slow reader never holds the torrent up: the queue is bounded and drops its oldest ``Progress`` or ``PieceVerified``
first. A peer is named by what it is blamed by: its IP address where that is public, else host and port.
"""

# Its annotations are not put off: NamedTuple compiles each one that is, which takes 0.4 ms of every start.

import pathlib
from typing import NamedTuple

from .stats import State, Why


class StateChanged(NamedTuple):
    """The torrent went from one state to another; ``message`` says why where there is a reason."""

    before: State
    after: State
    message: str = ""


class MetadataReceived(NamedTuple):
    """A magnet's info dictionary is here and verified."""

    name: str
    total: int
    files: int


class Progress(NamedTuple):
    """Once a second: verified and wanted bytes, and bytes per second. A newer one replaces one that was not read."""

    done: int
    total: int
    down_rate: float
    up_rate: float
    peers: int
    why: Why


class PieceVerified(NamedTuple):
    """A piece is right, and written."""

    piece: int


class PieceFailed(NamedTuple):
    """A piece was wrong; ``peers`` are those that contributed to it."""

    piece: int
    peers: tuple[str, ...]


class PeerBanned(NamedTuple):
    """A peer was found to send wrong data."""

    peer: str
    reason: str


class TrackerReplied(NamedTuple):
    """A tracker answered, naming so many peers; ``message`` is its warning. Or it failed to; ``message`` says why.

    ``url`` has no passkey in it.
    """

    url: str
    ok: bool
    message: str
    peers: int


class PeersFound(NamedTuple):
    """The DHT (source ``dht``) was asked, and named so many peers; ``lsd`` and ``pex`` have named so many new ones."""

    source: str
    peers: int


class WebSeedFailed(NamedTuple):
    """A web seed did not give what it was asked for. ``dropped``: it is not asked again. ``url`` has no key in it."""

    url: str
    message: str
    dropped: bool


class Completed(NamedTuple):
    """Everything wanted is verified and under its final name. ``paths``: as ``Torrent.paths`` gives them."""

    paths: tuple[pathlib.Path, ...]


Event = (
    StateChanged
    | MetadataReceived
    | Progress
    | PieceVerified
    | PieceFailed
    | PeerBanned
    | TrackerReplied
    | PeersFound
    | WebSeedFailed
    | Completed
)
