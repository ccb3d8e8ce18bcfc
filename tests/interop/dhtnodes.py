"""Run on a machine: many nodes of ours in one process. Usage: dhtnodes.py ADDRESS COUNT; their ports begin at 6881."""

import contextlib
import sys

import trio

from torrentlite.dht import open_node

PORT = 6881


async def main(host: str, count: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for number in range(count):
            first = [(host, PORT)] if number else []
            opening = open_node(host=host, port=PORT + number, nodes=first, routers=())
            nodes.append(await stack.enter_async_context(opening))
        for node in nodes:
            await node.wait_joined()
        print("listens", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        trio.run(main, sys.argv[1], int(sys.argv[2]))
