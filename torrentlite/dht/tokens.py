"""Write tokens: who may store something with us is who can receive at the address that it sends from (BEP 5). Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from .. import limits
from .contact import packed_host

_SIZE: Final = 8  # bytes of a token


class Tokens:
    """Makes tokens and knows them again, without remembering any.

    A token is a keyed hash of the address and of what is to be stored there; its key changes every five minutes, and
    the one before it still counts.

    Args:
        secret: gives so many random bytes.
        now: the time.
    """

    def __init__(self, secret: Callable[[int], bytes], now: float) -> None:
        self._secret = secret
        self._keys = [secret(32), secret(32)]
        self._next_key = now + limits.DHT_TOKEN_LIFE

    def make(self, host: str, target: bytes, now: float) -> bytes:
        """The token for this IP address and target (an info-hash, the target of an item)."""
        self._rotate(now)
        return _token(self._keys[0], host, target)

    def valid(self, token: object, host: str, target: bytes, now: float) -> bool:
        """Whether it was made for this address and target, five to ten minutes ago at most."""
        self._rotate(now)
        if not isinstance(token, bytes):
            return False
        return any(hmac.compare_digest(token, _token(key, host, target)) for key in self._keys)

    def _rotate(self, now: float) -> None:
        if now < self._next_key:
            return
        late = now >= self._next_key + limits.DHT_TOKEN_LIFE  # both keys are old
        self._keys = [self._secret(32), self._secret(32) if late else self._keys[0]]
        self._next_key = now + limits.DHT_TOKEN_LIFE


def _token(key: bytes, host: str, target: bytes) -> bytes:
    return hashlib.blake2b(packed_host(host) + target, digest_size=_SIZE, key=key).digest()
