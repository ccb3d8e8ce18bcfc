"""Messages of SOCKS5 (RFC 1928), and of user and password in it (RFC 1929): what a proxy is told, and what it says."""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from ..errors import ProtocolError

NO_AUTHENTICATION: Final = 0
PASSWORD: Final = 2

MAX_FIELD: Final = 255
"""Bytes of a name, a user or a password: each has one byte for its length."""

_VERSION: Final = 5
_PASSWORD_VERSION: Final = 1
_CONNECT: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4

_REFUSALS: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "timed out",  # "TTL expired", which is how proxies say that
    7: "it makes no connections",
    8: "it does not know that kind of address",
}

HELLO_SIZE: Final = 2
"""Bytes of the answers to ``hello`` and ``password``."""
REPLY_HEAD: Final = 5
"""Bytes of a reply to ``connect`` that say how long it is."""


def hello(*, password: bool) -> bytes:
    """Which ways of saying who we are are offered: none, and a password where we have one."""
    methods = bytes([NO_AUTHENTICATION, PASSWORD] if password else [NO_AUTHENTICATION])
    return bytes([_VERSION, len(methods)]) + methods


def read_method(answer: bytes, *, password: bool) -> int:
    """The way that the proxy chose, of those that were offered (``hello``).

    Raises:
        ProtocolError: it takes none of them, or it is no SOCKS5 proxy.
    """
    version, method = answer
    if version != _VERSION:
        raise ProtocolError("it is no SOCKS5 proxy")
    if method != NO_AUTHENTICATION and not (password and method == PASSWORD):
        raise ProtocolError("it takes nobody in this way; it may want a user and a password")
    return method


def password(user: bytes, secret: bytes) -> bytes:
    """Who we are; 255 bytes of each at most."""
    return bytes([_PASSWORD_VERSION, len(user)]) + user + bytes([len(secret)]) + secret


def check_password(answer: bytes) -> None:
    """Raise ProtocolError where the user or the password is refused."""
    if answer[1] != 0:
        raise ProtocolError("it refuses the user or the password")


def connect(host: str, port: int) -> bytes:
    """Make a connection to this IP address, or to this name, which the proxy then looks up.

    Raises:
        ProtocolError: the name is too long.
    """
    try:
        packed = ipaddress.ip_address(host).packed
        kind = bytes([_IPV4 if len(packed) == 4 else _IPV6])
    except ValueError:
        packed = host.encode("ascii")
        if len(packed) > MAX_FIELD:
            raise ProtocolError("the host's name is too long for it") from None
        kind = bytes([_NAME, len(packed)])
    return bytes([_VERSION, _CONNECT, 0]) + kind + packed + struct.pack(">H", port)


def reply_left(head: bytes) -> int:
    """How many bytes of a reply are still to come after its first five. What they say is of no use.

    Raises:
        ProtocolError: the connection could not be made, for the reason that is given; or that is no reply.
    """
    version, refusal, _, kind, first = head
    if version != _VERSION:
        raise ProtocolError("it is no SOCKS5 proxy")
    if refusal:
        raise ProtocolError(_REFUSALS.get(refusal, f"error {refusal}"))
    sizes = {_IPV4: 4, _IPV6: 16, _NAME: 1 + first}
    if kind not in sizes:
        raise ProtocolError("it answers with a kind of address that there is not")
    return sizes[kind] - 1 + 2
