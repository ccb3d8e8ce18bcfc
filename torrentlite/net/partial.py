"""What a server's answer to "give me these bytes of that file" amounts to (RFC 9110, sections 14 and 15). Pure.

Nothing here is believed: where the bytes belong, how many there are and how long the whole file is must all agree with
what the torrent says before a byte of the body is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from .. import limits
from ..errors import NetworkError

_CONTENT_RANGE: Final = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII | re.IGNORECASE)
_UNSATISFIED: Final = re.compile(r"bytes\s+\*/(\d{1,19})", re.ASCII | re.IGNORECASE)
_PASSES: Final = (408, 425, 429, 500, 502, 503, 504)


class RefusedError(NetworkError):
    """A server answered, and does not give what it was asked for.

    Attributes:
        lasting: it is not likely to pass soon.
        retry_after: seconds that it wants to be left alone, or None.
    """

    def __init__(self, message: str, *, lasting: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.retry_after = retry_after


class Part(NamedTuple):
    """The bytes of a file that a body holds."""

    offset: int
    length: int


def read_part(status: int, headers: Mapping[str, str], asked: Part, size: int) -> Part:
    """What the body of this answer holds.

    Args:
        status: of the answer; redirects have been followed.
        headers: by lower-case name.
        asked: the bytes that were asked for.
        size: of the whole file, as the torrent has it.

    Returns:
        The bytes asked for, or (206) at least LEAST_PART of their beginning; or the whole file (200): then the server
        knows no ranges.

    Raises:
        RefusedError: anything else.
    """
    if status not in (200, 206):
        raise _refused(status, headers, size)
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise RefusedError("it packs the file (Content-Encoding), which nobody asked for", lasting=True)
    if status == 200:
        _check_length(headers, size)
        return Part(0, size)
    if headers.get("content-type", "").lower().startswith("multipart/byteranges"):
        raise RefusedError("it answers in several parts, which nobody asked for", lasting=True)
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if match is None:
        raise RefusedError("it does not say which bytes it sends (Content-Range)", lasting=True)
    first, last = int(match[1]), int(match[2])
    if match[3] != "*" and int(match[3]) != size:
        raise _wrong_size(int(match[3]), size)
    part = Part(first, last - first + 1)
    if first != asked.offset or not 0 < part.length <= asked.length:
        raise RefusedError(f"it sends bytes {first}-{last}, which are not those that were asked for", lasting=True)
    if part.length < min(asked.length, limits.LEAST_PART):
        raise RefusedError(f"it sends {part.length} bytes at a time", lasting=True)
    if headers.get("content-length", str(part.length)).strip() != str(part.length):
        raise RefusedError("it contradicts itself about how many bytes it sends", lasting=True)
    return part


def _check_length(headers: Mapping[str, str], size: int) -> None:
    length = headers.get("content-length", "").strip()
    if length.isascii() and length.isdigit() and int(length[:20]) != size:
        raise _wrong_size(int(length[:20]), size)


def _wrong_size(theirs: int, size: int) -> RefusedError:
    return RefusedError(f"its file has {theirs:,} bytes, the torrent's {size:,}", lasting=True)


def _refused(status: int, headers: Mapping[str, str], size: int) -> RefusedError:
    match = _UNSATISFIED.fullmatch(headers.get("content-range", "").strip())
    if status == 416 and match is not None and int(match[1]) != size:
        return _wrong_size(int(match[1]), size)
    from http import HTTPStatus  # and email.utils below: 15 ms that a start without web seeds need not wait for

    try:
        words = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        words = ""
    passes = status in _PASSES
    return RefusedError(
        f"it answers {status}{words}", lasting=not passes, retry_after=retry_after(headers) if passes else None
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server wants to be left alone, within bounds; None where it does not say.

    A date counts from the server's own ``Date``: nobody's clock has to be right.
    """
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        seconds = float(said[:9])
    else:
        from email.utils import parsedate_to_datetime

        try:
            until = parsedate_to_datetime(said)
            seconds = (until - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    least, most = limits.RETRY_AFTER
    return min(max(seconds, least), most)
