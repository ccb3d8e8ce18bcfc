"""Whether others can reach us, as far as their queries show (BEP 43). Pure."""

from __future__ import annotations

from typing import Final

from .. import limits
from ..wire.address import Address, Scope

_REMEMBERED: Final = 2000  # addresses that we sent something to


class Reach:
    """Says when to be read-only.

    A query from a public address that we have asked nothing lately has passed every NAT and firewall on its way. Where
    none comes, nodes that have us in their tables would wait for our answers in vain, so we ask to be left out. As
    nobody then finds us any more, we show ourselves again after an hour.

    Who has met few others cannot judge: in a small network everybody has just asked everybody, and no strangers come.
    If all fell silent because of it, there would be no network.

    Args:
        fixed: what the owner has chosen; None: decide here.
        now: the time.
    """

    def __init__(self, fixed: bool | None, now: float) -> None:
        self._fixed = fixed
        self._until = now + limits.DHT_REACHABLE_FOR
        self._sent: dict[str, float] = {}  # when, the latest last

    def read_only(self, now: float) -> bool:
        """Whether to answer nobody, and to say so."""
        if self._fixed is not None:
            return self._fixed
        if now >= self._until + limits.DHT_READ_ONLY_FOR:
            self._until = now + limits.DHT_REACHABLE_FOR
        return now >= self._until and len(self._sent) >= limits.DHT_REACH_HOSTS

    def sent(self, to: Address, now: float) -> None:
        """We ask somebody, which opens a way back."""
        if to.scope is not Scope.PUBLIC:
            return
        self._sent.pop(to.host, None)
        self._sent[to.host] = now
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def asked(self, sender: Address, now: float) -> bool:
        """Somebody has asked us. Whether it was a stranger, to whom no NAT had a way open."""
        last = self._sent.get(sender.host)
        if last is not None and now - last < limits.DHT_WAY_BACK:
            return False
        self._until = max(self._until, now + limits.DHT_REACHABLE_FOR)
        return True
