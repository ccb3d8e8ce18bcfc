"""The upper part of the dashboard: how far it is, how fast, why not, and which pieces are here."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style

from ..cli import units
from ..cli.progress import Glance, doing, evidence, reason
from ..stats import Reason, State
from . import words
from .frame import Section
from .lines import (
    BAD,
    BOLD,
    DIM,
    GOOD,
    PLAIN,
    TIME,
    UP,
    WARN,
    Line,
    between,
    cell,
    first_that_fit,
    fit,
    foreign,
    join,
    seg,
    width_of,
)  # fmt: skip
from .piecemap import PieceMap, availability_line, map_lines, piece_map
from .snapshot import Detail, Shown, Snapshot
from .spark import bar, sparkline


def totals(jobs: Sequence[Shown]) -> Line:
    """All jobs together, for the uppermost rule: how much, and how long it will take."""
    counted = [job.glance for job in jobs if job.glance.total]
    parts: list[Line] = []
    if len(jobs) > 1:
        busy = [glance for glance in counted if not glance.steady]
        parts.append([seg(units.plural(len(jobs), "torrent"), DIM)])
        counted = busy
    done, total = sum(glance.done for glance in counted), sum(glance.total for glance in counted)
    if total and not all(glance.steady for glance in counted):
        if len(jobs) > 1:
            parts.append([seg(units.percent(done, total), BOLD)])
        parts.append([seg(units.done_of(done, total))])
        rate = sum(glance.down_rate for glance in counted if glance.eta is not None)
        eta = counted[0].eta if len(counted) == 1 else (total - done) / rate if rate > 1 else None
        if eta is not None:
            parts.append([seg(f"{units.duration(eta)} left", TIME)])
    elif total:
        parts.append([seg(units.size(total))])
    return join(parts, "  ")


def head(job: Shown, width: int) -> list[Line]:
    """Four lines: name and stage, bar, rates, and what it does or waits for."""
    glance = job.glance
    stage = [seg(glance.stage, _stage_style(glance))]
    name = foreign(glance.name, max(8, width - width_of(stage) - 2), BOLD)
    return [between(name, stage, width), _bar(glance, width), _rates(job, width), _doing(job, width)]


def _stage_style(glance: Glance) -> Style:
    if glance.why.reason in (Reason.DISK, Reason.ERROR):
        return BAD
    if glance.stage in ("paused", "closed"):
        return WARN
    return GOOD if glance.steady or glance.stage == "done" else TIME


def _bar(glance: Glance, width: int) -> Line:
    if not glance.total:
        return [seg("─" * width, DIM)]
    if glance.steady:
        share, words = 1.0, "100 %"
    else:
        share, words = glance.done / glance.total, units.percent(glance.done, glance.total)
    return [*bar(share, width - 8), cell(words, 8, BOLD, right=True)]


def _rates(job: Shown, width: int) -> Line:
    glance, stats = job.glance, job.stats
    spark = max(6, min(30, (width - 50) // 3))
    parts: list[Line] = []
    if stats is None:
        return [seg(f"{units.rate(glance.down_rate)}  ", GOOD), seg(sparkline(job.down, spark), GOOD)]
    down, up = units.rate(glance.down_rate), units.rate(glance.up_rate)
    parts.append([cell(f"↓ {down}", 13, GOOD), seg(sparkline(job.down, spark), GOOD)])
    parts.append([cell(f"↑ {up}", 13, UP), seg(sparkline(job.up, spark), UP)])
    if stats.uploaded:
        parts.append([seg(f"ratio {stats.ratio:.2f}", DIM)])
        parts.append([seg(f"{units.size(stats.uploaded)} shared", DIM)])
    if stats.copies:
        parts.append([seg(f"{units.others_have(stats.copies)} it", GOOD)])
    if stats.wasted:
        parts.append([seg(f"{units.size(stats.wasted)} wasted", DIM)])
    if stats.hash_failures:
        parts.append([seg(units.plural(stats.hash_failures, "wrong piece"), WARN)])
    parts.append([seg(f"for {words.span(job.elapsed)}", DIM)])
    return first_that_fit(parts, width)


def _doing(job: Shown, width: int) -> Line:
    glance = job.glance
    why = reason(glance)
    if not why:
        return foreign(doing(glance), width, DIM)
    style = BAD if glance.why.reason in (Reason.DISK, Reason.ERROR) else WARN
    told = [seg(evidence(glance.why), DIM)] if width > 100 else []
    if width_of(told) + cell_len(why) + 2 > width:
        return foreign(why, width, style)
    return [*foreign(why, width - width_of(told), style), *told]


def torrents(snapshot: Snapshot, chosen: int, width: int, rows: int) -> Section:
    """All jobs, a line each, around the chosen one."""
    jobs = snapshot.jobs
    first = max(0, min(chosen - rows // 2, len(jobs) - rows))
    body = []
    for number, job in enumerate(jobs[first : first + rows], first):
        glance = job.glance
        tail: list[Line] = [
            [seg(f"↓ {units.rate(glance.down_rate)}", GOOD)] if glance.down_rate >= 1 else [],
            [seg(f"↑ {units.rate(glance.up_rate)}", UP)] if glance.up_rate >= 1 else [],
            [seg(f"{units.duration(glance.eta)} left", TIME)] if glance.eta is not None and not glance.steady else [],
            [seg(units.plural(glance.peers, "peer"), DIM)],
        ]
        share = units.percent(glance.done, glance.total) if glance.total else ""
        right = join(tail, "  ")
        mark = BOLD if number == chosen else PLAIN
        start = [
            cell("▸" if number == chosen else "", 2, BOLD), cell(share, 7, BOLD, right=True), seg("  "),
            seg(glance.stage, WARN if reason(glance) else _stage_style(glance)), seg("  "),
        ]  # fmt: skip
        room = max(8, width - width_of(start) - width_of(right) - 2)
        body.append([*start, *foreign(glance.name, room, mark), seg("  "), *right])
    more = [seg(f"{first + 1}–{first + len(body)} of {len(jobs)}", DIM)] if len(jobs) > len(body) else []
    return Section([seg("torrents")], body, more)


def pieces(job: Shown, detail: Detail, width: int, rows: int) -> Section:
    """The map in so many rows, and one of how many peers have what."""
    stats, shown = job.stats, detail.pieces
    if stats is None or not shown.count:
        words = "known once the metadata is here"
        if stats is not None and stats.metadata_total:
            words = f"metadata: {units.done_of(stats.metadata_done, stats.metadata_total)}"
        if stats is None:
            words = f"{units.size(glance.done)} hashed" if (glance := job.glance).done else "not known yet"
        return Section([seg("pieces")], [[seg(words, DIM)], *([[]] * rows)])
    drawn = piece_map(shown, width * rows)
    if shown.count < width * rows:
        # A few pieces, as wide as they can be in one row, or as many rows as they fill.
        times = max(1, width // shown.count)
        drawn = PieceMap("".join(letter * times for letter in drawn.letters), _stretched(drawn.rarest, times))
    lines = map_lines(drawn, width, rows)
    spread = availability_line(drawn, width)
    body = [*lines, *([[]] * (rows - len(lines))), spread]
    title = [seg("pieces "), seg(f"{stats.pieces_done:,} of {shown.count:,}", BOLD)]
    facts: list[Line] = []
    if flying := shown.in_flight.bit_count():
        facts.append([seg(f"{flying:,} in flight", DIM)])
    if stats.state is State.DOWNLOADING and shown.availability:
        style = WARN if stats.distributed_copies < 1 else DIM
        facts.append([seg(f"{stats.distributed_copies:.1f} copies around", style)])
    for fact in facts:
        title += [seg(" · ", DIM), *fact]
    return Section(title, body, [seg("peers that have it below", DIM)] if spread and width > 100 else [])


def _stretched(values: Sequence[int], times: int) -> tuple[int, ...]:
    return tuple(value for value in values for _ in range(times))


def simple(snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """What is left of it all in a very small window."""
    lines: list[Line] = []
    for job in snapshot.jobs:
        lines += head(job, width)
    return [fit(line, width) for line in lines[:height]]
