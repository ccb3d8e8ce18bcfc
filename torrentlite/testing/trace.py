"""A fingerprint of a run: everything that happened, and when."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Callable
from typing import Final

import trio

_PLAIN: Final = (type(None), bool, int, float, str, bytes)


class Trace:
    """Events with their virtual times, as one running hash: two runs were the same where their digests are.

    The simulated network, disks and trackers record what they do here, faults above all; a test adds what it likes.

    Args:
        sink: is called with each event as a line of text, to look for the first difference of two runs.

    Attributes:
        counts: how often each kind of event was recorded. A test of a fault asks here whether the fault happened.
    """

    def __init__(self, sink: Callable[[str], object] | None = None) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._sink = sink
        self.counts: collections.Counter[str] = collections.Counter()

    def __repr__(self) -> str:
        return f"<Trace of {self.counts.total()} events, {self.digest()}>"

    def record(self, kind: str, *details: object) -> None:
        """Add an event, with the time of Trio's clock.

        Args:
            kind: what it is counted as.
            details: None, numbers, text, bytes, and tuples of these.

        Raises:
            TypeError: it is of a kind whose text may differ from process to process (a set, an object's address).
        """
        _check(details)
        line = repr((trio.current_time(), kind, *details))
        self._hash.update(line.encode("utf-8", "surrogatepass") + b"\n")
        self.counts[kind] += 1
        if self._sink is not None:
            self._sink(line)

    def digest(self) -> str:
        """32 hex digits of everything up to now."""
        return self._hash.hexdigest()


def _check(part: object) -> None:
    if isinstance(part, tuple):
        for inner in part:
            _check(inner)
    elif type(part) not in _PLAIN:
        raise TypeError(f"{type(part).__name__} may look different in the next run; record numbers, text or tuples")
