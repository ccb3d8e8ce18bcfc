"""SRC: a .torrent path, a magnet link, an info-hash, an http(s) URL of a .torrent, or ``-`` for one on stdin."""

from __future__ import annotations

import os
import re
import shlex
import stat
from typing import TYPE_CHECKING, Final

from ..errors import BencodeError, MetainfoError, NetworkError, SourceError, UnsupportedTorrentError
from ..metainfo.link import URL_HINT, is_magnet, is_mutable, is_strange_url, is_url
from ..metainfo.text import display
from .exits import UsageError, closest_path, require_extra

if TYPE_CHECKING:
    import argparse

    from .. import Magnet, Metainfo
    from .output import Output

_ALMOST_HASH: Final = re.compile(r"[0-9a-fA-F]{30,72}")
_MAGNET_HINT: Final = "(a magnet link starts with magnet:?xt=urn:btih:)"


def is_link(source: str) -> bool:
    """Whether this is meant as a magnet link, URL or info-hash, pasted with blanks or not, and not as a path."""
    return is_url(source) or (is_magnet(source) and not os.path.exists(source))


async def read(source: str, args: argparse.Namespace, output: Output) -> Metainfo | Magnet:
    """Read what SRC names.

    Raises:
        SourceError, MetainfoError, MagnetError, NetworkError, DhtError: with a hint where there is one.
    """
    try:
        if is_mutable(source):
            return await _newest(source, args, output)
        return await _read(source, args, output)
    except (MetainfoError, BencodeError) as error:
        if not isinstance(error, UnsupportedTorrentError):
            error.args = (f"'{shown(source)}': {error}",)  # of several sources, which one
        raise
    except NetworkError as error:
        other = "at --proxy" if args.proxy else "at the network; tl doctor looks at the latter"
        error.hint = error.hint or f"look at the URL, and {other}"
        raise


async def _read(source: str, args: argparse.Namespace, output: Output) -> Metainfo | Magnet:
    import torrentlite

    from .output import Job
    from .progress import Glance

    if source == "-":
        return await _from_stdin()
    if is_link(source):
        listen = getattr(args, "listen", None)  # tl magnet has none
        settings = torrentlite.Settings(host=listen[0] if listen else "", proxy=args.proxy, interface=args.interface)
        with output.showing_live(Job(lambda: Glance(display(shown(source)), "asking"))):  # a server may keep silent
            return await torrentlite.load(source, settings=settings)
    _check_path(source)
    try:
        return await torrentlite.load(source)
    except (MetainfoError, BencodeError) as error:
        if not error.hint and not source.endswith(".torrent"):
            error.hint = f"this is no .torrent; to share it: tl seed {shlex.quote(source)}"
        raise


async def _newest(source: str, args: argparse.Namespace, output: Output) -> Magnet:
    """Where a link that stays leads to now."""
    from ..loading import newest
    from ..metainfo.mutable import MutableLink
    from . import dht, sessions
    from .output import Job
    from .progress import Glance

    link = MutableLink.parse(source)
    sessions.refuse_proxy(args, "the DHT, and only that knows where this link leads to")
    if getattr(args, "no_dht", True):  # tl magnet asks nobody
        raise UsageError("only the DHT knows where this link leads to", hint=f"tl info {shlex.quote(source)} asks it")
    require_extra("a link that stays", "cryptography", "crypto")
    async with dht.node_of(args, output, host=args.listen[0] if args.listen else "") as node:
        job = Job(lambda: Glance(shown(source), "asking the DHT"))
        with output.showing_live(job):
            await dht.joined(node, args, getattr(args, "timeout", None))
            magnet = await newest(link, node)
    output.event("resolved", magnet.info_hash, link=str(link))
    output.note(f"the link leads to {magnet.info_hash} now")
    return magnet


def _check_path(path: str) -> None:
    """Say what is wrong with a path in the words that help most.

    Raises:
        SourceError: it is not there, or not a file.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(f"cannot read '{path}': no such file", hint=_hint_for_missing(path)) from None
    except (OSError, ValueError):
        return  # whoever opens it says why
    if stat.S_ISDIR(mode):
        raise SourceError(f"cannot read '{path}': it is a folder", hint=f"to share it: tl seed {shlex.quote(path)}")


def _hint_for_missing(path: str) -> str:
    if _ALMOST_HASH.fullmatch(path):
        return f"an info-hash has 40 hex or 32 base32 characters, of v2 64 hex; this has {len(path)}"
    if is_strange_url(path):
        return URL_HINT
    meant = closest_path(path, suffix=".torrent")
    return f"did you mean '{meant}'?   {_MAGNET_HINT}" if meant else _MAGNET_HINT


async def _from_stdin() -> Metainfo:
    import trio

    from .. import Metainfo
    from ..limits import MAX_TORRENT_FILE

    if os.isatty(0):
        raise SourceError("'-' reads a .torrent from stdin, and stdin is the terminal", hint="tl fetch - < x.torrent")

    def everything() -> bytes:
        with open(0, "rb", closefd=False) as stdin:
            return stdin.read(MAX_TORRENT_FILE + 1)

    try:
        data = await trio.to_thread.run_sync(everything, abandon_on_cancel=True)
    except OSError as error:
        raise SourceError(f"cannot read stdin: {error.strerror}") from error
    if not data:
        raise SourceError("nothing came on stdin")
    return Metainfo.from_bytes(data)


def shown(source: str) -> str:
    """The source as it can be named in a message: links are long, and their start says enough."""
    return "stdin" if source == "-" else source if len(source) <= 80 else f"{source[:79]}…"
