"""Why a torrent stands still, in one sentence: the nearest cause that somebody could do something about."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..metainfo.text import display
from ..stats import Reason, State, Why

PATIENCE: Final = 20.0
"""Seconds without progress before it counts as standing still."""


class Facts(NamedTuple):
    """What the verdict rests on. Only ``state`` is always needed; counts are of this moment.

    Attributes:
        error: the disk's or another error in its own words, or empty.
        disk: whether that error is the disk's, and may pass.
        left: wanted bytes that are not here.
        hashes: whether of a magnet's metadata only the hashes of the pieces are missing (BEP 52).
        quiet: seconds since the last progress: a block, a piece of metadata, or the start.
        interface: why the interface by which everything goes is of no use now; or empty.
        proxy: why the proxy through which everything goes cannot be used; or empty.
        limited: whether a download limit is what holds it back.
        trackers: how many there are; ``trackers_failed`` of them failed when last asked, ``tracker_message`` says how;
            ``asking`` of them are just being asked, and ``answered`` know of us.
        dht: the state of the DHT node that is asked (joining, joined), or empty; ``dht_nodes`` are in its tables.
        lookups: whether peers may be found in other ways (PEX, LSD).
        known: addresses of peers, ``failing`` of which could not be reached, or were of no use, when last dialled;
            ``reached`` of those were there, and gave no handshake for this torrent.
        unfound: host names of peers that could not be found, ``unfound_message`` says why.
        closed: why our port is not open to the outside, where that was tried and nobody has called us; or empty.
        calling: peers that are being called at this moment.
        peers: connected ones, ``interesting`` of which have something that we need; ``unchoked`` of those let us ask.
        web_seeds: how many there are that may still be of use; ``web_working`` of them are being fetched from,
            ``web_failed`` failed when last asked, ``web_message`` says how.
        missing: pieces that we need and no connected peer has, of ``needed`` that we need.
        waits: whether a reader waits, and no connected peer has the piece that it needs next.
    """

    state: State
    error: str = ""
    disk: bool = False
    left: int = 0
    hashes: bool = False
    quiet: float = 0.0
    interface: str = ""
    proxy: str = ""
    limited: bool = False
    trackers: int = 0
    trackers_failed: int = 0
    tracker_message: str = ""
    asking: int = 0
    answered: int = 0
    dht: str = ""
    dht_nodes: int = 0
    lookups: bool = False
    known: int = 0
    failing: int = 0
    reached: int = 0
    unfound: int = 0
    unfound_message: str = ""
    closed: str = ""
    calling: int = 0
    peers: int = 0
    interesting: int = 0
    unchoked: int = 0
    web_seeds: int = 0
    web_working: int = 0
    web_failed: int = 0
    web_message: str = ""
    missing: int = 0
    needed: int = 0
    waits: bool = False


def why(facts: Facts, *, patience: float = PATIENCE) -> Why:
    """The verdict. Texts from outside (errors, what trackers say) are made fit to be shown."""
    reason, message = _own_doing(facts, patience) or (_moving(facts) if facts.quiet < patience else _standing(facts))
    evidence = ((name.replace("_", " "), getattr(facts, name)) for name in _EVIDENCE)
    return Why(reason, message, tuple((name, round(value)) for name, value in evidence if value))


Verdict = tuple[Reason, str]

_EVIDENCE: Final = (
    "quiet",
    "peers",
    "interesting",
    "unchoked",
    "missing",
    "needed",
    "known",
    "failing",
    "reached",
    "trackers",
    "trackers_failed",
    "dht_nodes",
    "web_seeds",
    "web_working",
    "web_failed",
)


def _own_doing(facts: Facts, patience: float) -> Verdict | None:
    """What has nothing to do with peers."""
    if facts.disk:
        return Reason.DISK, f"{display(facts.error) or 'the disk refuses'}; waiting to try again"
    if facts.error or facts.state is State.ERROR:
        return Reason.ERROR, display(facts.error) or "stopped by an error"
    match facts.state:
        case State.PAUSED:
            return Reason.PAUSED, "paused"
        case State.CLOSED:
            return Reason.PAUSED, "removed from the session"
        case State.CHECKING:
            return Reason.CHECKING, "checking what is on the disk"
        case State.METADATA | State.DOWNLOADING | State.SEEDING if facts.interface:
            return Reason.INTERFACE, facts.interface
        case State.SEEDING:
            # Whoever shares waits to be found: a refusal is said, also while somebody is here.
            if failing := _failing(facts):
                return failing
            if facts.dht == "joining" and not facts.trackers and not facts.peers and facts.quiet >= patience:
                return Reason.NO_DHT, f"{_dht(facts)}: who is not in this network finds it by its address alone"
            return Reason.COMPLETE, f"complete, {_count(facts.peers, 'peer')} connected"
        case State.DOWNLOADING if not facts.left:
            return Reason.FINE, "finishing"
    return None


def _moving(facts: Facts) -> Verdict:
    if facts.limited:
        return Reason.LIMITED, "as fast as its download limit allows"
    if facts.web_working and facts.state is not State.METADATA:
        peers = f"{_count(facts.unchoked, 'peer')} and " if facts.unchoked else ""
        return Reason.FINE, f"downloading from {peers}{_count(facts.web_working, 'web seed')}"
    if not facts.peers:
        if facts.web_seeds and facts.web_failed >= facts.web_seeds and facts.state is not State.METADATA:
            return Reason.WEB_SEEDS_FAIL, _web_seeds_fail(facts)
        if not (facts.dht or facts.asking or facts.calling or facts.known or facts.web_seeds):
            return _failing(facts) or (Reason.FINE, _looking(facts))  # nobody else is asked: what should one wait for?
        return Reason.FINE, _looking(facts)
    if facts.state is State.METADATA:
        return Reason.FINE, f"fetching the {_lacking(facts)}"
    if not facts.interesting:
        return Reason.FINE, f"connected to {_count(facts.peers, 'peer')}, none has anything for us yet"
    if not facts.unchoked:
        who = "it" if facts.interesting == 1 else f"{facts.interesting:,} peers"
        return Reason.FINE, f"connected; waiting for {who} to give us a turn"
    return Reason.FINE, f"downloading from {_count(facts.unchoked, 'peer')}"


def _standing(facts: Facts) -> Verdict:
    if not facts.peers:
        return _alone(facts)
    if facts.state is State.METADATA:
        who = _count(facts.peers, "peer")
        return Reason.NO_METADATA, f"no {_lacking(facts)} from {who} for {_duration(facts.quiet)}"
    if not facts.interesting:
        needed = "the piece" if facts.needed == 1 else f"any of the {_count(facts.needed, 'piece')}"
        return Reason.MISSING_PIECES, f"{_count(facts.peers, 'peer')} connected, none with {needed} needed"
    if facts.waits and facts.web_failed >= facts.web_seeds:
        return Reason.MISSING_PIECES, f"{_count(facts.peers, 'peer')} connected, none with the piece that comes next"
    if not facts.unchoked:
        return Reason.CHOKED, f"waiting for a turn: choked by {_count(facts.interesting, 'peer')} that could help"
    if facts.limited:
        return Reason.LIMITED, "held back by its download limit"
    return Reason.SLOW, f"asked {_count(facts.unchoked, 'peer')}, and nothing came for {_duration(facts.quiet)}"


def _lacking(facts: Facts) -> str:
    return "hashes of the pieces" if facts.hashes else "metadata"


def _alone(facts: Facts) -> Verdict:
    """No peer is connected."""
    if facts.proxy:
        return Reason.PROXY, display(facts.proxy)
    if facts.web_seeds and facts.state is not State.METADATA:
        if facts.web_failed < facts.web_seeds:
            asked = _count(facts.web_seeds - facts.web_failed, "web seed")
            return Reason.SLOW, f"asked {asked}, and nothing came for {_duration(facts.quiet)}"
        return Reason.WEB_SEEDS_FAIL, _web_seeds_fail(facts)
    if facts.known and facts.failing >= facts.known:
        if facts.reached:
            return Reason.UNREACHABLE, _not_shared(facts)
        closed = f"; and nobody can reach us: {display(facts.closed)}" if facts.closed else ""
        return Reason.UNREACHABLE, f"{_count(facts.known, 'peer')} known, none could be reached{closed}"
    if facts.known:
        return Reason.NO_PEERS, f"{_count(facts.known, 'peer')} known, none connected yet"
    if failing := _failing(facts):
        return failing
    if facts.unfound:
        which = f"none of {facts.unfound} names of peers is found: " if facts.unfound > 1 else ""
        return Reason.UNREACHABLE, which + display(facts.unfound_message)
    if not facts.trackers and facts.dht:
        return Reason.NO_PEERS if facts.dht == "joined" else Reason.NO_DHT, _dht(facts)
    if facts.asking and not facts.answered:
        return Reason.NO_PEERS, _unanswered(facts)
    if facts.trackers or facts.lookups:
        return Reason.NO_PEERS, "nobody who was asked knows a peer"
    return Reason.NO_SOURCES, "no tracker and no peer is known, so there is nobody to ask"


def _not_shared(facts: Facts) -> str:
    """Somebody is there, and will not talk of this torrent: no matter of ports and gateways."""
    who, they = ("it was", "it") if facts.known == 1 else (f"{facts.reached:,} were", "they")
    return f"{_count(facts.known, 'peer')} known; {who} reached, and gave no handshake: {they} may not share this"


def _unanswered(facts: Facts) -> str:
    silent = "the tracker has not answered yet" if facts.trackers == 1 else "no tracker has answered yet"
    return f"{silent}, and {_dht(facts)}" if facts.dht else silent


def _dht(facts: Facts) -> str:
    return "the DHT knows no peer" if facts.dht == "joined" else "no node of the DHT answers"


def _looking(facts: Facts) -> str:
    """Nobody is connected yet, and it is too early to call that a trouble."""
    if facts.calling:
        return f"calling {_count(facts.calling, 'peer')}"
    asked = []
    if facts.asking:
        asked.append("the tracker" if facts.trackers == 1 else _count(facts.asking, "tracker"))
    if facts.dht:
        asked.append("the DHT" if facts.dht == "joined" else "the DHT, which we are just joining")
    return f"asking {' and '.join(asked)}" if asked else "looking for peers"


def _failing(facts: Facts) -> Verdict | None:
    """All trackers fail, in the last one's own words."""
    if not facts.trackers or facts.trackers_failed < facts.trackers:
        return None
    failing = _all_fail(facts.trackers, "tracker")
    if facts.dht and facts.state is not State.SEEDING:
        failing += ", and " + _dht(facts)
    return Reason.TRACKERS_FAIL, ": ".join(filter(None, (failing, display(facts.tracker_message))))


def _web_seeds_fail(facts: Facts) -> str:
    failing = _all_fail(facts.web_seeds, "web seed")
    return ": ".join(filter(None, (failing, display(facts.web_message)))) + ", and no peer is connected"


def _all_fail(number: int, noun: str) -> str:
    if number == 1:
        return f"the {noun} fails"
    return f"both {noun}s fail" if number == 2 else f"all {number} {noun}s fail"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"
