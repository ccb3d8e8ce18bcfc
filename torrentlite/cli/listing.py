"""Names, sizes and tables of what a torrent holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .. import FileEntry, Info, Metainfo
from ..metainfo.text import display
from . import units
from .output import Output

_LONGEST_WARNING = 600
"""Characters of one: the library has cut the names in it, and the sentence goes on behind them."""


def real_files(info: Info) -> list[FileEntry]:
    """The files that people know of, in order: no padding, no links."""
    return [info.files[index] for index in info.wanted_files]


def file_names(info: Info) -> list[str]:
    """Their paths, "/" between components."""
    return ["/".join(entry.path) for entry in real_files(info)]


def describe_size(metainfo: Metainfo, select: Collection[int] | None = None) -> str:
    """``4.70 GiB``, ``4.70 GiB in 12 files``, or of those that are selected ``1.10 GiB in 3 of 12 files``."""
    count = len(metainfo.info.wanted_files)
    if select is not None and metainfo.info.multi:
        total = sum(metainfo.files[index].length for index in select)
        return f"{units.size(total)} in {len(select):,} of {units.plural(count, 'file')}"
    return units.size(metainfo.total) + (f" in {units.plural(count, 'file')}" if metainfo.info.multi else "")


def print_files(metainfo: Metainfo, output: Output) -> None:
    """The files with the numbers that ``--select`` takes."""
    for number, entry in enumerate(real_files(metainfo.info), 1):
        path = "/".join(entry.path)
        output.answer("file", metainfo.info_hash, index=number, path=path, size=entry.length)
        output.result(f"{number:>5}  {units.size(entry.length):>9}  {display(path, limit=4096)}")


def facts(metainfo: Metainfo) -> list[tuple[str, str]]:
    """What there is to say of a torrent, as labels and values that are safe to show; empty ones left out."""
    info = metainfo.info
    pieces = f"{info.layout.piece_count:,} × {units.size(info.piece_length)}"
    rows = [
        ("name", display(metainfo.name)),
        ("info-hash", info.hashes.v1.hex() if info.hashes.v1 else ""),
        ("v2 hash", info.hashes.v2.hex() if info.hashes.v2 else ""),
        ("size", f"{describe_size(metainfo)} ({metainfo.total:,} bytes)"),
        ("pieces", pieces),
        ("private", "yes: peers from its trackers only" if metainfo.private else ""),
        ("comment", display(metainfo.comment)),
        ("created", _created(metainfo)),
    ]
    for number, tier in enumerate(metainfo.trackers):
        rows += [("trackers" if number == 0 and url == tier[0] else "", display(url)) for url in tier]
    rows += [("web seeds" if number == 0 else "", display(url)) for number, url in enumerate(metainfo.web_seeds)]
    rows += [("warning", display(text, limit=_LONGEST_WARNING)) for text in warnings_of(metainfo)]
    return [(label, value) for label, value in rows if value]


def as_json(metainfo: Metainfo) -> dict[str, Any]:
    """The same for programs: nothing shortened, text as it is."""
    info = metainfo.info
    return {
        "info_hash": metainfo.info_hash,
        "info_hash_v2": info.hashes.v2.hex() if info.hashes.v2 else None,
        "name": metainfo.name,
        "total": metainfo.total,
        "piece_length": info.piece_length,
        "pieces": info.layout.piece_count,
        "private": metainfo.private,
        "files": [{"path": "/".join(entry.path), "size": entry.length} for entry in real_files(info)],
        "trackers": [list(tier) for tier in metainfo.trackers],
        "web_seeds": list(metainfo.web_seeds),
        "comment": metainfo.comment,
        "created_by": metainfo.created_by,
        "creation_date": metainfo.creation_date,
        "magnet": metainfo.magnet,
        "warnings": warnings_of(metainfo),
    }


def warnings_of(metainfo: Metainfo) -> list[str]:
    """What was left out of it, and whether others get it under the names that it has: sentences."""
    return list(filter(None, [*metainfo.warnings, changed_names(metainfo)]))


def note_warnings(metainfo: Metainfo, output: Output) -> None:
    """Say them: who shares a folder believes that others get all of it."""
    for warning in warnings_of(metainfo):  # create names so many, and counts the rest
        output.note(display(warning, limit=_LONGEST_WARNING))


def changed_names(metainfo: Metainfo) -> str:
    """How many files have other names on the disk than in the torrent, and one of them; else an empty string."""
    changed = [entry for entry in real_files(metainfo.info) if tuple(map(str.encode, entry.path)) != entry.raw_path]
    if not changed:
        return ""
    raw, path = display(b"/".join(changed[0].raw_path)), display("/".join(changed[0].path))
    count = units.plural(len(changed), "file")
    have, it = ("has a name that is", "it") if len(changed) == 1 else ("have names that are", "them")
    return f"{count} {have} not safe on every system; tl fetch changes {it}: '{raw}' becomes '{path}'"


def _created(metainfo: Metainfo) -> str:
    by = f"by {display(metainfo.created_by)}" if metainfo.created_by else ""
    if metainfo.creation_date is None:
        return by
    import datetime

    try:
        date = datetime.datetime.fromtimestamp(metainfo.creation_date, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return by
    return f"{date:%Y-%m-%d %H:%M} UTC {by}".rstrip()
