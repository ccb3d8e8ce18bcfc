"""Opening a node with sockets of its own."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

import trio

from ..errors import NetworkError
from ..limits import DHT_SAVE_INTERVAL
from ..loops import require_trio_alone
from ..net.network import Datagrams, Network, RealNetwork
from ..wire.address import Address, Scope, scope_of
from .node import Node
from .settings import DhtSettings
from .statefile import StateFile

ROUTERS: Final = (("dht.libtorrent.org", 25401), ("dht.transmissionbt.com", 6881), ("router.bt.ouinet.work", 6881))
"""Public nodes that help others in; asked together, and only when nobody else has answered."""


def routers_for(host: str) -> tuple[tuple[str, int], ...]:
    """The public ones, for a node that receives at this address only: none on loopback, from where no way leads out."""
    return () if scope_of(host) is Scope.LOOPBACK else ROUTERS


@contextlib.asynccontextmanager
async def open_node(
    *,
    host: str = "",
    port: int = 0,
    nodes: Iterable[tuple[str, int]] = (),
    routers: Iterable[tuple[str, int]] = ROUTERS,
    settings: DhtSettings | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    network: Network | None = None,
    rng: random.Random | None = None,
    secret: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[Node]:
    """Open a node; when the block is left, everything that it started has ended.

    An exception of the block comes out as itself, not in an ExceptionGroup.

    Args:
        host: receive at this IP address only; empty for all, IPv4 and IPv6.
        port: UDP; 0 for any free one.
        nodes: (host, port) of nodes to join by, wherever they are.
        routers: public ones, asked when nobody else answers; none for a network of its own.
        settings: choices; None for the defaults.
        state_dir: where ids and table are kept; None: nowhere.
        network: where sockets and names come from; None: the real one.
        rng: for choices; None for one of its own.
        secret: ``secret(n)`` gives n unpredictable bytes.

    Raises:
        ListenError: the port or the address cannot be had.
        RuntimeError: Trio does not run here.
    """
    require_trio_alone("dht.open_node")
    network = network or RealNetwork(host)
    failure: BaseException | None = None
    try:
        async with contextlib.AsyncExitStack() as stack, trio.open_nursery() as nursery:
            # A nursery would wrap what is raised in it, so it is carried out by hand.
            try:
                sockets = await network.open_datagrams(host, port)
                for socket in sockets:
                    stack.callback(socket.close)
                file = StateFile(state_dir) if state_dir is not None else None
                if file is not None:
                    stack.callback(file.close)
                node = Node(
                    _sender(sockets),
                    [socket.address.is_ipv6 for socket in sockets],
                    settings=settings,
                    rng=rng,
                    secret=secret,
                    saved=file.read() if file is not None else None,
                    own=[socket.address for socket in sockets],
                    network=network,
                )
                for socket in sockets:
                    nursery.start_soon(_receive, socket, node)
                nursery.start_soon(node.run)
                nursery.start_soon(_join, node, tuple(nodes), tuple(routers))
                if file is not None:
                    nursery.start_soon(_save, node, file)
                    stack.callback(lambda: file.write(node.save()))
                yield node
            except BaseException as error:
                failure = error
            nursery.cancel_scope.cancel()
    except BaseException:
        if failure is None or isinstance(failure, trio.Cancelled):  # a task of ours failed, and so ended the block
            raise
    if failure is not None:
        raise failure


def _sender(sockets: Sequence[Datagrams]) -> Callable[[bytes, Address], object]:
    by_family = {socket.address.is_ipv6: socket for socket in sockets}
    return lambda data, to: by_family[to.is_ipv6].send(data, to)


async def _receive(socket: Datagrams, node: Node) -> None:
    with contextlib.suppress(NetworkError):  # closed
        while True:
            node.got_datagrams(await socket.receive())


async def _join(node: Node, nodes: Sequence[tuple[str, int]], routers: Sequence[tuple[str, int]]) -> None:
    async with trio.open_nursery() as nursery:
        for host, port in nodes:
            nursery.start_soon(node._add_quietly, host, port)
    if routers:
        await node.run_bootstrap(routers)


async def _save(node: Node, file: StateFile) -> None:
    while True:
        await trio.sleep(DHT_SAVE_INTERVAL)
        await trio.to_thread.run_sync(file.write, node.save())
