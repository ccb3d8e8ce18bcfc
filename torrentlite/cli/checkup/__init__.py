"""What ``tl doctor`` looks at: each check really does what it is about, and each finding comes with its cure."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Verdict(enum.Enum):
    """How a check ended; the values are the words that people and scripts see."""

    OK = "ok"
    NOTE = "note"
    """It works, and could be better."""
    BAD = "bad"
    """Something will not work."""
    UNKNOWN = "unknown"
    """It could not be found out."""


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        name: what was looked at, in a word or two.
        message: what is so.
        cure: what to do about it; empty where nothing needs to be done.
    """

    name: str
    verdict: Verdict
    message: str
    cure: str = ""
