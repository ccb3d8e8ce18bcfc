"""What may stand after a flag: checked where it is typed, and refused in words that help."""

from __future__ import annotations

import argparse
import math
import re
import shlex
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

from ..limits import MAX_COPIES
from ..metainfo.text import display
from . import units

ENCRYPTION: Final = ("off", "allow", "prefer", "require")
"""What ``settings.Encryption`` has; that module takes longer to import than ``--help`` should."""
UTP: Final = ("off", "allow", "prefer")
"""What ``settings.Utp`` has."""
_PORTS: Final = "a port is 1 to 65535"
_TRACKER_SCHEMES: Final = ("udp", "http", "https")


def checked(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Hand a ValueError's own words through argparse, which would replace them."""

    def run(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return run


def parse_peer(text: str) -> tuple[str, int]:
    """The host (a name or an IP address, IPv6 in brackets) and port of ``HOST:PORT``."""
    host, port = _split_port(text, text)
    if not host:
        raise ValueError(f"{text!r} is not HOST:PORT")
    if not port:
        raise ValueError(f"{text!r}: {_PORTS}")
    return host, port


def parse_listen(text: str) -> tuple[str, int]:
    """The host (may be empty) and port (may be 0) of ``[HOST:]PORT``."""
    return _split_port(text if ":" in text else f":{text}", text)


def _split_port(text: str, typed: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:\[\]]*)):([0-9]+)", text, re.ASCII)
    if not match:
        raise ValueError(f"'{display(typed)}' is not HOST:PORT (an IPv6 address goes in brackets)")
    if len(match[3]) > 5 or int(match[3]) > 65535:
        raise ValueError(f"'{display(typed)}': {_PORTS}")
    return match[1] or match[2], int(match[3])


def parse_url(text: str, schemes: tuple[str, ...]) -> str:
    """A URL with a host and one of these schemes."""
    try:
        parts = urllib.parse.urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in schemes:
        raise ValueError(f"{text!r} is not a URL that starts with {', '.join(f'{scheme}://' for scheme in schemes)}")
    return text


def parse_proxy(text: str) -> str:
    """A SOCKS5 proxy; empty takes back what the environment or the file names. No error has its password."""
    from ..errors import SourceError
    from ..net.proxy import SOCKS, Proxy  # with Trio, which who has none need not wait for

    if not (text := text.strip()):
        return ""
    try:
        Proxy.parse(text, SOCKS)
    except SourceError as error:
        raise ValueError(f"{error} ({error.hint})" if error.hint else str(error)) from None
    return text


def parse_interface(text: str) -> str:
    """The name of a network interface; empty takes back what the environment or the file names."""
    from ..settings import Settings  # which takes longer to import than --help should

    try:
        return Settings(interface=text).interface
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def parse_command(text: str) -> str:
    """A program and its arguments, as a shell would split them; the text, if it can be split."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {str(error).lower()}; quote it as in a shell") from None
    if not words or not words[0]:
        raise ValueError(f"{text!r} names no program")
    return text


def parse_sha256(text: str) -> str:
    """A SHA-256 in hex, in small letters; ``sha256:`` may stand before it."""
    from .. import checksum  # with Trio, which a command that has no checksum need not wait for

    return checksum.parse_sha256(text).hex()


def parse_some(text: str) -> int:
    """A size of at least one byte."""
    if not (size := units.parse_size(text)):
        raise ValueError(f"{text!r} is nothing; write 16M")
    return size


def parse_folder(text: str) -> str:
    """A folder: an empty text is a variable that was not set, and no word for this one."""
    if not text:
        raise ValueError("'' names no folder; this one is .")
    return text


def parse_piece_size(text: str) -> int:
    """A piece size: a power of two that clients agree on."""
    size = units.parse_size(text)
    if size & (size - 1) or not 16 << 10 <= size <= 16 << 20:
        raise ValueError(f"{text!r}: a piece size is a power of two from 16k to 16M")
    return size


def parse_ratio(text: str) -> float:
    """How much to give: 0 and more, as a multiple of the size."""
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio < math.inf:
        raise ValueError(f"{text!r} is not a ratio; write 1.0 for as much as its size")
    return ratio


def parse_copies(text: str) -> int:
    """How many others shall have everything."""
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not 1 <= int(text) <= MAX_COPIES:
        raise ValueError(f"{text!r} is not a number of others, from 1 to {MAX_COPIES:,}")
    return int(text)


def parse_port(text: str) -> int:
    """A port, or 0 for any free one."""
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port: {_PORTS}")
    return int(text)


SIZE: Final = checked(units.parse_size)
FOLDER: Final = checked(parse_folder)
SOME: Final = checked(parse_some)
DURATION: Final = checked(units.parse_duration)
RATIO: Final = checked(parse_ratio)
COPIES: Final = checked(parse_copies)
PORT: Final = checked(parse_port)
PEER: Final = checked(parse_peer)
LISTEN: Final = checked(parse_listen)
PIECE_SIZE: Final = checked(parse_piece_size)
TRACKER: Final = checked(lambda text: parse_url(text, _TRACKER_SCHEMES))
COMMAND: Final = checked(parse_command)
SHA256: Final = checked(parse_sha256)
PROXY: Final = checked(parse_proxy)
INTERFACE: Final = checked(parse_interface)
WEB_SEED: Final = checked(lambda text: parse_url(text, ("http", "https")))
