"""Frozen snapshots: what a look at the session returns.

``TorrentStats`` and ``SessionStats`` are scalar and cheap; peers, files, pieces and trackers are asked for apart.
Rates are bytes per second, sizes are bytes, times are seconds.

Named tuples, as the events are: ``_asdict()`` makes a dictionary of one.
"""

# Its annotations are not put off: NamedTuple compiles each one that is, which takes 1 ms of every start.

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class State(enum.Enum):
    """What a torrent is doing; the values are the words that people see."""

    PAUSED = "paused"
    METADATA = "metadata"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    ERROR = "error"
    CLOSED = "closed"


class Reason(enum.Enum):
    """Why a torrent stands still, or that it does not."""

    FINE = "fine"
    PAUSED = "paused"
    CHECKING = "checking"
    COMPLETE = "complete"
    DISK = "disk"
    ERROR = "error"
    INTERFACE = "interface down"
    PROXY = "proxy fails"
    NO_SOURCES = "no sources"
    NO_DHT = "no dht"
    TRACKERS_FAIL = "trackers fail"
    WEB_SEEDS_FAIL = "web seeds fail"
    NO_PEERS = "no peers"
    UNREACHABLE = "unreachable peers"
    NO_METADATA = "no metadata"
    MISSING_PIECES = "missing pieces"
    CHOKED = "choked"
    LIMITED = "limited"
    SLOW = "slow peers"


class Why(NamedTuple):
    """One verdict on a torrent: the reason, a sentence for people, and its evidence as (name, value)."""

    reason: Reason
    message: str
    evidence: tuple[tuple[str, str | int | float], ...] = ()


class TorrentStats(NamedTuple):
    """One torrent at one moment. ``total``, ``done`` and ``left`` count wanted bytes only (pad files never).

    ``downloaded`` and ``uploaded`` count the bytes of blocks since it was added; ``wasted`` those that were of no use,
    ``hash_failures`` pieces that were wrong. ``seeds`` are those of ``peers`` that have everything.
    """

    info_hash: str
    name: str
    state: State
    error: str
    total: int
    done: int
    left: int
    pieces: int
    pieces_done: int
    downloaded: int
    uploaded: int
    wasted: int
    hash_failures: int
    down_rate: float
    up_rate: float
    peers: int
    seeds: int
    half_open: int
    known_peers: int
    distributed_copies: float
    checked: int
    """Bytes looked at by the check under way (of ``check_total``); what is copied from elsewhere counts twice, and
    a name that is looked at there as 1 KiB."""
    check_total: int
    metadata_done: int
    metadata_total: int
    private: bool
    added_at: float
    """Seconds on the session's clock."""
    web_seeds: int = 0
    """Web seeds that are being fetched from."""
    sources: Mapping[str, int] = MappingProxyType({})
    """Addresses of peers by who named them first: tracker, dht, lsd, pex, magnet, peer (by hand), incoming."""
    upload_limit: int = 0
    """This torrent's own (``Torrent.set_limits``); 0: none. The session's holds besides."""
    download_limit: int = 0
    reused: int = 0
    """Bytes that were right in what was copied from elsewhere (``reuse``), since it was added."""
    copies: int = 0
    """Peers that were seen with everything since all that is wanted is here, each once; see ``Torrent.wait_copies``."""

    @property
    def progress(self) -> float:
        """Share of the wanted bytes that is verified, 0.0 to 1.0 (1.0 when nothing is wanted)."""
        return self.done / self.total if self.total else (0.0 if self.state is State.METADATA else 1.0)

    @property
    def complete(self) -> bool:
        """Whether everything wanted is verified and under its final name."""
        return self.state is State.SEEDING

    @property
    def eta(self) -> float | None:
        """Seconds to completion at today's rate, or None."""
        return self.left / self.down_rate if self.left and self.down_rate > 1 else None

    @property
    def ratio(self) -> float:
        """Uploaded over the size of what is wanted."""
        return self.uploaded / self.total if self.total else 0.0


class PeerStats(NamedTuple):
    """One connected peer."""

    host: str
    port: int
    client: str
    incoming: bool
    source: str
    """tracker, peer (given by hand), magnet, incoming, dht, pex or lsd."""
    progress: float
    down_rate: float
    up_rate: float
    downloaded: int
    uploaded: int
    queue: int
    """Our requests that it has not answered."""
    queue_target: int
    upload_queue: int
    """Its requests that we have not answered."""
    am_choking: bool
    am_interested: bool
    peer_choking: bool
    peer_interested: bool
    snubbed: bool
    connected_for: float
    encrypted: bool = False
    """Whether what is sent both ways is (``Settings.encryption``)."""
    utp: bool = False
    """Whether it is connected over UDP (``Settings.utp``)."""


class FileStats(NamedTuple):
    """One file of a torrent (pad files are not listed)."""

    path: str
    """Relative to the save folder, "/" between components."""
    size: int
    done: int
    wanted: bool


class PieceStats(NamedTuple):
    """All pieces at once. Sets of pieces are ints in which bit ``i`` is piece ``i``.

    Attributes:
        count: pieces of the torrent; 0 before the metadata.
        have: those that are verified.
        in_flight: those of which some blocks are asked for now.
        partial: those of which some blocks are here, but not all.
        wanted: those to be fetched, had or not.
        availability: connected peers that have each piece; empty while the files are closed or being checked.
    """

    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
    have: int
    in_flight: int
    partial: int
    wanted: int
    availability: tuple[int, ...]


class TrackerStats(NamedTuple):
    """One tracker; ``url`` is fit to be shown (passkeys are taken out)."""

    url: str
    tier: int
    state: str
    """waiting, announcing, ok or failed."""
    message: str
    """The tracker's warning or the reason of its failure."""
    peers: int
    seeders: int
    """-1: it did not say."""
    leechers: int
    """-1: it did not say."""
    next_announce: float
    """Seconds from now; -1 before the first announce and during one."""
    failures: int
    """In a row."""


class SourceStats(NamedTuple):
    """What a torrent's peers come from besides trackers, and how that went last time."""

    source: str
    """dht, lsd or pex."""
    state: str
    """waiting, asking, ok or off."""
    message: str
    peers: int
    """Those that were named when it was last asked; lsd and pex, which nobody asks: all so far."""
    next_search: float
    """Seconds from now; -1 where that is not known."""


class LsdStats(NamedTuple):
    """Local discovery of the session."""

    state: str = "off"
    """off, listening or none (the network has no multicast)."""
    message: str = ""
    """The same in words for people."""
    sent: int = 0
    """Announces sent."""
    heard: int = 0
    """Announces of others."""


class DhtStats(NamedTuple):
    """The session's DHT node."""

    state: str = "off"
    """off, joining or joined."""
    message: str = ""
    """The same in words for people."""
    nodes: int = 0
    """Nodes in its IPv4 table."""
    nodes6: int = 0
    """Nodes in its IPv6 table."""
    external_hosts: tuple[str, ...] = ()
    """Our IP addresses, one of each family at most, as several nodes see them."""
    searches: int = 0
    """Torrents that are asking now."""
    stored: int = 0
    """Info-hashes of others that are stored with us."""
    read_only: bool = False
    """Nobody seems to be able to reach us, so it answers nobody (BEP 43)."""


class WebSeedStats(NamedTuple):
    """One web seed (BEP 19); ``url`` is fit to be shown (what may be a key is cut)."""

    url: str
    state: str
    """waiting (not asked yet), asking, downloading, idle, failed (it will be asked again) or dropped (it will not)."""
    message: str
    """Why it failed, or was dropped; or why only one connection to it is used."""
    down_rate: float
    downloaded: int
    """Bytes of blocks that it sent."""
    connections: int
    failures: int
    """In a row."""
    retry_in: float
    """Seconds until it is asked again; -1 unless it failed."""
    ranges: bool
    """Whether it sends parts of files, as far as is known; else it is read from the start."""


class PortMapStats(NamedTuple):
    """What the gateway does for the session's port."""

    state: str = "off"
    """off, searching, mapped, not needed, no gateway or failed."""
    message: str = ""
    """The same in a sentence for people."""
    protocol: str = ""
    """PCP, NAT-PMP or UPnP, while mapped."""
    gateway: str = ""
    """The gateway's address inside, or empty."""
    external_host: str = ""
    """Its address outside, as it says itself, or empty. It may be no public one: then there is another NAT."""
    tcp_port: int = 0
    """The port outside that leads to ours, or 0."""
    udp_port: int = 0
    """The same for UDP; mostly the same number."""
    expires: float = -1
    """Seconds until the first of them closes if it cannot be renewed; -1: never, or nothing is mapped."""

    @property
    def mapped(self) -> bool:
        """Whether a port is open outside."""
        return self.tcp_port > 0 or self.udp_port > 0


class SessionStats(NamedTuple):
    """The whole session."""

    port: int
    torrents: int
    peers: int
    half_open: int
    pending_handshakes: int
    down_rate: float
    up_rate: float
    downloaded: int
    uploaded: int
    piece_memory: int
    internal_errors: int
    """Bugs of ours that were contained; tests assert that it is 0."""
    dht: DhtStats = DhtStats()
    lsd: LsdStats = LsdStats()
    port_map: PortMapStats = PortMapStats()
    upload_limit: int = 0
    """That of the whole session (``Session.set_limits``); 0: none."""
    download_limit: int = 0
