"""Run in a namespace behind a gateway: opens a port by one protocol, tells of it, greets who comes, closes it again.

Usage: behind_gateway.py pcp|natpmp|upnp. Prints a line of JSON at each step; leaves at the end of its input.
"""

import json
import os
import sys

import trio

import torrentlite.net.portmap.mapper as mapper
from torrentlite.net.http import HttpClient
from torrentlite.net.network import RealNetwork
from torrentlite.net.portmap.gateway import default_gateway

METHODS = {"pcp": "PcpMethod", "natpmp": "NatPmpMethod", "upnp": "UpnpMethod"}


class Mute:
    """Stands in for the protocols that are not to be tried."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def probe(self) -> None:
        raise mapper.GatewayError("not tried")


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def main(protocol: str) -> None:
    for name, kind in METHODS.items():
        if name != protocol:
            setattr(mapper, kind, lambda *arguments, name=name: Mute(name))
    network = RealNetwork()
    listeners = await network.listen("", 0, fallback=False)
    (socket,) = [one for one in await network.open_datagrams("", listeners[0].address.port) if not one.address.is_ipv6]
    http = HttpClient(network, user_agent="torrentlite/test")
    told = []

    async def greet_tcp(listener) -> None:
        while True:
            stream = await listener.accept()
            await stream.send_vectored([b"hello over TCP"])
            stream.close()

    async def greet_udp() -> None:
        while True:
            for _, sender in await socket.receive():
                socket.send(b"hello over UDP", sender)

    async def map_ports(task_status=trio.TASK_STATUS_IGNORED) -> None:
        def changed() -> None:
            told.append(one.stats())
            if told[-1].state in ("mapped", "failed", "no gateway", "not needed"):
                tell(**told[-1]._asdict(), port=listeners[0].address.port)

        one = mapper.PortMapper(network, http, listeners[0].address.port, secret=os.urandom, changed=changed)
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await one.run()
        tell(state=one.stats().state)

    async with trio.open_nursery() as nursery:
        for listener in listeners:
            nursery.start_soon(greet_tcp, listener)
        nursery.start_soon(greet_udp)
        async with trio.open_nursery() as mapping:
            scope = await mapping.start(map_ports)
            await trio.to_thread.run_sync(sys.stdin.read)
            scope.cancel()
        nursery.cancel_scope.cancel()
    await http.aclose()


if __name__ == "__main__":
    tell(gateway=default_gateway())
    trio.run(main, sys.argv[1])
