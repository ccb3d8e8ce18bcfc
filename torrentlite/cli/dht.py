"""``tl dht lookup HASH`` and ``tl dht node``: the distributed hash table (BEP 5) by itself."""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
from collections.abc import AsyncIterator

import trio

from .. import Magnet, MagnetError
from ..dht import DhtSettings, Node, open_node
from ..dht.opening import routers_for
from ..errors import ListenError, NetworkError, NoPeersError
from ..metainfo.link import is_mutable
from ..net.network import RealNetwork
from . import sessions, units
from .exits import Exit, UsageError
from .output import Job, Output
from .progress import Glance
from .signals import Interrupt

PATIENCE = 20.0
"""Seconds within which a node joins wherever it can: on good lines it takes two."""
_TELL = 1.0
"""Seconds between two looks at a node that runs."""


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Ask the DHT once, or run a node until Ctrl-C."""
    sessions.refuse_proxy(args, "the DHT")
    if args.action == "node":
        if args.hash is not None:
            raise UsageError(
                f"'{args.hash}': a node is about no torrent",
                hint=f"to ask for it: tl dht lookup {shlex.quote(args.hash)}",
            )
        return await _node(args, output, interrupt)
    if args.hash is None:
        raise UsageError("missing: HASH", hint="usage: tl dht lookup HASH")
    with interrupt.scope:
        return await _lookup(_parse(args.hash), args, output)
    return interrupt.code


def _parse(text: str) -> bytes:
    if is_mutable(text):
        hint = f"where it leads to, and who has that: tl peers {shlex.quote(text)}"
        raise UsageError("this link names a key, and no torrent", hint=hint)
    try:
        return Magnet.parse(text.strip()).hashes.wire
    except MagnetError as error:
        raise UsageError(
            f"'{text}' is no info-hash", hint="40 hex or 32 base32 characters, or a magnet link"
        ) from error


@contextlib.asynccontextmanager
async def node_of(
    args: argparse.Namespace, output: Output, *, host: str | None = None, port: int = 0, stays: bool = False
) -> AsyncIterator[Node]:
    """A node by these flags. Bound to loopback it asks no public nodes; unless it stays, others do not count on it.

    Args:
        host: where to listen, at any free port, in place of ``--listen``, which is somebody else's; None: there.
        port: without ``--listen``.
    """
    if host is None:
        host, port = args.listen or ("", port)
    bootstrap = tuple(args.bootstrap)
    routers = () if bootstrap else routers_for(host)
    state = sessions.state_dir(args, output)
    async with open_node(
        host=host,
        port=port,
        nodes=(*bootstrap, *routers),
        routers=routers,
        settings=DhtSettings(read_only=None if stays else True),
        state_dir=state,
        network=RealNetwork(host, args.interface),
    ) as node:
        yield node


async def joined(node: Node, args: argparse.Namespace, timeout: float | None) -> None:
    """Wait until it has joined.

    Args:
        args: by which ``node_of`` made it.
        timeout: seconds; None for the usual ones, 0 for as long as it takes.

    Raises:
        NetworkError: nobody answers, or can be asked.
    """
    with trio.move_on_after(PATIENCE if timeout is None else timeout or math.inf):
        await node.wait_joined()
        return
    sessions.check_interface(args)
    raise NetworkError(
        "no node of the DHT answers", hint="--bootstrap HOST:PORT names one; tl doctor says what is wrong"
    )


async def _lookup(info_hash: bytes, args: argparse.Namespace, output: Output) -> int:
    async with node_of(args, output) as node:
        job = Job(lambda: Glance(info_hash.hex(), "asking the DHT", peers=len(search.peers)))
        search = node.get_peers(info_hash)
        with output.showing_live(job):
            await joined(node, args, args.timeout)
            async for peer in search:
                output.answer("peer", info_hash.hex(), host=peer.host, port=peer.port, sources=["dht"])
                output.result(str(peer))
        stats = node.stats()
        output.event("dht", info_hash.hex(), nodes=stats.nodes, peers=len(search.peers))
        if not search.peers:
            raise NoPeersError(f"the DHT knows no peer of {info_hash.hex()}")
        output.note(f"{units.plural(len(search.peers), 'peer')}, from {units.plural(stats.nodes, 'node')} of the DHT")
    return Exit.DONE


async def _node(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    port = sessions.kept_port(sessions.state_dir(args, output)) if args.listen is None else 0
    async with contextlib.AsyncExitStack() as stack:
        try:
            node = await stack.enter_async_context(node_of(args, output, port=port, stays=True))
        except ListenError:
            if args.listen is not None:
                raise
            node = await stack.enter_async_context(
                node_of(args, output, stays=True)
            )  # the kept port is somebody else's now
        first = node.addresses[0]
        output.event("listening", host=first.host, port=first.port)
        output.result("\n".join(f"{address}/udp" for address in node.addresses))
        with interrupt.scope:
            said = (False, -1)
            while True:
                stats = node.stats()
                now = node.joined, stats.nodes
                if now != said:
                    stored = sum(side.peers for side in stats.sides)
                    output.event("dht", nodes=stats.nodes, state="joined" if node.joined else "joining", stored=stored)
                    if now[0] and not said[0]:
                        output.note(f"joined: {units.plural(stats.nodes, 'node')} so far; Ctrl-C ends it")
                    said = now
                await trio.sleep(_TELL)
    return interrupt.ordinary_code
