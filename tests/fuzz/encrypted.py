"""Targets: encrypted handshakes, with who knows how to encrypt and says what it likes."""

from __future__ import annotations

import hashlib
import random

from tests.fuzz.target import Target
from torrentlite.errors import ProtocolError
from torrentlite.limits import MSE_MAX_INITIAL
from torrentlite.wire.handshake import Handshake
from torrentlite.wire.mse import KEY_SIZE, MAX_PADDING, Called, Caller, Method, marked
from torrentlite.wire.rc4 import rc4

_HASH = b"h" * 20
_HELLO = Handshake(_HASH, b"-XX0001-" + b"p" * 12).encode()
_BOTH = Method.PLAIN | Method.RC4
_P = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
    16,
)
_EXPONENT = int.from_bytes(b"of the stranger's own", "big")
_KEY = pow(2, _EXPONENT, _P).to_bytes(KEY_SIZE, "big")


def _sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts)).digest()


def _shared(answer: bytes) -> bytes:
    return pow(int.from_bytes(answer[:KEY_SIZE], "big"), _EXPONENT, _P).to_bytes(KEY_SIZE, "big")


def _find(mark: bytes) -> bytes | None:
    return _HASH if mark == marked(_HASH) else None


def _in_parts(side: Caller | Called, data: bytes) -> None:
    at, step = 0, 1
    while at < len(data):
        side.received(data[at : at + step])
        at += step
        step = step * 3 % 1024 + 1


def _called(data: bytes) -> None:
    """A caller that names the torrent, and then says these bytes, encrypted."""
    side = Called(
        _find, lambda offered: offered & Method.RC4 or offered & Method.PLAIN or None, random.Random(1).randbytes
    )
    shared = _shared(side.received(_KEY))
    mark = bytes(a ^ b for a, b in zip(marked(_HASH), _sha1(b"req3", shared), strict=True))
    _in_parts(side, _sha1(b"req1", shared) + mark + rc4(_sha1(b"keyA", shared, _HASH)).update(data))
    if side.done is not None:
        assert side.done.method in (Method.PLAIN, Method.RC4)
        assert side.done.info_hash == _HASH
        assert len(side.done.rest) <= len(data)
    else:
        assert len(data) < 16 + MAX_PADDING + MSE_MAX_INITIAL


def _caller(data: bytes) -> None:
    """Who was called, and answers with these bytes, encrypted."""
    side = Caller(_HASH, _BOTH, _HELLO, random.Random(1).randbytes)
    shared = _shared(side.received(b""))
    side.received(_KEY)
    _in_parts(side, rc4(_sha1(b"keyB", shared, _HASH)).update(data))
    if side.done is not None:
        assert side.done.method in (Method.PLAIN, Method.RC4)
        assert len(side.done.rest) <= len(data)


def _blind(data: bytes) -> None:
    """Bytes as they are, to both sides."""
    for side in (Called(_find, lambda offered: Method.PLAIN, random.Random(1).randbytes),
                 Caller(_HASH, _BOTH, _HELLO, random.Random(1).randbytes)):  # fmt: skip
        _in_parts(side, data)
        assert side.done is None


_SAID = bytes(8) + b"\0\0\0\3" + b"\0\3" + b"pad" + len(_HELLO).to_bytes(2, "big") + _HELLO
_ANSWERED = bytes(8) + b"\0\0\0\2" + b"\0\2" + b"pa" + _HELLO
_WORDS = [bytes(8), b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\3", b"\2\0", b"\2\1", b"\x10\0", b"\x10\1", b"\xff\xff"]

TARGETS = [
    Target("encrypted.called", _called, [_SAID, _SAID[:20], bytes(8) + b"\0\0\0\1\0\0\0\0"], (ProtocolError,), 6000, _WORDS),
    Target("encrypted.caller", _caller, [_ANSWERED, _ANSWERED[:9], bytes(8) + b"\0\0\0\1\2\0"], (ProtocolError,), 2000, _WORDS),
    Target("encrypted.blind", _blind, [_KEY + bytes(600), bytes(96), b"\xff" * 96, _KEY[:50]], (ProtocolError,), 2000),
]  # fmt: skip
