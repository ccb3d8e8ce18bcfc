"""Untrusted text, made fit to be shown: names, comments, what trackers and peers say.

A terminal obeys escape sequences, bidirectional overrides turn ``gpj.exe`` into ``exe.jpg`` for the eye, and invisible
characters make two different names look the same. And sizes, as people read them.
"""

from __future__ import annotations

import re
from typing import Final

from .. import limits

HIDDEN: Final = (
    "\u0000-\u001f\u007f-\u009f"  # C0, DEL, C1: what terminals obey
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of direction
    "\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # no width
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters without a picture
    "\u2028\u2029"  # separators of lines and paragraphs
    "\ud800-\udfff"  # halves of surrogate pairs: no encoder takes them
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"  # controls of notation, tags
)
"""Characters that nobody can see, as ranges of a regular expression's class.

Written out, not asked of ``unicodedata``: file names are made safe by it too, and must be the same under every Python.
"""

_BREAKS: Final = re.compile("\r\n|[\t\n\v\f\r\u0085\u2028\u2029]")
_HIDDEN: Final = re.compile(f"[{HIDDEN}]")


def display(text: str | bytes, *, limit: int = limits.MAX_DISPLAY) -> str:
    """One line of at most ``limit`` characters, all of them visible.

    Bytes are read as UTF-8. Line breaks and tabs become spaces; what is hidden or no UTF-8 becomes U+FFFD, the
    replacement character; what is cut off is announced by an ellipsis. It is still text: markup has to be escaped, or
    switched off, by whoever knows of it.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode(errors="replace")  # 4 bytes make a character at most
    head = _HIDDEN.sub("\ufffd", _BREAKS.sub(" ", text[: limit + 1]))
    return head if len(text) <= limit else head[: limit - 1] + "…"


def size(count: float) -> str:
    """``482 MiB``: three digits, binary units."""
    number, unit = scaled(count)
    return f"{number} {unit}"


def scaled(count: float) -> tuple[str, str]:
    """A size as its number, of three digits, and its unit."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = 0
    # 999.5 and not 1000: "1000 KiB" has a digit too many, and 1023.9 would round to it.
    while count >= 999.5 and power < len(units) - 1:
        count /= 1024
        power += 1
    if power == 0:
        return str(int(count)), units[0]
    return f"{count:.{2 if count < 9.995 else 1 if count < 99.95 else 0}f}", units[power]
