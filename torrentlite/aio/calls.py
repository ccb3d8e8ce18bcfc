"""The library's functions, awaited from asyncio."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from .. import loading, making, session, verifying
from ..loops import require_asyncio
from .guest import guest

P = ParamSpec("P")
T = TypeVar("T")


def _in_asyncio(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same function, for asyncio: same arguments, result, errors and docstring."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        require_asyncio(function.__name__)
        async with guest() as trio:
            return await trio.run(functools.partial(function, *args, **kwargs))

    call.__module__ = __name__
    return call


create = _in_asyncio(making.create)
load = _in_asyncio(loading.load)
fetch = _in_asyncio(session.fetch)
verify = _in_asyncio(verifying.verify)
