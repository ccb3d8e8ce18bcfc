"""The words around the figures in docs/benchmarks.md."""

from __future__ import annotations

import re

HEAD = """# Benchmarks

Taken on: {machine}.

Everything here can be repeated: `pip install -e ".[dev]"`, then the command above each table, or
`python -m benchmarks all docs/benchmarks.md` for all of it. Rows of one table are measured in turns, round by round, in
fresh processes, over loopback; figures are medians, and ratios are medians of the ratios of each round, with the least
and the greatest beside them. A ratio above 1 is faster than libtorrent to libtorrent.

How libtorrent is set up: once with its defaults, once with its high-performance preset (`lt-fast`), and the better one
counts. For all, encryption is off (torrentlite speaks no MSE, and libtorrent's first attempt would cost it a second),
uTP, DHT and local discovery are off, and torrents are not auto-managed (they would begin half a second later).
"""


def spaced(said: str) -> str:
    """What a benchmark printed, with the empty lines around tables that Markdown wants."""
    return re.sub(r"(?m)^(?!\|)(.+)\n(?=\|)", r"\1\n\n", re.sub(r"(?m)^(\|.*)\n(?!\||\Z)", r"\1\n\n", said)).strip()
