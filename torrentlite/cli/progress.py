"""What is going on, at a glance: pure functions from stats to words, and from words to lines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ..metainfo.text import display
from ..stats import Reason, State, TorrentStats, Why
from . import units

PATIENCE: Final = 20.0
"""Seconds without progress after which the reason is said."""
_LULL: Final = 5.0
"""Seconds without a block after which a rate only fades."""
_LINE_EVERY: Final = 30.0
_STEPS: Final = 10
_NAME: Final = 60
"""Characters of a name in a plain line; a live line takes what fits."""

_FINE: Final = (Reason.FINE, Reason.COMPLETE, Reason.PAUSED, Reason.CHECKING)
"""Reasons that the stage says already."""
FINE: Final = Why(Reason.FINE, "")
_WORDS: Final = {
    State.PAUSED: "paused",
    State.METADATA: "metadata",
    State.CHECKING: "checking",
    State.DOWNLOADING: "downloading",
    State.SEEDING: "done",
    State.ERROR: "stopped by an error",
    State.CLOSED: "closed",
}


class Glance(NamedTuple):
    """One job at one moment, in the words that people and scripts get. ``name`` is safe to show."""

    name: str
    stage: str
    """looking for peers, metadata, checking, downloading, finishing, done, seeding, hashing …"""
    done: int = 0
    total: int = 0
    down_rate: float = 0.0
    up_rate: float = 0.0
    uploaded: int = 0
    peers: int = 0
    web_seeds: int = 0
    copies: int = 0
    """Others that were seen with everything."""
    eta: float | None = None
    why: Why = FINE
    moved: int = 0
    """Grows with every bit of real progress, whatever the stage; wrong data does not count."""
    steady: bool = False
    """Whether standing still is normal here: everything is there, and shared."""
    held: bool = False
    """Whether a person has stopped it for now."""
    sources: Mapping[str, int] = MappingProxyType({})
    """Addresses of peers by who named them."""
    now: str = ""
    """What it does at this moment, in a sentence; said where there is room, and where nothing moves."""


def look(stats: TorrentStats, why: Why, *, sharing: bool = False) -> Glance:
    """The glance at a torrent; ``sharing``: completion is not the end of this job."""
    stage = _WORDS[stats.state]
    done, total = stats.done, stats.total
    eta = stats.eta if flows(stats, why) else None
    if stats.state is State.CHECKING:
        done, total = stats.checked, stats.check_total
    elif stats.state is State.METADATA:
        done, total = 0, 0
    if why.reason is Reason.DISK:
        stage = "waiting for the disk"
    elif stats.state is State.SEEDING and sharing:
        stage = "seeding"
    elif stats.state is State.DOWNLOADING and stats.total and not stats.left:
        stage = "finishing"  # on its way to the disk
    elif stats.state in (State.METADATA, State.DOWNLOADING) and not (stats.peers or stats.web_seeds):
        stage = "looking for peers"
    return Glance(
        name=display(stats.name) or stats.info_hash,
        stage=stage,
        done=done,
        total=total,
        down_rate=stats.down_rate,
        up_rate=stats.up_rate,
        uploaded=stats.uploaded,
        peers=stats.peers,
        web_seeds=stats.web_seeds,
        copies=stats.copies,
        eta=eta,
        why=why,
        moved=stats.done + stats.checked + stats.metadata_done + max(0, stats.downloaded - stats.wasted),
        steady=stats.state is State.SEEDING,
        held=stats.state is State.PAUSED,
        sources=stats.sources,
        now=why.message,
    )


def flows(stats: TorrentStats, why: Why) -> bool:
    """Whether so much comes that its rate tells how long the rest will take.

    When nothing comes any more a rate falls towards 0 for a minute, and the time left would grow to years.
    """
    if stats.state not in (State.DOWNLOADING, State.SEEDING) or not (stats.peers or stats.web_seeds):
        return False
    quiet = dict(why.evidence).get("quiet", 0)
    return why.reason in (Reason.FINE, Reason.LIMITED, Reason.COMPLETE) and float(quiet) <= _LULL


class Pulse:
    """Whether a job gets on, and when its next plain line is due."""

    def __init__(self, now: float) -> None:
        self._moved = -1
        self._stage = ""
        self._since = now
        self._line_at = now
        self._step = 0
        self._given = (0, 0)
        self._told = Reason.FINE

    def idle(self, glance: Glance, now: float) -> float:
        """Seconds since the last progress; 0 where standing still is normal. More progress than ever resets it."""
        if glance.moved > self._moved or glance.steady or glance.held:
            self._moved = max(self._moved, glance.moved)
            self._since = now
        return now - self._since

    def line_due(self, glance: Glance, now: float) -> bool:
        """Whether a plain line should be written now: at each 10 %, and after 30 s; the ends are the owner's."""
        step = glance.done * _STEPS // glance.total if glance.total else 0
        if glance.stage != self._stage:
            # A new stage counts its own tenths, from where it begins.
            self._stage, self._step = glance.stage, step
        rested = now - self._line_at >= _LINE_EVERY
        # A seed that nobody asks has nothing new to say, for days.
        told = glance.steady and (glance.uploaded, glance.copies) == self._given
        # What it waits for is said once, at once.
        news = bool(reason(glance)) and glance.why.reason is not self._told
        due = (rested and not told) or (self._step < step < _STEPS) or news
        self._told = glance.why.reason
        if due:
            self._line_at, self._step, self._given = now, step, (glance.uploaded, glance.copies)
        return due


def line(glance: Glance) -> str:
    """One plain line: ``61.4 %  downloading debian.iso  1.94 of 4.70 GiB  ↓ 48.7 MiB/s  38 peers  1m52s left``."""
    name = glance.name if len(glance.name) <= _NAME else f"{glance.name[: _NAME - 1]}…"
    parts = [f"{glance.stage} {name}"]
    if glance.total and not glance.steady:
        parts = [units.percent(glance.done, glance.total), *parts, units.done_of(glance.done, glance.total)]
    parts += movement(glance).values()
    if why := reason(glance):
        parts.append(f"({why})")
    return "  ".join(parts)


def movement(glance: Glance) -> dict[str, str]:
    """The parts that change, as far as there are, in this order: down, up, shared, copies, peers, web, left."""
    parts = {}
    if glance.stage == "downloading":
        parts["down"] = f"↓ {units.rate(glance.down_rate)}"
    elif glance.down_rate and not glance.steady:
        parts["down"] = units.rate(glance.down_rate)
    if glance.uploaded or glance.steady:
        parts["up"] = f"↑ {units.rate(glance.up_rate)}"
        parts["shared"] = f"{units.size(glance.uploaded)} shared"
    if glance.copies and glance.steady:
        parts["copies"] = f"{units.others_have(glance.copies)} it"
    if glance.peers or glance.steady:
        parts["peers"] = units.plural(glance.peers, "peer")
    if glance.web_seeds:
        parts["web"] = units.plural(glance.web_seeds, "web seed")
    if glance.eta is not None and not glance.steady:
        parts["left"] = f"{units.duration(glance.eta)} left"
    return parts


def reason(glance: Glance) -> str:
    """Why the job stands still, safe to show, or an empty string."""
    return display(glance.why.message) if glance.why.reason not in _FINE else ""


def doing(glance: Glance) -> str:
    """What it does just now where nothing is wrong, safe to show: ``asking 2 trackers``; empty where the stage says so
    already."""
    words = display(glance.now)
    return words if words != glance.stage else ""


def evidence(why: Why) -> str:
    """The evidence in words: ``quiet 34, known 5, failing 5``."""
    return ", ".join(f"{name} {value}" for name, value in why.evidence)


def fields(glance: Glance) -> tuple[str, dict[str, Any]]:
    """The JSON event of a glance: its name and its fields."""
    if glance.stage in ("hashing", "checking"):
        return glance.stage, {"done": glance.done, "total": glance.total}
    return "progress", {
        "done": glance.done,
        "total": glance.total,
        "down_bps": round(glance.down_rate),
        "up_bps": round(glance.up_rate),
        "peers": glance.peers,
        "web_seeds": glance.web_seeds,
        "sources": dict(glance.sources),
        "eta_s": None if glance.eta is None else round(glance.eta),
        "uploaded": glance.uploaded,
        "copies": glance.copies,
        "stage": glance.stage,
        "why": reason(glance) or None,
        "reason": glance.why.reason.value,
        "evidence": dict(glance.why.evidence),
    }
