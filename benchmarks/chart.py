"""The ratios of a page of benchmarks as bars: read from its tables, so that a figure stands in one place only."""

from __future__ import annotations

import html
import math
import re
from typing import NamedTuple

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 290, 70, 18, 34
MOST = 8.0
"""Bars end here; the figure beside them does not."""

STYLE = """<style>
text{fill:#222} .card{fill:#fff} .grid{stroke:#ddd} .one{stroke:#666} .bar{fill:#5b9bd5} .slow{fill:#e0955a}
.spread{stroke:#222} .title{font-weight:bold}
@media (prefers-color-scheme: dark){
text{fill:#ddd} .card{fill:#1b1d21} .grid{stroke:#3a3d42} .one{stroke:#aaa} .bar{fill:#3f78b3} .slow{fill:#b56a34}
.spread{stroke:#eee}}
</style>"""


class Bar(NamedTuple):
    """One row of a table."""

    name: str
    middle: float
    least: float
    most: float


def bars(page: str) -> dict[str, list[Bar]]:
    """The rows of torrentlite that have a ratio to libtorrent, by what was measured.

    That is the title of the part, and the line above the table where the part has several tables.
    """
    found: dict[str, list[Bar]] = {}
    for part in re.split(r"(?m)^## ", page)[1:]:
        title, _, text = part.partition("\n")
        tables = re.findall(r"(?m)(?:^([^|\n`].*)\n\n?)?((?:^\|.*\n?)+)", text)
        for above, table in tables:
            name = title if len(tables) == 1 else f"{title}: {above.partition(', ')[0]}"
            head, _, *rows = (
                [cell.replace("`", "").strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()
            )
            column = next((at for at, cell in enumerate(head) if cell.startswith("ratio")), None)
            if column is None:
                continue
            for row in rows:
                figures = re.fullmatch(r"([\d.]+) \(([\d.]+)–([\d.]+)\)", row[column] if column < len(row) else "")
                if figures and re.search(r"\btl\b|torrentlite", row[0]):
                    found.setdefault(name, []).append(Bar(row[0], *map(float, figures.groups())))
    return found


def svg(page: str) -> str:
    """The chart of a page; empty where it has no ratios."""
    groups = bars(page)
    if not groups:
        return ""
    reach = max(bar.most for group in groups.values() for bar in group)
    top = min(MOST, max(1.5, math.ceil(reach * 2) / 2))
    height = TOP + sum(ROW * (len(group) + 1) + 6 for group in groups.values()) + 10

    def across(figure: float) -> float:
        return round(LEFT + min(figure, top) / top * (WIDTH - LEFT - RIGHT), 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="12">',
        STYLE,
        f'<rect class="card" width="{WIDTH}" height="{height}"/>',
    ]
    step = 0.5 if top <= 4 else 1
    for number in range(int(top / step) + 1):
        x, kind = across(number * step), "one" if number * step == 1 else "grid"
        lines.append(f'<path class="{kind}" d="M{x} {TOP - 6}V{height - 8}"/>')
        lines.append(f'<text x="{x}" y="{TOP - 12}" text-anchor="middle">{number * step:g}</text>')
    y = TOP
    for title, group in groups.items():
        y += ROW
        lines.append(f'<text class="title" x="8" y="{y - 5}">{html.escape(title)}</text>')
        for bar in group:
            y += ROW
            least, most = across(bar.least), across(bar.most)
            kind = "bar" if bar.middle >= 1 else "slow"
            lines += [
                f'<text x="{LEFT - 8}" y="{y - 5}" text-anchor="end">{html.escape(bar.name)}</text>',
                f'<rect class="{kind}" x="{LEFT}" y="{y - 15}" width="{across(bar.middle) - LEFT:.1f}" height="12"/>',
                f'<path class="spread" d="M{least} {y - 9}H{most}M{least} {y - 12}v6M{most} {y - 12}v6"/>',
                f'<text x="{most + 6:.1f}" y="{y - 5}">{bar.middle:g}</text>',
            ]
        y += 6
    return "\n".join([*lines, "</svg>"]) + "\n"
