"""Tracker URLs fit to be shown: a passkey in one is somebody's identity, and logs are pasted into forums."""

from __future__ import annotations

import re
import urllib.parse

from ..metainfo.text import display
from ..net.url import punycode

# What is long, or has a digit and is not quite short, may be a key. A plain word shows which tracker it is.
_KEY = re.compile(r"(?=.*\d).{8,}|.{17,}", re.DOTALL)
_SHOWN = 2


def redact(url: str) -> str:
    """The URL in one line with its keys cut: credentials, query values, and what looks like a key in path or host."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return "(a malformed URL)"
    if not host:
        return "(a malformed URL)"
    if not host.isascii():  # letters that look like others are no way to know a tracker
        host = punycode(host) or "?"
    is_ip = ":" in host or host.replace(".", "").isdigit()
    shown = f"[{host}]" if ":" in host else host if is_ip else ".".join(map(_label, host.split(".")))
    if port is not None:
        shown += f":{port}"
    path = "/".join(_cut(segment) if _KEY.fullmatch(segment) else segment for segment in parts.path.split("/"))
    query = "&".join(f"{name}=…" if equals else "…" for name, equals, _ in _parameters(parts.query))
    return display(f"{parts.scheme}://{shown}{path}{'?' if query else ''}{query}")


def scrub(text: str, url: str) -> str:
    """A text that came back from this URL, without the keys of the URL that it may repeat."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return text
    keys = [segment for segment in parts.path.split("/") if _KEY.fullmatch(segment)]
    keys += [value for _, _, value in _parameters(parts.query)]
    keys += re.split("[:@]", parts.netloc.rpartition("@")[0])
    for key in keys:
        for form in (key, urllib.parse.unquote(key)):
            if len(form) >= 4:  # shorter ones are in many words
                text = text.replace(form, _cut(form))
    return text


def _parameters(query: str) -> list[tuple[str, str, str]]:
    return [parameter.partition("=") for parameter in query.split("&")] if query else []


def _label(label: str) -> str:
    return _cut(label) if len(label) >= 17 and _KEY.fullmatch(label) else label


def _cut(key: str) -> str:
    return f"{key[:_SHOWN]}…"
