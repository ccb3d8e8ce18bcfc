"""Trio's scheduler with its dice seeded: the one place that reaches into Trio's private names.

Trio runs the tasks of each round in a shuffled order. To replay a run that shuffle must come from the run's seed. Trio
has the switch for this (it lets Hypothesis replay tests) but no public name for it.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any, Final

_MODULE: Final = "trio._core._run"
_SWITCH: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_DICE: Final = "_r"


@contextlib.contextmanager
def seeded_scheduler(seed: int | str) -> Iterator[None]:
    """Make the order in which Trio runs tasks depend on the seed only; put everything back afterwards.

    Use it around ``trio.run``, not inside: a round that was shuffled before is not shuffled again.

    Raises:
        RuntimeError: this version of Trio has other private names; nothing can be replayed with it.
    """
    run: Any = importlib.import_module(_MODULE)
    if not (hasattr(run, _SWITCH) and hasattr(getattr(run, _DICE, None), "shuffle")):
        raise RuntimeError(f"this version of Trio has no {_MODULE}.{_SWITCH} and {_DICE}: a run could not be replayed")
    dice = getattr(run, _DICE)
    switch, state = getattr(run, _SWITCH), dice.getstate()
    setattr(run, _SWITCH, True)
    dice.seed(f"{seed}/scheduler")  # of a str, since the hash of other objects may differ from process to process
    try:
        yield
    finally:
        setattr(run, _SWITCH, switch)
        dice.setstate(state)
