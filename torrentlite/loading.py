"""From what a person names (path, URL, link, hash) to a Metainfo or Magnet."""

from __future__ import annotations

import os
from os import PathLike

import trio

from .errors import NetworkError, SourceError
from .limits import LOAD_DEADLINE, MAX_TORRENT_FILE
from .loops import require_trio
from .metainfo.link import is_magnet, is_url
from .metainfo.magnet import Magnet
from .metainfo.metainfo import Metainfo
from .metainfo.text import display
from .net.http import HttpClient
from .net.network import RealNetwork
from .settings import USER_AGENT
from .tracker.redact import redact
from .wire.address import Scope


async def load(source: str | PathLike[str]) -> Metainfo | Magnet:
    """Read a .torrent from a path or an http(s) URL, or understand a magnet link or info-hash.

    A file wins over an info-hash of its name.

    Raises:
        SourceError: there is no such file, or the server says so (HTTP 4xx).
        MetainfoError: it is no usable .torrent, or of a kind that is not spoken. MagnetError: no usable link.
        NetworkError: no answer.
    """
    require_trio("load")
    text = os.fspath(source)
    if isinstance(source, str):
        if is_url(text):
            return await _from_url(text.strip())
        if is_magnet(text) and not await trio.to_thread.run_sync(os.path.exists, text, abandon_on_cancel=True):
            return Magnet.parse(text)
    # Abandoned when cancelled: a read owns nothing, and a FIFO may have nobody at its other end.
    return await trio.to_thread.run_sync(_from_path, text, abandon_on_cancel=True)


def _from_path(path: str) -> Metainfo:
    shown = display(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TORRENT_FILE + 1)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            f"cannot read '{shown}': {what.lower()}", hint="a magnet link starts with magnet:?xt=urn:btih:"
        ) from error
    return Metainfo.from_bytes(data)


async def _from_url(url: str) -> Metainfo:
    http = HttpClient(RealNetwork(), user_agent=USER_AGENT)
    try:
        reply = await http.get(url, within=Scope.LOOPBACK, max_bytes=MAX_TORRENT_FILE, timeout=LOAD_DEADLINE)
    finally:
        await http.aclose()
    if 400 <= reply.status < 500:
        raise SourceError(
            f"{redact(url)}: the server says {reply.status}", hint="look at the URL: it has to lead to a .torrent"
        )
    if reply.status != 200:
        raise NetworkError(f"{redact(url)}: the server says {reply.status}", hint="try again later")
    return await trio.to_thread.run_sync(Metainfo.from_bytes, reply.body)
