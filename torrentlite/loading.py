"""From what a person names (path, URL, link, hash) to a Metainfo or Magnet."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING

import trio

from .errors import DhtError, NetworkError, NoPeersError, SourceError
from .given import peers_of
from .limits import LOAD_DEADLINE, MAX_TORRENT_FILE
from .loops import require_trio
from .metainfo.info import InfoHashes
from .metainfo.link import URL_HINT, is_magnet, is_mutable, is_strange_url, is_url
from .metainfo.magnet import Magnet
from .metainfo.metainfo import Metainfo
from .metainfo.mutable import MutableLink
from .metainfo.text import display
from .net.http import HttpClient
from .net.network import RealNetwork
from .settings import USER_AGENT, Settings
from .swarm.discovery import check_port
from .swarm.world import real_world
from .tracker.redact import redact
from .wire.address import Scope, scope_of

if TYPE_CHECKING:
    from .dht import Node


async def load(
    source: str | PathLike[str],
    *,
    nodes: Iterable[tuple[str, int]] | None = None,
    settings: Settings | None = None,
) -> Metainfo | Magnet:
    """Read a .torrent from a path or an http(s) URL, or understand a magnet link or info-hash.

    A file wins over an info-hash of its name. Where a link that stays (``magnet:?xs=urn:btpk:…``, BEP 46) leads to now,
    the DHT is asked.

    Args:
        source: the path, URL, link or hash.
        nodes: (host, port) of nodes of the DHT to ask by; None for the public ones.
        settings: of the session that it is for, which say whether the DHT may be asked, and through which proxy and
            interface and from which address (but a loopback one); None for the defaults.

    Raises:
        SourceError: there is no such file, or the server says so (HTTP 4xx); the settings name no proxy.
        MetainfoError: it is no usable .torrent, or of a kind that is not spoken. MagnetError: no usable link.
        NetworkError: no answer. ListenError: the settings name an interface that is not there.
        TypeError: a node is no pair. ValueError: there is no such port.
        DhtError: nobody knows where a link that stays leads to; the settings forbid to ask; the ``cryptography``
            package is not installed.
    """
    require_trio("load")
    text = os.fspath(source)
    settings = settings or Settings()
    if isinstance(source, str):
        if is_url(text):
            return await _from_url(text.strip(), settings)
        if is_mutable(text):
            if not settings.dht:
                raise DhtError("the DHT is switched off, and only it knows where this link leads to")
            nodes = settings.bootstrap if nodes is None else nodes
            return await _from_dht(MutableLink.parse(text), nodes, settings)
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
        hint = URL_HINT if is_strange_url(path) else "a magnet link starts with magnet:?xt=urn:btih:"
        raise SourceError(f"cannot read '{shown}': {what.lower()}", hint=hint) from error
    return Metainfo.from_bytes(data)


async def _from_url(url: str, settings: Settings) -> Metainfo:
    # A session on loopback has a torrent of elsewhere loaded all the same.
    host = settings.host if scope_of(settings.host) > Scope.LOOPBACK else ""
    world = real_world(host, settings.interface).behind(settings.proxy)
    http = HttpClient(world.network, user_agent=USER_AGENT, proxies=world.proxies)
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


async def load_for(source: str | PathLike[str], settings: Settings | None, timeout: float | None) -> Metainfo | Magnet:
    """``load`` with a time limit.

    Raises:
        NoPeersError: it took longer than ``timeout`` seconds.
        Others: as ``load``.
    """
    with trio.move_on_after(math.inf if timeout is None else timeout):
        return await load(source, settings=settings)
    raise NoPeersError(f"{os.fspath(source)}: not read after {timeout:g} s")


async def _from_dht(link: MutableLink, nodes: Iterable[tuple[str, int]] | None, settings: Settings) -> Magnet:
    from .dht import DhtSettings, open_node  # 20 ms that others need not wait for
    from .dht.opening import routers_for

    nodes = nodes if nodes is None else [(name, check_port(port)) for name, port in peers_of(nodes, "nodes")]
    routers = routers_for(settings.host) if nodes is None else ()
    # Here for a moment only, so that nobody should come to count on it (BEP 43).
    async with open_node(
        host=settings.host,
        nodes=nodes or (),
        routers=routers,
        settings=DhtSettings(read_only=True),
        network=RealNetwork(settings.host, settings.interface),
    ) as node:
        with trio.move_on_after(LOAD_DEADLINE):
            await node.wait_joined()
            return await newest(link, node)
    raise NetworkError("no node of the DHT answers, or not in time", hint="tl doctor says what is wrong")


async def newest(link: MutableLink, node: Node) -> Magnet:
    """What the link leads to now.

    Raises:
        DhtError: nobody knows; the ``cryptography`` package is not installed.
    """
    from .dht.item import torrent_of

    item = await node.get_mutable(link.key, salt=link.salt)
    info_hash = torrent_of(item) if item is not None else None
    if info_hash is None:
        raise DhtError(
            "nobody in the DHT knows where this link leads to"
            if item is None
            else "this link leads to something that is no torrent",
            hint="its owner has to publish it again: what was not heard of for two hours is forgotten",
        )
    return Magnet(InfoHashes(info_hash))
