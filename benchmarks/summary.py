"""The words around the figures in docs/benchmarks.md."""

from __future__ import annotations

import re

HEAD = """# Benchmarks

Taken on: {machine}.

Everything here can be repeated: `pip install -e ".[dev]"`, then the command above each table, or
`python -m benchmarks all docs/benchmarks.md` for all of it. Rows of one table are measured in turns, round by round, in
fresh processes, over loopback; figures are medians, and ratios are medians of the ratios of each round, with the least
and the greatest beside them. A ratio above 1 is faster than libtorrent to libtorrent.

How it compares, for each table below that has a ratio: the bar is the median, the line from the least to the greatest.

![Times as fast as libtorrent]({chart})

How libtorrent is set up: once with its defaults, once with its high-performance preset (`lt-fast`), and the better one
counts. For all, encryption is off (RC4 would be measured, and not who uses it), uTP, DHT and local discovery are off,
and torrents are not auto-managed (they would begin half a second later).

What disturbs most is a machine that gives free memory back to its host: a page that comes from there again costs four
times as much to write. So: several rounds, medians, and ratios of rows that ran one after the other.

The figures of the [DHT](dht.md), of [asyncio](asyncio.md), of [reading](reading.md) and of [web seeds](web-seeds.md)
stand there.
"""


EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>\n'
"""A chart of nothing: while no part with a ratio has been measured."""


def parts(page: str) -> dict[str, str]:
    """What stands under each title of a page, without the title."""
    return dict(part.split("\n", 1) for part in re.split(r"(?m)^## ", page)[1:])


def head(page: str) -> str:
    """What stands before the first of them."""
    return re.split(r"(?m)^## ", page)[0]


def joined(head: str, parts: dict[str, str]) -> str:
    """The page again."""
    return "\n\n".join([head.strip(), *(f"## {title}\n\n{text.strip()}" for title, text in parts.items())]) + "\n"


def spaced(said: str) -> str:
    """What a benchmark printed, with the empty lines around tables that Markdown wants."""
    return re.sub(r"(?m)^(?!\|)(.+)\n(?=\|)", r"\1\n\n", re.sub(r"(?m)^(\|.*)\n(?!\||\Z)", r"\1\n\n", said)).strip()
