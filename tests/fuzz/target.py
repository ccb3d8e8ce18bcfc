"""What is fuzzed, and what every input is held to."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_SECONDS = 1.0
"""Of CPU for one input: nobody outside may hold the loop longer."""
HANGS = 60.0
"""Seconds of CPU, with memory being measured: then it is given up."""
MEMORY_FACTOR = 64
MEMORY_EXTRA = 8 << 20
"""Bytes at the peak: so many for each byte of the input, and these."""


@dataclass(frozen=True)
class Target:
    """One parser, or one whole session, that eats bytes.

    Attributes:
        name: dotted, its package first.
        run: takes any bytes; checks what must hold of what it made of them.
        seeds: inputs to begin with, good and bad.
        errors: what it may raise. Anything else is a finding.
        max_size: bytes of the longest input.
        words: bytes that mean something here, to be put in anywhere.
    """

    name: str
    run: Callable[[bytes], object]
    seeds: Sequence[bytes]
    errors: tuple[type[Exception], ...] = ()
    max_size: int = 4096
    words: Sequence[bytes] = ()


class Finding(Exception):
    """An input that does what none may do; its text says what."""

    def __init__(self, target: Target, data: bytes, what: str) -> None:
        super().__init__(f"{target.name}: {what}: {data[:200]!r}")
        self.target = target
        self.data = data
        self.what = what


class Outcome(NamedTuple):
    """What came of one input.

    Attributes:
        kind: the same for inputs that were answered in the same way.
        seconds: of CPU.
    """

    kind: str
    seconds: float


def execute(target: Target, data: bytes, *, memory: bool = False) -> Outcome:
    """Run one input. ``memory`` measures that too, which takes several times as long.

    Raises:
        Finding: it raised what it may not, took too long or too much.
    """
    outcome = _execute(target, data, memory=memory)
    if outcome.seconds > MOST_SECONDS:
        # Once may have been the collector of garbage, or the first import of something.
        again = min(outcome.seconds, *(_execute(target, data, memory=False).seconds for _ in range(2)))
        if again > MOST_SECONDS:
            raise Finding(target, data, f"{again:.1f} s of CPU")
    return outcome


def _execute(target: Target, data: bytes, *, memory: bool) -> Outcome:
    if memory:
        tracemalloc.start()
    signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, HANGS)
    kind = "fine"
    began = time.thread_time()
    try:
        target.run(data)
    except target.errors as error:
        # The numbers in it do not make it another answer.
        kind = f"{type(error).__name__} {_shape(str(error))}"
    except Exception as error:
        raise Finding(target, data, f"{type(error).__name__} ({error})") from error
    finally:
        seconds = time.thread_time() - began
        peak = tracemalloc.get_traced_memory()[1] if memory else 0
        if memory:
            tracemalloc.stop()
        signal.setitimer(signal.ITIMER_PROF, 0)
    if memory:
        seconds = 0.0  # mostly of the measuring
    if peak > MEMORY_FACTOR * len(data) + MEMORY_EXTRA:
        raise Finding(target, data, f"{peak / 2**20:.1f} MiB of memory for {len(data)} bytes")
    return Outcome(kind, seconds)


def _give_up(*_: object) -> None:
    raise TimeoutError("it hangs")


def _shape(text: str) -> str:
    """What an error says without what it quotes and counts."""
    return re.sub("[0-9]+", "#", re.sub("'[^']*'|\"[^\"]*\"|b'.*", "'", text))[:60]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the log: a million strangers are a million lines."""
    log = logging.getLogger("torrentlite")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
