"""URLs of trackers and downloads, taken apart and checked before anything acts on them. Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Final, NamedTuple

from .. import limits
from ..errors import NetworkError, SourceError

HTTP: Final = {"http": 80, "https": 443}
"""Schemes of HTTP with their ports."""

TRACKER: Final = {**HTTP, "udp": None}
"""Schemes of trackers; over UDP the port has to be written."""

_ASCII: Final = "".join(map(chr, range(33, 127)))


class Url(NamedTuple):
    """An absolute URL, all in ASCII.

    Its text, path and credentials may hold somebody's key: only ``origin`` is fit for a log.
    """

    scheme: str
    credentials: str
    """``user:password`` as written (quoted), or empty."""
    host: str
    """A name or an IP address, without brackets."""
    port: int
    target: str
    """Path and query, at least ``/``."""

    @property
    def origin(self) -> str:
        """Scheme, host and port: who is asked, and nothing of what."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def whole(self) -> str:
        """The URL without its user and password, as proxies are told it; it may hold a key."""
        return f"{self.origin}{self.target}"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.target.partition("?")[2]

    def __str__(self) -> str:
        scheme, _, authority = self.origin.partition("//")
        return f"{scheme}//{self.credentials}{'@' if self.credentials else ''}{authority}{self.target}"


def parse_url(text: str, ports: Mapping[str, int | None] = HTTP) -> Url:
    """Take an absolute URL apart. The fragment is dropped; letters beyond ASCII in the target are quoted.

    Args:
        text: the URL.
        ports: the schemes that are allowed, each with its default port (None: it has to be written).

    Raises:
        SourceError: it is no such URL. Control characters (a line end would begin another header), blanks and
            backslashes (programs disagree on what they mean) are refused, and so are host names beyond ASCII.
    """
    if len(text) > limits.MAX_URL:
        raise SourceError("the URL is too long")
    if not text.isprintable() or " " in text or "\\" in text:
        raise SourceError("the URL has characters that no URL may have")
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError:
        raise SourceError("the URL is malformed") from None  # the cause would quote parts of it
    if parts.scheme not in ports:
        allowed = ", ".join(ports)
        raise SourceError(f"a URL of this kind cannot be used: {parts.scheme or 'no scheme'}", hint=f"use {allowed}")
    credentials, _, _ = parts.netloc.rpartition("@")
    if not credentials.isascii():
        raise SourceError("the URL's user or password is not ASCII")
    host = parts.hostname or ""
    try:
        check_name(host)
    except NetworkError as error:
        raise SourceError(f"the URL cannot be used: {error}", hint=error.hint) from error
    port = ports[parts.scheme] if port is None else port
    if not port:
        raise SourceError("the URL names no port")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(parts.scheme, credentials, host, port, urllib.parse.quote(target, safe=_ASCII))


def check_name(host: str) -> None:
    """Raise NetworkError for what cannot be the name of a host.

    Names with other than ASCII letters are refused, not translated: two of them can look the same. Who means one writes
    its punycode form, which cannot be mistaken.
    """
    if not host.isascii():
        form = punycode(host)
        hint = f"its ASCII form is {form}" if form else ""
        raise NetworkError("a host name with other than ASCII letters is refused", hint=hint)
    if not host or len(host) > limits.MAX_HOST_NAME or not host.isprintable() or " " in host:
        raise NetworkError("that is no host name")


def punycode(host: str) -> str:
    """The ASCII form of a host name; empty where there is none."""
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
