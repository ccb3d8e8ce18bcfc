"""Our own engine: inputs are made from seeds and from what gave a new answer. Needs nothing, and can be had again."""

from __future__ import annotations

import random
import time
from typing import NamedTuple

from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target, execute


class Result(NamedTuple):
    """What a run came to.

    Attributes:
        inputs: how many were tried.
        kinds: different answers.
        slowest: seconds of CPU for one of them.
    """

    inputs: int
    kinds: int
    slowest: float


def run(
    target: Target, *, seconds: float = float("inf"), count: int = 1 << 62, seed: int = 0, measured: int = 50
) -> Result:
    """Try the seeds and then as many inputs as there is time for; memory is measured with one of ``measured``.

    Raises:
        Finding: an input did what none may do.
    """
    mutator = Mutator(random.Random(f"{target.name} {seed}"), target.seeds, target.words, target.max_size)
    kinds = {execute(target, data, memory=True).kind for data in target.seeds}
    inputs = len(target.seeds)
    slowest = 0.0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and inputs < count + len(target.seeds):
        data = mutator.make()
        outcome = execute(target, data, memory=inputs % measured == 0)
        inputs += 1
        slowest = max(slowest, outcome.seconds)
        if outcome.kind not in kinds:
            kinds.add(outcome.kind)
            mutator.keep(data)
    return Result(inputs, len(kinds), slowest)
