"""Rounds: every row once a round, so a machine that speeds up or slows down does so for all rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

Result = dict[str, float]


def interleaved(rows: Mapping[str, Callable[[], Result]], runs: int) -> dict[str, list[Result]]:
    """Run each row once a round; what each gave, round by round."""
    results: dict[str, list[Result]] = {row: [] for row in rows}
    for _ in range(runs):
        for row, run in rows.items():
            results[row].append(run())
    return results


def middle(numbers: Sequence[float]) -> float:
    """The median."""
    return statistics.median(numbers)


def spread(numbers: Sequence[float], digits: int = 2) -> str:
    """The least and the greatest, as in a table."""
    return f"({min(numbers):.{digits}f}–{max(numbers):.{digits}f})"


def ratio(of: Sequence[float], to: Sequence[float], digits: int = 2) -> str:
    """The median of the ratios of each round, and their extremes."""
    ratios = [one / other for one, other in zip(of, to, strict=True)]
    return f"{middle(ratios):.{digits}f} {spread(ratios, digits)}"
