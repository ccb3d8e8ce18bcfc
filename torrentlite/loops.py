"""Which event loop runs here, and which door is then the right one.

The library runs on Trio; ``torrentlite.aio`` carries it into asyncio, ``torrentlite.blocking`` into programs without a
loop. Whoever takes the wrong door is told which is the right one, instead of what Trio or asyncio would say.
"""

from __future__ import annotations

import sys
import threading

import trio


def in_trio() -> bool:
    """Whether the caller runs in a Trio task (also where Trio itself is a guest of asyncio)."""
    return trio.lowlevel.in_trio_task()


def in_asyncio() -> bool:
    """Whether the caller runs in a thread whose asyncio loop is running."""
    asyncio = sys.modules.get("asyncio")  # who runs it has imported it; it would cost others 10 ms
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def require_trio(name: str) -> None:
    """Let only Trio tasks pass.

    Raises:
        RuntimeError: another loop runs here, or none; it says what to use instead.
    """
    if in_trio():
        return
    if in_asyncio():
        raise RuntimeError(f"torrentlite.{name} runs on Trio; in asyncio use torrentlite.aio.{name}")
    raise RuntimeError(f"torrentlite.{name} runs on Trio (trio.run); without a loop use torrentlite.blocking.{name}")


def require_trio_alone(name: str) -> None:
    """Let only Trio tasks pass, to what no other face has.

    Raises:
        RuntimeError: another loop runs here, or none; it says how to get there.
    """
    if in_trio():
        return
    how = "in asyncio use asyncio.to_thread(trio.run, function)" if in_asyncio() else "use trio.run(function)"
    raise RuntimeError(f"torrentlite.{name} runs on Trio only; {how}")


def require_asyncio(name: str) -> None:
    """Let only code in a running asyncio loop pass.

    Raises:
        RuntimeError: another loop runs here, or none; it says what to use instead.
    """
    if in_trio():
        raise RuntimeError(f"torrentlite.aio.{name} runs on asyncio; in Trio use torrentlite.{name}")
    if not in_asyncio():
        raise RuntimeError(
            f"torrentlite.aio.{name} runs on asyncio (asyncio.run); without a loop use torrentlite.blocking.{name}"
        )


def require_no_loop(name: str) -> None:
    """Let nobody pass whose loop would stand still meanwhile.

    A notebook is the exception: its kernel's loop is running while a cell is, and waits for any cell without ``await``.

    Raises:
        RuntimeError: a loop runs in this thread; it says what to use instead.
    """
    if in_trio():
        raise RuntimeError(
            f"torrentlite.blocking.{name} would stop the Trio loop of this thread; "
            f"use torrentlite.{name}, or call it by trio.to_thread.run_sync"
        )
    if in_asyncio() and not _in_notebook():
        raise RuntimeError(
            f"torrentlite.blocking.{name} would stop the asyncio loop of this thread; "
            f"use torrentlite.aio.{name}, or call it by asyncio.to_thread"
        )


def require_thread(thread: int) -> None:
    """Let only the thread of an asyncio loop pass.

    Raises:
        RuntimeError: it is another one; it says how to get there.
    """
    if threading.get_ident() != thread:
        raise RuntimeError(
            "this belongs to the thread of its asyncio loop; from another one (a sync endpoint, asyncio.to_thread) "
            "use asyncio.run_coroutine_threadsafe, or loop.call_soon_threadsafe"
        )


def was_cancelled(error: BaseException) -> bool:
    """Whether it says that a Trio task was cancelled, and nothing else. Out of a nursery that comes in a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None
