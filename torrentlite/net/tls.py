"""TLS over one of our streams, by Trio and the standard library. Certificates are always checked."""

from __future__ import annotations

import functools
import ssl

import trio

from .. import limits
from ..errors import NetworkError
from .network import Stream


@functools.cache
def system_trust() -> ssl.SSLContext:
    """Whom the system trusts; nothing of the environment is used. Takes some 20 ms, so only when first needed."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


async def start_tls(stream: trio.abc.Stream, context: ssl.SSLContext, host: str) -> trio.SSLStream[trio.abc.Stream]:
    """Greet the server as this host; where that fails the stream is closed.

    Raises:
        NetworkError: there is no such greeting, or the certificate is refused.
    """
    tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        with trio.CancelScope(shield=True):
            await stream.aclose()
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            raise NetworkError(
                f"{host}: its certificate is refused: {error.__cause__.verify_message}",
                hint="somebody may be in between; the clock may be wrong",
            ) from error
        raise NetworkError(f"{host}: no TLS connection ({error.__cause__ or error})") from error
    except BaseException:
        with trio.CancelScope(shield=True):
            await stream.aclose()
        raise
    return tls


class Pipe(trio.abc.Stream):
    """One of our streams as one of Trio's, for ``trio.SSLStream``."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send it all."""
        try:
            await self._stream.send_vectored([data])
        except NetworkError as error:
            raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        """Nothing to wait for."""
        await trio.lowlevel.checkpoint()  # send_all waits

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Up to so many bytes; none at the end."""
        buffer = memoryview(bytearray(min(max_bytes or limits.HTTP_READ, limits.HTTP_READ)))
        try:
            return bytes(buffer[: await self._stream.receive_into(buffer)])
        except NetworkError as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close our stream."""
        await self._stream.aclose()
