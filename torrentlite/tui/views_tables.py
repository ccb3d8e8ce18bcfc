"""The lower part of the dashboard: peers, files, where peers come from, and the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..cli import units
from ..metainfo.text import display
from ..stats import FileStats, PeerStats, State, TrackerStats, WebSeedStats
from . import words
from .choices import Sort
from .frame import Section
from .lines import BAD, BOLD, DIM, GOOD, PLAIN, UP, Line, cell, foreign, seg
from .snapshot import Detail, Shown, Snapshot
from .spark import bar

_KEYS: Final[dict[Sort, Callable[[PeerStats], Any]]] = {
    Sort.DOWN: lambda peer: (-peer.down_rate, -peer.up_rate, -peer.downloaded, -peer.uploaded),
    Sort.UP: lambda peer: (-peer.up_rate, -peer.down_rate, -peer.uploaded, -peer.downloaded),
    Sort.HAVE: lambda peer: -peer.progress,
    Sort.ADDRESS: lambda peer: (len(peer.host), peer.host, peer.port),
    Sort.CLIENT: lambda peer: peer.client,
}


def address(peer: PeerStats) -> str:
    """``203.0.113.7:51413`` or ``[2001:db8::7]:51413``."""
    return f"[{peer.host}]:{peer.port}" if ":" in peer.host else f"{peer.host}:{peer.port}"


def peers(job: Shown, detail: Detail, sort: Sort, scrolled: int, width: int, rows: int) -> Section:
    """The table of peers, with its header, in so many rows."""
    stats = job.stats
    seeds = f" ({units.plural(stats.seeds, 'seed')})" if stats is not None and stats.seeds else ""
    title = [seg("peers "), seg(f"{len(detail.peers)}", BOLD), seg(seeds)]
    if stats is not None:
        if stats.half_open:
            title.append(seg(f" · {stats.half_open} being called", DIM))
        if stats.known_peers:
            title.append(seg(f" · {stats.known_peers:,} known", DIM))
    if not detail.peers or rows < 2:
        nobody = "nobody is connected" if stats is not None and stats.state is not State.PAUSED else ""
        return Section(title, _padded([[seg(nobody, DIM)]], rows))
    flexible = width - 40
    where = max(14, min(47, flexible * 6 // 11))
    client = max(4, flexible - where)
    heads = (("address", where, False), ("client", client, False), ("flags", 5, False), ("have", 4, True),
             ("↓", 6, True), ("↑", 6, True), ("queue", 5, True), ("from", 7, False))  # fmt: skip
    # A space between columns, two before those that begin at the left.
    body: list[Line] = [_columns([[cell(name, size, DIM, right=right)] for name, size, right in heads])]
    ranked = sorted(detail.peers, key=_KEYS[sort])
    first = max(0, min(scrolled, len(ranked) - (rows - 1)))
    for peer in ranked[first : first + rows - 1]:
        style = DIM if peer.snubbed else PLAIN
        body.append(
            _columns(
                [
                    foreign(display(address(peer)), where, style, keep_end=True),
                    foreign(display(peer.client) or "?", client, style),
                    [cell(words.flags(peer), 5, style)],
                    [cell(words.share(peer.progress), 4, GOOD if peer.progress >= 1 else style, right=True)],
                    [cell(words.brief(peer.down_rate), 6, GOOD, right=True)],
                    [cell(words.brief(peer.up_rate), 6, UP, right=True)],
                    [cell(str(peer.queue or ""), 5, DIM, right=True)],
                    foreign(display(words.source(peer)), 7, DIM),
                ]
            )
        )
    shown = len(body) - 1
    more = f"{first + 1}–{first + shown} of {len(ranked)}, " if shown < len(ranked) else ""
    return Section(title, _padded(body, rows), [seg(f"{more}by {sort.value}", DIM)])


def files(job: Shown, detail: Detail, scrolled: int, width: int, rows: int) -> Section:
    """The files with how far they are, in so many rows."""
    shown = detail.files
    wanted = sum(file.wanted for file in shown)
    title = [seg("files "), seg(f"{len(shown):,}", BOLD)]
    if wanted != len(shown):
        title.append(seg(f" · {wanted:,} wanted", DIM))
    first = max(0, min(scrolled, len(shown) - rows))
    # The torrent's own folder says nothing new in every line.
    folder = len(top) + 1 if (top := job.stats.name if job.stats else "") and len(shown) > 1 else 0
    folder = folder if all(file.path.startswith(f"{top}/") for file in shown[:1]) else 0
    body = [_file(file, file.path[folder:], width) for file in shown[first : first + rows]]
    more = [seg(f"{first + 1}–{first + len(body)} of {len(shown):,}", DIM)] if len(shown) > len(body) else []
    return Section(title, _padded(body, rows), more)


def _file(file: FileStats, path: str, width: int) -> Line:
    share = "100%" if file.done >= file.size else f"{file.done * 100 // file.size}%"
    style = PLAIN if file.wanted else DIM
    line: Line = [cell(share if file.wanted else "skip", 4, BOLD if file.wanted else DIM, right=True), seg("  ")]
    if width >= 60:
        drawn = bar(file.done / file.size if file.size else 1.0, 12) if file.wanted else [seg(" " * 12)]
        line += [*drawn, seg("  ")]
    line += [cell(units.size(file.size), 8, DIM, right=True), seg("  ")]
    return [
        *line,
        *foreign(display(path, limit=4096), max(8, width - (30 if width >= 60 else 16)), style, keep_end=True),
    ]


def sources(snapshot: Snapshot, detail: Detail, scrolled: int, width: int, rows: int) -> Section:
    """Trackers, the DHT and our own port, each with its state in words."""
    where = min(46, max(16, width * 2 // 5))
    lines = [
        *_others(snapshot, detail, width),
        *(_web_seed(each, where, width) for each in detail.web_seeds),
        *(_tracker(each, where, width) for each in detail.trackers),
    ]
    title = [seg("where peers come from, and web seeds" if detail.web_seeds else "where peers come from")]
    failed = sum(each.state == "failed" for each in detail.trackers)
    right: Line = [seg(f"{failed} of {units.plural(len(detail.trackers), 'tracker')} failed", BAD)] if failed else []
    first = max(0, min(scrolled, len(lines) - rows))
    body = lines[first : first + rows]
    if len(lines) > rows and rows > 1 and not scrolled:
        left = len(lines) - rows + 1
        what = "more tracker" if left <= len(detail.trackers) else "more source"
        body[-1] = [seg(f"and {units.plural(left, what)}", DIM)]
    return Section(title, _padded(body, rows), right)


def count_sources(snapshot: Snapshot, detail: Detail) -> int:
    """Rows that ``sources`` could fill."""
    return len(_others(snapshot, detail, 80)) + len(detail.web_seeds) + len(detail.trackers)


def _others(snapshot: Snapshot, detail: Detail, width: int) -> list[Line]:
    """Our own port; the DHT; and in one line what else names peers."""
    session = snapshot.session
    if session is None:
        return []
    port, open_ = str(session.port or "none"), session.port_map
    how = f" · {units.plural(session.peers, 'peer')} in all"
    if open_.state != "off":
        how = f" · {display(open_.message) or open_.state}{how}"
    style = GOOD if open_.mapped else BOLD
    lines: list[Line] = [[seg("port "), seg(port, style), *foreign(how, max(0, width - 5 - len(port)), DIM)]]
    rows = [words.source_of_peers(source, session) for source in detail.sources]
    first = [row for row, source in zip(rows, detail.sources, strict=True) if source.source == "dht"]
    for name, said in first:
        lines.append([seg(f"{name}: "), *foreign(said, max(0, width - len(name) - 2), DIM)])
    if rest := [f"{name}: {said}" for name, said in rows if (name, said) not in first]:
        lines.append(foreign("; ".join(rest), width, DIM))
    return lines


def _tracker(stats: TrackerStats, where: int, width: int) -> Line:
    word, sentence, style = words.tracker(stats)
    line = [*foreign(_url(stats), where, keep_end=True), seg("  "), seg(word, style), seg("  ")]
    return [*line, *foreign(sentence, max(0, width - where - 4 - len(word)), DIM)]


def _web_seed(stats: WebSeedStats, where: int, width: int) -> Line:
    word, sentence, style = words.web_seed(stats)
    line = [*foreign(display(stats.url), where, keep_end=True), seg("  "), seg(word, style), seg("  ")]
    return [*line, *foreign(sentence, max(0, width - where - 4 - len(word)), DIM)]


def _url(stats: TrackerStats) -> str:
    return display(stats.url).removesuffix("/announce")


def log(snapshot: Snapshot, scrolled: int, width: int, rows: int) -> Section:
    """The newest lines of the log, or what is ``scrolled`` rows further back."""
    end = max(min(rows, len(snapshot.log)), len(snapshot.log) - scrolled)
    body = [foreign(line, width, DIM) for line in snapshot.log[max(0, end - rows) : end]]
    right = [seg(f"{len(snapshot.log) - end} newer", DIM)] if end < len(snapshot.log) else []
    return Section([seg("log")], _padded(body or [[seg("nothing yet", DIM)]], rows), right)


def _columns(cells: Sequence[Line]) -> Line:
    line: Line = []
    for each in cells:
        line += [*each, seg(" ")]
    return line[:-1]


def _padded(lines: Sequence[Line], rows: int) -> list[Line]:
    return [*lines[:rows], *([[]] * (rows - len(lines)))]
