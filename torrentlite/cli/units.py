"""Sizes, rates and times as people write and read them. 1 KiB is 1024 bytes, and so is ``1k``; never bits."""

from __future__ import annotations

import re
from typing import Final

from ..metainfo.text import display, scaled, size as size

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?(?:/s)?", re.IGNORECASE)
_BITS: Final = re.compile(r"[\d.]+\s*(?:[kmgt]?b|[kmgt]?bits?|[kmgt]?bps)(?:/s)?", re.IGNORECASE)
_TIME: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", re.IGNORECASE)
_LARGEST: Final = 1 << 60
"""Sizes and rates above an exbibyte are slips of the finger."""

_LONGEST: Final = 1e12
"""Seconds: so are times of thirty thousand years."""


def parse_size(text: str) -> int:
    """Bytes of ``500k``, ``2M``, ``1.5GiB`` or ``4096``.

    Raises:
        ValueError: with a sentence for people.
    """
    clean = text.strip()
    match = _SIZE.fullmatch(clean)
    # "2Mb" and "2Mbit" mean bits to most people: ask rather than guess.
    if (match and match[3] == "b" and match[2]) or (not match and _BITS.fullmatch(clean)):
        raise ValueError(f"{text!r}: bytes, never bits; write 500k or 2M")
    if not match:
        raise ValueError(f"{text!r} is not a size; write 500k, 2M or 1.5G")
    size = float(match[1]) * 1024 ** " kmgt".index((match[2] or " ").lower())
    if size > _LARGEST:  # or infinite, of enough digits
        raise ValueError(f"'{display(text, limit=40)}' is too large")
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``30m``, ``1h30m`` or ``2d``.

    Raises:
        ValueError: with a sentence for people.
    """
    match = _TIME.fullmatch(text.strip())
    if not match or not any(match.groups()):
        raise ValueError(f"{text!r} is not a time; write 90s, 30m, 1h30m or 2d")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total > _LONGEST:
        raise ValueError(f"'{display(text, limit=40)}' is too long; 0 is for ever, where that makes sense")
    return total


def rate(per_second: float) -> str:
    """``48.7 MiB/s``."""
    return f"{size(per_second)}/s"


def done_of(done: int, total: int) -> str:
    """``1.94 of 4.70 GiB``, naming the unit once where both have the same."""
    number, unit = scaled(done)
    whole, whole_unit = scaled(total)
    return f"{number} of {whole} {unit}" if unit == whole_unit else f"{number} {unit} of {whole} {whole_unit}"


def duration(seconds: float) -> str:
    """``0.5s``, ``12s``, ``1m52s``, ``2h05m`` or ``3d04h``: the two parts that matter."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def percent(done: int, total: int) -> str:
    """``61.4 %``, rounded down: 100 % is said only when nothing is missing."""
    if done >= total:
        return "100 %"
    return f"{done * 1000 // total / 10:.1f} %"


def plural(count: int, noun: str) -> str:
    """``1 peer``, ``2 peers``, ``4,812 pieces``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def others_have(count: int) -> str:
    """``1 other has``, ``2 others have``."""
    return f"{plural(count, 'other')} {'has' if count == 1 else 'have'}"
