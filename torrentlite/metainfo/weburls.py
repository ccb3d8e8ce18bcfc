"""Where a web seed has a torrent's files (BEP 19). Pure."""

from __future__ import annotations

import urllib.parse
from typing import Final

from .info import Info

_UNFIT: Final = (b"", b".", b"..")


def file_url(url: str, info: Info, file: int) -> str | None:
    """The URL of one file at a web seed, or None where its name cannot safely be part of one.

    BEP 19: "If the "url-list" URL ends in a slash, "/" the client must add the "name" from the torrent". Of a torrent
    of several files the URL is always a folder, whether its slash was forgotten or not.

    A name like ``..`` or ``a/b`` would lead to other places of the server, so nothing is asked for it.

    Args:
        url: of the web seed.
        info: the torrent.
        file: the index of a file (neither padding nor a symlink).
    """
    if not info.multi and not url.endswith("/"):
        return url
    names = info.files[file].raw_path
    if any(name in _UNFIT or b"/" in name or b"\\" in name or b"\0" in name for name in names):
        return None
    base, mark, query = url.partition("?")
    path = "/".join(urllib.parse.quote(name, safe="") for name in names)
    return f"{base}{'' if base.endswith('/') else '/'}{path}{mark}{query}"
