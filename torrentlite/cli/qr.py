"""A link as a QR code of characters, for ``--qr``; needs the extra ``qr`` (segno)."""

from __future__ import annotations

import functools
import importlib.util
import io
import sys
from collections.abc import Iterator
from typing import Final

from .. import Magnet
from .exits import require_extra
from .output import Output
from .terminal import Mode, terminal_size

_BORDER: Final = 2
"""Light modules around it. The standard asks for four, and readers are content with two: it has to fit the screen."""
_LIGHT_ON_DARK: Final = "\x1b[38;5;231;48;5;16m"


def require_qr() -> None:
    """Look whether codes can be drawn, before work is done for one.

    Raises:
        UsageError: segno is not installed.
    """
    require_extra("--qr", "segno", "qr")


def show(link: str, output: Output) -> None:
    """Draw it on stderr, under the link itself; nothing in JSON."""
    if output.mode is Mode.JSON:
        return
    columns = terminal_size()[0]
    for form in _forms(link):
        lines = draw(form, blocks=_has_blocks())
        if lines and len(lines[0]) <= columns:
            break
    else:
        output.log("the link is too long for a QR code on this terminal; a wider one, or a smaller font, helps")
        return
    if form != link:
        output.note("(the code leaves out the name, and what else did not fit)")
    for line in lines:
        output.log(f"{_LIGHT_ON_DARK}{line}\x1b[0m" if output.colour else line)


def installed() -> bool:
    """Whether codes can be drawn."""
    return importlib.util.find_spec("segno") is not None


@functools.lru_cache(maxsize=4)
def fitting(link: str, columns: int, rows: int) -> tuple[str, ...]:
    """The lines of a code that leads there, in half blocks; none where none fits, or segno is not installed."""
    if not installed():
        return ()
    for form in _forms(link):
        lines = draw(form, blocks=True)
        if lines and len(lines) <= rows and len(lines[0]) <= columns:
            return tuple(lines)
    return ()


def draw(text: str, *, blocks: bool) -> list[str]:
    """The lines of a code, light modules drawn and dark ones left out; none where the text is too long for any.

    Args:
        text: what the code says.
        blocks: two modules in each character, by half blocks; else two characters a module, in ASCII.
    """
    import segno

    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        return []
    if blocks:
        out = io.StringIO()
        code.terminal(out, compact=True, border=_BORDER)
        return out.getvalue().splitlines()
    return ["".join("  " if dark else "##" for dark in row) for row in code.matrix_iter(border=_BORDER)]


def _forms(link: str) -> Iterator[str]:
    """The link, and shorter ones that lead to the same data."""
    yield link
    short = Magnet.parse(link)._replace(name="", web_seeds=())
    for trackers, peers in ((100, 8), (3, 8), (1, 4), (1, 1), (0, 1), (0, 0)):
        yield str(short._replace(trackers=short.trackers[:trackers], peers=short.peers[:peers]))


def _has_blocks() -> bool:
    try:
        "▀▄█".encode(getattr(sys.stderr, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
