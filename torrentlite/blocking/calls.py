"""The library's functions, for callers without a loop."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from .. import loading, making, session, verifying
from ..loops import require_no_loop
from .portal import Call, Portal

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(function: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """The same function, blocking: same arguments, result, errors, docstring. ``progress`` is called in its thread."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        require_no_loop(function.__name__)
        started: Call[T] = Call(lambda: function(*args, **kwargs))
        progress = kwargs.get("progress")
        if callable(progress):
            kwargs["progress"] = started.telling(progress)
        with Portal() as portal:
            return portal.start(started).result()

    call.__module__ = __name__
    call.__doc__ = (function.__doc__ or "").replace("``await ", "``")  # in the example
    return call


create = _blocking(making.create)
load = _blocking(loading.load)
fetch = _blocking(session.fetch)
verify = _blocking(verifying.verify)
