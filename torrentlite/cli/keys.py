"""The key of a link that stays, in a file of its owner: 64 hex digits."""

from __future__ import annotations

import os
import pathlib
import re
import secrets
from typing import Final, NamedTuple

from ..dht.signing import SEED_SIZE, SigningKey
from ..errors import SourceError, StorageError
from ..metainfo.mutable import MutableLink
from ..metainfo.text import display
from .files import write_secret

_KEY: Final = re.compile("[0-9A-Fa-f]{64}")
_LONGEST: Final = 1000
"""Characters of a file that are looked at."""


class Key(NamedTuple):
    """What the owner of a link keeps to himself, and the link.

    Attributes:
        secret: 32 bytes.
        link: it leads where these say.
    """

    secret: bytes
    link: MutableLink

    @classmethod
    def read(cls, path: str) -> Key:
        """That in a file; a new one, for nobody else to read, where there is no such file.

        Raises:
            SourceError: the file holds no key.
            StorageError: it cannot be read or written.
            DhtError: the ``cryptography`` package is not installed.
        """
        try:
            try:
                text = _read(path)
            except FileNotFoundError:
                text = _make(path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise StorageError(f"cannot use the key '{display(path)}': {why.lower()}", path=path) from error
        if not _KEY.fullmatch(text):
            raise SourceError(f"'{display(path)}' holds no key", hint="it would be 64 hex digits; a new file gets one")
        secret = bytes.fromhex(text)
        return cls(secret, MutableLink(SigningKey(secret).public))


def _read(path: str) -> str:
    # Whoever names a pipe by mistake shall not wait until somebody opens its other end.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="latin-1") as file:
        os.set_blocking(file.fileno(), True)
        text = file.read(_LONGEST + 1)
        return text.strip() if len(text) <= _LONGEST else ""


def _make(path: str) -> str:
    """A new one; that of whoever was sooner, if somebody was."""
    text = secrets.token_hex(SEED_SIZE)
    SigningKey(bytes.fromhex(text))  # nothing is left behind where it would be of no use
    try:
        write_secret(pathlib.Path(path), f"{text}\n".encode())
    except FileExistsError:
        return _read(path)
    return text
