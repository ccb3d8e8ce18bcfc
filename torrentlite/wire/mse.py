"""Message Stream Encryption: how a connection begins that does not look like BitTorrent.

No BEP tells of it; the clients that speak it agree on this ("PE", since 2006). A called B::

    A → B   Ya, PadA                    the halves of a Diffie-Hellman exchange, 96 bytes each, and up to 512 of noise
    B → A   Yb, PadB
    A → B   HASH("req1", S), HASH("req2", SKEY) xor HASH("req3", S),
            ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)
    B → A   ENCRYPT(VC, crypto_select, len(PadD), PadD), and what follows by the method selected

S is the secret that both come to, SKEY the info-hash, VC eight zeros, IA what A says first (its handshake). Nobody
learns the info-hash who does not know it already; but that is all: no side proves who it is, and RC4 is weak. It is for
networks that hold BitTorrent back, and for peers that take no other connections.

Both sides are here without I/O: ``received`` takes what came and returns what to send, until ``done``.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Generator
from typing import Final, NamedTuple

from ..errors import ProtocolError
from ..limits import MSE_MAX_INITIAL
from .rc4 import Rc4, rc4

KEY_SIZE: Final = 96
"""Bytes of each half of the exchange, and of the secret."""
MAX_PADDING: Final = 512

_P: Final = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
    16,
)
_G: Final = 2
_SECRET_SIZE: Final = 20  # bytes of the exponent: "random 160 bits"
_VC: Final = bytes(8)


class Method(enum.IntFlag):
    """How what follows the handshake is sent: bits of ``crypto_provide`` and ``crypto_select``."""

    PLAIN = 1
    RC4 = 2


class Agreed(NamedTuple):
    """What two sides came to.

    Attributes:
        info_hash: the torrent's, 20 bytes.
        method: how what follows is sent.
        incoming, outgoing: the key streams for that, where it is encrypted.
        rest: what has come of it already, decrypted.
    """

    info_hash: bytes
    method: Method
    incoming: Rc4 | None
    outgoing: Rc4 | None
    rest: bytes


class _Side:
    """What both sides do. ``secret(n)`` gives n unpredictable bytes."""

    def __init__(self, secret: Callable[[int], bytes]) -> None:
        self._secret = secret
        self._exponent = int.from_bytes(secret(_SECRET_SIZE), "big")
        self._buffer = bytearray()
        self._out = bytearray()
        self.done: Agreed | None = None
        self._steps = self._talk()
        next(self._steps)

    def received(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take what came (nothing, to begin with); returns what to send.

        Raises:
            ProtocolError: the other side does not speak this, or asks for what we do not do.
        """
        self._buffer += data
        if self.done is None:
            next(self._steps, None)
        out, self._out = bytes(self._out), bytearray()
        return out

    def _talk(self) -> Generator[None, None, None]:
        raise NotImplementedError

    def _say_key(self) -> None:
        self._out += pow(_G, self._exponent, _P).to_bytes(KEY_SIZE, "big") + self._padding()

    def _padding(self) -> bytes:
        return self._secret(int.from_bytes(self._secret(2), "big") % (MAX_PADDING + 1))

    def _take(self, size: int) -> Generator[None, None, bytes]:
        while len(self._buffer) < size:
            yield
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _take_secret(self) -> Generator[None, None, bytes]:
        """The other side's half of the exchange; returns the secret."""
        theirs = int.from_bytes((yield from self._take(KEY_SIZE)), "big")
        if not 1 < theirs < _P - 1:  # whatever we add to that, anybody knows the secret
            raise ProtocolError("encrypted handshake: not a public key")
        return pow(theirs, self._exponent, _P).to_bytes(KEY_SIZE, "big")

    def _find(self, mark: bytes) -> Generator[None, None, None]:
        """Take the noise, and the mark that ends it."""
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) >= MAX_PADDING + len(mark):
                raise ProtocolError("encrypted handshake: no end of the padding")
            yield
        if at > MAX_PADDING:
            raise ProtocolError("encrypted handshake: too much padding")
        del self._buffer[: at + len(mark)]

    def _take_padding(self, cipher: Rc4) -> Generator[None, None, None]:
        size = int.from_bytes(cipher.update((yield from self._take(2))), "big")
        if size > MAX_PADDING:
            raise ProtocolError("encrypted handshake: too much padding")
        cipher.update((yield from self._take(size)))

    def _agree(self, info_hash: bytes, method: Method, incoming: Rc4, outgoing: Rc4, initial: bytes = b"") -> None:
        rest = bytes(self._buffer)
        self._buffer.clear()
        if method is Method.RC4:
            self.done = Agreed(info_hash, method, incoming, outgoing, initial + incoming.update(rest))
        else:
            self.done = Agreed(info_hash, method, None, None, initial + rest)


class Caller(_Side):
    """The side that has connected.

    Args:
        info_hash: of the torrent, 20 bytes.
        offered: the methods that we do.
        initial: what we say first (the handshake).
        secret: gives unpredictable bytes.

    Attributes:
        done: what was agreed on, once it was.
    """

    def __init__(self, info_hash: bytes, offered: Method, initial: bytes, secret: Callable[[int], bytes]) -> None:
        self._info_hash = info_hash
        self._offered = offered
        self._initial = initial
        super().__init__(secret)

    def _talk(self) -> Generator[None, None, None]:
        self._say_key()
        secret = yield from self._take_secret()
        outgoing, incoming = _ciphers(secret, self._info_hash)
        padding = self._padding()
        head = _VC + self._offered.to_bytes(4, "big") + len(padding).to_bytes(2, "big") + padding
        self._out += _hash(b"req1", secret) + _xor(marked(self._info_hash), _hash(b"req3", secret))
        self._out += outgoing.update(head + len(self._initial).to_bytes(2, "big") + self._initial)
        yield from self._find(incoming.update(_VC))
        selected = int.from_bytes(incoming.update((yield from self._take(4))), "big")
        if selected not in (Method.PLAIN, Method.RC4) or not selected & self._offered:
            raise ProtocolError(f"encrypted handshake: method {selected} was not offered")
        yield from self._take_padding(incoming)
        self._agree(self._info_hash, Method(selected), incoming, outgoing)


class Called(_Side):
    """The side that was called.

    Args:
        find: the info-hash whose ``marked`` form this is, where it is shared here.
        choose: the method to take of those offered; None for none of them.
        secret: gives unpredictable bytes.

    Attributes:
        done: what was agreed on, once it was; its ``rest`` begins with what the caller said first.
    """

    def __init__(
        self,
        find: Callable[[bytes], bytes | None],
        choose: Callable[[Method], Method | None],
        secret: Callable[[int], bytes],
    ) -> None:
        self._search = find
        self._choose = choose
        super().__init__(secret)

    def _talk(self) -> Generator[None, None, None]:
        secret = yield from self._take_secret()
        self._say_key()
        yield from self._find(_hash(b"req1", secret))
        info_hash = self._search(_xor((yield from self._take(20)), _hash(b"req3", secret)))
        if info_hash is None:
            raise ProtocolError("encrypted handshake for a torrent that is not shared here")
        incoming, outgoing = _ciphers(secret, info_hash)
        head = incoming.update((yield from self._take(12)))
        if not head.startswith(_VC):
            raise ProtocolError("encrypted handshake: another key was used")
        offered = Method(int.from_bytes(head[8:], "big") & (Method.PLAIN | Method.RC4))
        yield from self._take_padding(incoming)
        size = int.from_bytes(incoming.update((yield from self._take(2))), "big")
        if size > MSE_MAX_INITIAL:
            raise ProtocolError(f"encrypted handshake: {size} bytes before our answer")
        initial = incoming.update((yield from self._take(size)))
        method = self._choose(offered)
        if method is None:
            raise ProtocolError("encrypted handshake: no method that both do")
        padding = self._padding()
        answer = _VC + method.to_bytes(4, "big") + len(padding).to_bytes(2, "big") + padding
        self._out += outgoing.update(answer)
        self._agree(info_hash, method, incoming, outgoing, initial)


def marked(info_hash: bytes) -> bytes:
    """What an info-hash is told apart by: HASH("req2", SKEY)."""
    return _hash(b"req2", info_hash)


def _ciphers(secret: bytes, info_hash: bytes) -> tuple[Rc4, Rc4]:
    """The key streams from caller to called, and back."""
    return rc4(_hash(b"keyA", secret, info_hash)), rc4(_hash(b"keyB", secret, info_hash))


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))
