"""The key of a link that stays, in a file of its owner: 64 hex digits."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import Final, NamedTuple

from ..dht.signing import SigningKey
from ..errors import SourceError, StorageError
from ..metainfo.mutable import KEY_SIZE, MutableLink
from ..metainfo.text import display

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
                text = secrets.token_hex(KEY_SIZE)
                SigningKey(bytes.fromhex(text))  # nothing is left behind where it would be of no use
                text = _make(path, text)
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


def _make(path: str, text: str) -> str:
    """Write it, whole or not at all, so that nobody loses a link; the text of whoever was sooner, if somebody was."""
    folder = os.path.dirname(path) or "."
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{secrets.token_hex(4)}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return _read(path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return text
