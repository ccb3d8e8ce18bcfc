"""The HTTP side of a simulated tracker: real HTTP by h11 (BEP 3, 7, 23, 48)."""

from __future__ import annotations

import contextlib
import urllib.parse
from typing import Any

import h11
import trio

from ..bencode import encode
from ..errors import NetworkError
from ..wire.address import Address, write_compact
from .listener import SimulatedListener
from .requests import read_request
from .stream import SimulatedStream
from .swarms import Announce, Swarms


async def serve_http(swarms: Swarms, listener: SimulatedListener) -> None:
    """Answer whoever comes, until the listener is closed."""
    async with trio.open_nursery() as nursery:
        with contextlib.suppress(NetworkError):
            while True:
                nursery.start_soon(_serve, swarms, await listener.accept())


async def _serve(swarms: Swarms, stream: SimulatedStream) -> None:
    """One request, one answer, and the connection is closed."""
    with contextlib.closing(stream), contextlib.suppress(NetworkError):
        connection = h11.Connection(h11.SERVER)
        try:
            target = (await read_request(connection, stream)).target
        except h11.RemoteProtocolError:
            return
        if swarms.silent:
            await trio.sleep_forever()
        status, body = _answer(swarms, stream.remote, target)
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Connection", "close")]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            await stream.send_vectored([connection.send(event) or b""])


def _answer(swarms: Swarms, sender: Address, target: bytes) -> tuple[int, bytes]:
    url = urllib.parse.urlsplit(target.decode("ascii"))
    fields = urllib.parse.parse_qs(url.query, keep_blank_values=True, encoding="latin-1")

    def text(name: str, default: str = "") -> str:
        return fields.get(name, [default])[0]

    reply: dict[bytes, Any]
    try:
        if url.path.endswith("/scrape"):
            hashes = [value.encode("latin-1") for value in fields.get("info_hash", [])]
            names = (b"complete", b"incomplete", b"downloaded")
            reply = {b"files": {each: dict(zip(names, swarms.scrape(each), strict=True)) for each in hashes}}
        elif url.path.endswith("/announce"):
            announce = Announce(
                moment=trio.current_time(),
                peer=Address(sender.host, int(text("port"))),
                peer_id=text("peer_id").encode("latin-1"),
                info_hash=text("info_hash").encode("latin-1"),
                event=text("event"),
                left=int(text("left")),
                uploaded=int(text("uploaded", "0")),
                downloaded=int(text("downloaded", "0")),
                numwant=int(text("numwant", "50")),
                scheme="http",
            )
            if len(announce.info_hash) != 20:
                raise ValueError("an info-hash has 20 bytes")
            answer = swarms.announce(announce)
            reply = {
                b"interval": answer.interval,
                b"complete": answer.seeders,
                b"incomplete": answer.leechers,
                b"peers": write_compact(answer.peers),
                b"peers6": write_compact(answer.peers, ipv6=True),
            }
        else:
            return 404, b"no tracker here"
    except ValueError as error:
        reply = {b"failure reason": str(error).encode()}
    if swarms.failure:
        reply = {b"failure reason": swarms.failure.encode()}
    return 200, encode(reply)
