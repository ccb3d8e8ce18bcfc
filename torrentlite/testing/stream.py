"""Simulated TCP connections, as their two ends see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from ..errors import NetworkError
from ..wire.address import Address
from .clock import Timeline
from .flow import Flow, Path
from .trace import Trace


class SimulatedStream:
    """One end of a simulated connection; a ``Stream`` (see ``net/network.py`` for what the methods promise).

    Beyond that protocol it can end one direction (``send_eof``) and break off (``reset``). Made by ``connect``.
    """

    _out: Flow
    _in: Flow

    def __init__(self, local: Address, remote: Address, *, closed: Callable[[SimulatedStream], object]) -> None:
        self.local = local
        self.remote = remote
        self._tell_closed = closed
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()
        self._pushed_back = b""
        self._trouble = ""  # why nothing works any more
        self._closed = False
        self._said_all = False

    def __repr__(self) -> str:
        return f"<SimulatedStream {self.local} - {self.remote}{', ' + self._trouble if self._trouble else ''}>"

    @property
    def held(self) -> int:
        """Bytes that were sent here and not read by the other side."""
        return self._out.held

    # -- the protocol

    async def receive_into(self, buffer: memoryview) -> int:
        """See ``Stream.receive_into``."""
        if self._readers:
            raise trio.BusyResourceError("another task receives from this stream")
        if self._pushed_back or self._trouble or self._in.unread or self._in.ended:
            await trio.lowlevel.checkpoint()
        while not self._closed:
            if self._pushed_back:
                size = min(len(buffer), len(self._pushed_back))
                buffer[:size] = self._pushed_back[:size]
                self._pushed_back = self._pushed_back[size:]
                return size
            if self._in.unread:
                return self._in.read(buffer)
            if self._in.ended:
                return 0
            if self._trouble:
                break
            await self._readers.park()
        raise NetworkError(f"{self.remote}: {self._trouble}")

    async def send_vectored(self, views: Sequence[bytes | bytearray | memoryview]) -> None:
        """See ``Stream.send_vectored``."""
        if self._writers:
            raise trio.BusyResourceError("another task sends on this stream")
        await trio.lowlevel.checkpoint_if_cancelled()
        for view in views:
            rest = memoryview(view).cast("B")
            while rest:
                if self._trouble or self._said_all:
                    raise NetworkError(f"{self.remote}: {self._trouble or 'its end was sent'}")
                rest = rest[self._out.write(rest) :]
                if rest and not self._out.room:
                    self._out.push()
                    while not self._out.room and not self._trouble:
                        await self._writers.park()
        self._out.push()
        await trio.lowlevel.cancel_shielded_checkpoint()

    def unread(self, data: bytes) -> None:
        """See ``Stream.unread``."""
        self._pushed_back = bytes(data) + self._pushed_back

    async def aclose(self) -> None:
        """See ``Stream.aclose``."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """See ``Stream.close``. What was sent still arrives, unless bytes that came were never read (a reset)."""
        if self._closed:
            return
        if self._in.unread:
            self._out.break_off()
        elif not self._trouble:
            self._out.end()
        self._leave()

    # -- what a test may do besides

    def send_eof(self) -> None:
        """End this direction: the other side reads 0 after what was sent, and may go on sending."""
        self._said_all = True
        self._out.end()

    def reset(self) -> None:
        """Break off: what has not arrived is lost, and the other side gets a NetworkError when it hears of it."""
        if not self._closed:
            self._out.break_off()
            self._leave()

    # -- what its flows tell it

    def got_room(self) -> None:
        """See ``flow.End``."""
        if self._writers:
            self._writers.unpark_all()

    def got_data(self, size: int) -> None:
        """See ``flow.End``."""
        if self._readers:
            self._readers.unpark_all()

    def got_unwanted(self) -> None:
        """See ``flow.End``."""
        self._out.break_off()

    def got_reset(self) -> None:
        """See ``flow.End``."""
        self._break("Connection reset by peer")

    def gave_up(self) -> None:
        """See ``flow.End``."""
        self._break("Connection timed out")

    def _break(self, why: str) -> None:
        self._out.cut()
        self._stop(why)

    def _leave(self) -> None:
        self._closed = True
        self._pushed_back = b""
        self._in.discard()
        self._stop("closed")
        self._tell_closed(self)

    def _stop(self, why: str) -> None:
        self._trouble = self._trouble or why
        self._in.refuse()
        self._readers.unpark_all()
        self._writers.unpark_all()


def join(
    timeline: Timeline, trace: Trace, near: SimulatedStream, there: Path, far: SimulatedStream, back: Path
) -> None:
    """Make them the two ends of one connection.

    Args:
        timeline: where its moments are.
        trace: is told what happens to it.
        near: one end.
        there: the way from it to the other end.
        far: the other end.
        back: the way back.
    """
    near._out = far._in = Flow(timeline, trace, there, sender=near, receiver=far)
    far._out = near._in = Flow(timeline, trace, back, sender=far, receiver=near)
