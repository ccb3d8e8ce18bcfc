"""RC4, the cipher of encrypted peer connections (``mse.py``). It hides what is said from nobody who means to know."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, Protocol

DISCARDED: Final = 1024
"""Bytes of each key stream that are thrown away at its beginning (the first ones tell of the key)."""

Buffer = bytes | bytearray | memoryview


class Rc4(Protocol):
    """One key stream. Encrypting and decrypting are the same."""

    def update(self, data: Buffer) -> bytes:
        """These bytes with the next ones of the stream."""

    def update_into(self, data: Buffer, out: bytearray | memoryview) -> int:
        """The same, written to ``out``, which may be where they come from; returns their number."""


def rc4(key: bytes) -> Rc4:
    """The key stream of this key, past its beginning."""
    cipher = (_library() or _Plain)(key)
    cipher.update(bytes(DISCARDED))
    return cipher


def is_fast() -> bool:
    """Whether whole connections can be encrypted: with the ``cryptography`` package (the extra ``crypto``).

    In Python alone it takes 2 ms of CPU for each block, so only handshakes are.
    """
    return _library() is not None


@functools.cache
def _library() -> Callable[[bytes], Rc4] | None:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
        from cryptography.hazmat.primitives.ciphers import Cipher
    except ImportError:
        return None

    def make(key: bytes) -> Rc4:
        return Cipher(ARC4(key), mode=None).encryptor()

    try:
        make(bytes(20))
    except UnsupportedAlgorithm:  # an OpenSSL without its legacy provider
        return None
    return make


class _Plain:
    """In Python."""

    def __init__(self, key: bytes) -> None:
        state, j = list(range(256)), 0
        for i in range(256):
            j = (j + state[i] + key[i % len(key)]) & 255
            state[i], state[j] = state[j], state[i]
        self._state, self._i, self._j = state, 0, 0

    def update(self, data: Buffer) -> bytes:
        """See ``Rc4``."""
        state, i, j = self._state, self._i, self._j
        out = bytearray(data)
        for at, byte in enumerate(out):
            i = (i + 1) & 255
            a = state[i]
            j = (j + a) & 255
            b = state[i] = state[j]
            state[j] = a
            out[at] = byte ^ state[(a + b) & 255]
        self._i, self._j = i, j
        return bytes(out)

    def update_into(self, data: Buffer, out: bytearray | memoryview) -> int:
        """See ``Rc4``."""
        out[: len(data)] = self.update(data)
        return len(data)
