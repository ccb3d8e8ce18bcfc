"""Which connections are encrypted, and how (``Settings.encryption``)."""

from __future__ import annotations

from ..settings import Encryption
from ..wire import rc4
from ..wire.mse import Method


class EncryptionPolicy:
    """What is tried, offered and taken.

    Args:
        wish: what the user wants.

    Attributes:
        takes_plain, takes_encrypted: how others may call us.
    """

    def __init__(self, wish: Encryption) -> None:
        self._prefers_rc4 = wish in ("prefer", "require")
        self.takes_plain = wish != "require"
        self.takes_encrypted = wish != "off"

    @property
    def offered(self) -> Method:
        """The methods that a peer may choose from, when we call it."""
        if not rc4.is_fast():
            return Method.PLAIN if self.takes_plain else Method(0)
        # Who may choose takes what costs it nothing.
        return Method.RC4 if self._prefers_rc4 else Method.PLAIN | Method.RC4

    def attempts(self, known: bool | None) -> tuple[bool, ...]:
        """How to call a peer: False for plain, True for encrypted, the second at once where the first has no answer.

        Args:
            known: how it is to be called, where something is known of that (``unanswered``).
        """
        if not self.takes_encrypted:
            return (False,)
        if not self.takes_plain:
            return (True,)
        return (self._prefers_rc4, not self._prefers_rc4) if known is None else (known,)

    def unanswered(self, known: bool | None, *, met: bool) -> bool | None:
        """How to call it the next time, when it has ended the last attempts without a word.

        So does who does not like how it was called, and who has no room for anybody. The one is to be called the other
        way, the other is not to be called twice each time.

        Args:
            known: how it was to be called.
            met: whether it has ever answered to that.
        """
        if known is None:
            return self._prefers_rc4
        return None if met else not known

    def choose(self, offered: Method) -> Method | None:
        """What follows an encrypted handshake by which we were called; None for nothing of that."""
        if not rc4.is_fast():
            offered &= Method.PLAIN
        if not self.takes_plain:
            offered &= Method.RC4
        for method in (Method.RC4, Method.PLAIN) if self._prefers_rc4 else (Method.PLAIN, Method.RC4):
            if offered & method:
                return method
        return None
