"""Ctrl-C and its kin: the first one asks to leave in good order, the second one leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

import trio

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_SIGPIPE: Final = 13


class Interrupt:
    """Whether, and by what, this run was asked to end.

    Attributes:
        scope: cancelled by the first signal. A command enters it around its work, inside its session, so that the
            session is left in the ordinary way.
        signal: the number of the first signal, or 0.
        put_back: leaves the terminal as it was, in the middle of anything; before the process stops (Ctrl-Z) or ends
            at once. What cannot be done quickly is not done.
        came_back: called in the loop when a stopped process goes on, and when the window has another size.
    """

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.signal = 0
        self.stdout_failed = False
        self.put_back: Callable[[], None] = lambda: None
        self.came_back: Callable[[], None] = lambda: None

    @property
    def happened(self) -> bool:
        """Whether the run was asked to end."""
        return self.signal != 0 or self.stdout_failed

    @property
    def code(self) -> int:
        """What an unfinished run leaves with: 128 and the number of the signal."""
        return 128 + (self.signal or _SIGPIPE)

    @property
    def ordinary_code(self) -> int:
        """The same of a run that goes on until it is asked to end, and has done well by then: 0.

        Not if it ended because nobody reads what it says.
        """
        return self.code if self.stdout_failed and not self.signal else 0

    def ask(self, number: int = signal.SIGINT) -> None:
        """End as by this signal."""
        self.signal = self.signal or number
        self.scope.cancel()

    def stop(self) -> None:
        """The results cannot be written any more: end, as by a signal."""
        self.stdout_failed = True
        self.scope.cancel()


@contextlib.contextmanager
def catch_signals() -> Iterator[Interrupt]:
    """Turn SIGINT, SIGTERM and SIGHUP into an ``Interrupt``, inside ``trio.run``.

    A plain handler and not ``trio.open_signal_receiver``: the second signal must work even if the loop is stuck.
    """
    interrupt = Interrupt()
    token = trio.lowlevel.current_trio_token()

    def handle(number: int, _frame: types.FrameType | None) -> None:
        if interrupt.signal:
            interrupt.put_back()
            os._exit(128 + number)
        interrupt.signal = number
        token.run_sync_soon(interrupt.scope.cancel)

    def pause(number: int, _frame: types.FrameType | None) -> None:
        interrupt.put_back()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)  # we stand still in here, until SIGCONT
        signal.signal(number, pause)

    def back() -> None:
        interrupt.came_back()

    def go_on(_number: int, _frame: types.FrameType | None) -> None:
        token.run_sync_soon(back, idempotent=True)

    # Under nohup a hang-up is ignored already, and stays so. SIGINT is taken even where a shell ignores it for its
    # background jobs: whoever sends it to this process by hand means it.
    wanted = [n for n in _SIGNALS if n == signal.SIGINT or signal.getsignal(n) is not signal.SIG_IGN]
    before: dict[int, Any] = {number: signal.signal(number, handle) for number in wanted}
    for name, handler in (("SIGTSTP", pause), ("SIGCONT", go_on), ("SIGWINCH", go_on)):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            before[getattr(signal, name)] = signal.signal(getattr(signal, name), handler)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
