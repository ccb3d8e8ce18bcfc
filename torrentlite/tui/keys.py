"""Bytes of a keyboard as names of keys. Pure."""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left",
    b"\x1b[5~": "page up", b"\x1b[6~": "page down",
    b"\x1b[H": "home", b"\x1b[F": "end", b"\x1bOH": "home", b"\x1bOF": "end",
    b"\x1b[1~": "home", b"\x1b[4~": "end", b"\x1b[7~": "home", b"\x1b[8~": "end",
    b"\t": "tab", b"\x1b[Z": "left", b"\r": "enter", b"\n": "enter", b"\x1b": "escape",
    b"j": "down", b"k": "up",
}  # fmt: skip
_KEY: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[A-Za-z]|\x1b|[^\x1b]", re.DOTALL)


_FINGERS: Final = 4
"""Different letters that may come at once; more are text that was pasted, and a "q" in it is not meant."""


def decode(data: bytes) -> list[str]:
    """The keys in what was read at once; letters are themselves, in lower case. What is not known is left out, and so
    is all of a text that was pasted."""
    found = []
    for match in _KEY.findall(data):
        if match in _NAMES:
            found.append(_NAMES[match])
        elif len(match) == 1 and 0x20 < match[0] < 0x7F:
            found.append(match.decode("ascii").lower())
    letters = {key for key in found if len(key) == 1}
    return found if len(letters) <= _FINGERS else []
