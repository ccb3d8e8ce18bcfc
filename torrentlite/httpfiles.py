"""The files of a torrent over HTTP/1.1, with ranges, while it downloads: for players, browsers and curl.

It makes no sockets: whoever has a connection hands it to ``HttpFiles.serve``. Each request reads with a ``Reader`` of
its own, so a seek of a player (a new request, mostly on a new connection) moves what is fetched at once, and a client
that goes away takes its wishes with it. What is read goes out before more is read: who does not read holds 256 KiB.
"""

from __future__ import annotations

import contextlib
import html
import logging
import mimetypes
import posixpath
import re
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import h11
import trio

from .errors import NoSuchFileError, TorrentError
from .limits import HTTP_FILES_CONNECTIONS, HTTP_FILES_IDLE, HTTP_FILES_REQUEST
from .metainfo.metainfo import Metainfo
from .metainfo.text import display
from .swarm.selection import find_file
from .swarm.torrent import Torrent

log = logging.getLogger("torrentlite")

_CHUNK: Final = 256 << 10
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_TYPES: Final = {
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".m2ts": "video/mp2t",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".mka": "audio/x-matroska",
    ".mkv": "video/x-matroska",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
"""What ``mimetypes`` knows on no system, or not on all of them."""

Headers = list[tuple[str, str]]
_Broken = (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError)


class HttpFiles:
    """Answers requests for the files of one torrent: GET and HEAD, one range each, If-Range and If-None-Match.

    Only for programs on this computer: a request whose host (in an absolute target, else in ``Host``) is not localhost
    is refused, or any web page could have a browser read from here, by a name of its own that leads to 127.0.0.1 ("DNS
    rebinding").

    Attributes:
        torrent: whose files they are.
        connections: how many there are.
        waiting: answers that wait for bytes that are not here yet.
        sent: bytes of files, in all answers.
    """

    def __init__(self, torrent: Torrent, metainfo: Metainfo) -> None:
        self.torrent = torrent
        self._metainfo = metainfo
        self.connections = 0
        self.waiting = 0
        self.sent = 0

    def path(self, file: int) -> str:
        """Where a file (index into ``metainfo.files``) is found: the URL's path, quoted."""
        return "/" + "/".join(urllib.parse.quote(part, safe="") for part in self._metainfo.files[file].path)

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer on one connection until either side has had enough. Raises nothing but Cancelled."""
        self.connections += 1
        try:
            async with stream:
                with contextlib.suppress(*_Broken):
                    await _Connection(self, stream).run(crowded=self.connections > HTTP_FILES_CONNECTIONS)
        except Exception as error:  # a bug of ours: it ends this connection alone
            log.error("internal error in an answer over HTTP", exc_info=error)
        finally:
            self.connections -= 1

    # -- what is said ------------------------------------------------------------------------------------------------

    def answer(self, request: h11.Request) -> Answer:
        """What to answer, without the body."""
        headers: dict[str, str] = {}
        for field, value in request.headers:
            name, line = field.decode("latin-1"), value.decode("latin-1")
            # RFC 9110, 5.3: a field said again goes on where the first ended; what cannot is then no valid value.
            headers[name] = f"{headers[name]}, {line}" if name in headers else line
        # RFC 9112, 3.2.2: the absolute form, which a client with a proxy sends, must be taken, and its host counts.
        absolute = re.match(rb"(?i)http://([^/?]*)(.*)", request.target, re.DOTALL)
        host, target = (
            (absolute[1].decode("latin-1"), absolute[2]) if absolute else (headers.get("host", ""), request.target)
        )
        if not _is_local(host):
            return _text(403, "this is for programs on this computer: http://127.0.0.1 or http://localhost\n")
        if request.method not in (b"GET", b"HEAD"):
            return _text(405, "GET and HEAD only\n", [("Allow", "GET, HEAD")])
        path = urllib.parse.unquote(target.partition(b"?")[0].decode("latin-1"), errors="replace")
        if path in ("", "/"):
            return Answer(200, [("Content-Type", "text/html; charset=utf-8")], self._index())
        try:
            file = find_file(self._metainfo.info, path[1:])
        except NoSuchFileError as error:
            return _text(404, f"{error}\n")
        return self._file(file, headers)

    def _file(self, file: int, asked: dict[str, str]) -> Answer:
        size = self._metainfo.files[file].length
        # Strong: these bytes and no others, whoever serves them and when.
        tag = f'"{self._metainfo.info_hash}-{file}"'
        headers = [
            ("Content-Type", content_type(self._metainfo.files[file].path[-1])),
            ("Accept-Ranges", "bytes"),
            ("ETag", tag),
        ]
        # RFC 9110, 13.1.2: compared weakly; "*" is whatever there is. Commas may be inside of a tag.
        known = asked.get("if-none-match", "")
        if known == "*" or tag in re.findall(r'"[^"]*"', known):
            return Answer(304, headers, b"")
        wanted = asked.get("range")
        if asked.get("if-range", tag) != tag:
            wanted = None
        span = parse_range(wanted, size) if wanted is not None else None
        if span is None:
            return Answer(200, headers, range(size), file)
        if not span:
            return _text(416, "there is no such part\n", [("Content-Range", f"bytes */{size}")])
        headers.append(("Content-Range", f"bytes {span.start}-{span.stop - 1}/{size}"))
        return Answer(206, headers, span, file)

    def _index(self) -> bytes:
        lines = ["<!doctype html>", f"<title>{html.escape(display(self._metainfo.name))}</title>", "<ul>"]
        for file in self._metainfo.info.wanted_files:
            name = html.escape(display("/".join(self._metainfo.files[file].path), limit=4096))
            lines.append(f'<li><a href="{html.escape(self.path(file))}">{name}</a>')
        return "\n".join([*lines, "</ul>", ""]).encode()


class Answer:
    """Status and headers of an answer, and its body: bytes, or a range of a file."""

    def __init__(self, status: int, headers: Headers, body: bytes | range, file: int = -1) -> None:
        self.status = status
        self.body = body
        self.file = file
        self.headers = [
            *headers,
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            # A page in a torrent is a stranger's: it is shown, and does nothing.
            ("Content-Security-Policy", "sandbox"),
        ]
        if status != 304:
            self.headers.append(("Content-Length", str(len(body))))


class _Connection:
    """One connection, one request after the other."""

    def __init__(self, files: HttpFiles, stream: trio.abc.Stream) -> None:
        self._files = files
        self._stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HTTP_FILES_REQUEST)

    async def run(self, *, crowded: bool) -> None:
        http = self._http
        while True:
            with trio.move_on_after(HTTP_FILES_IDLE) as patience:
                try:
                    request = await self._request()
                except h11.RemoteProtocolError as error:
                    if http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                        await self._send(_text(error.error_status_hint, "this is no HTTP request\n"))
                    return
            if patience.cancelled_caught or request is None:
                return
            answer = _text(503, "too many connections\n") if crowded else self._files.answer(request)
            await self._send(answer, head=request.method == b"HEAD")
            if crowded or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _request(self) -> h11.Request | None:
        """The next request, when all of it is here; None when the client is gone."""
        request = None
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self._stream.receive_some(_CHUNK)))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage):
                return request
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return None

    async def _send(self, answer: Answer, *, head: bool = False) -> None:
        http, stream = self._http, self._stream
        reason = HTTPStatus(answer.status).phrase
        head_of_it = h11.Response(status_code=answer.status, headers=answer.headers, reason=reason)
        await stream.send_all(http.send(head_of_it) or b"")
        if isinstance(answer.body, bytes):
            if answer.body and not head:
                await stream.send_all(http.send(h11.Data(data=answer.body)) or b"")
        elif answer.body and not head:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._notice_the_end, nursery.cancel_scope.cancel)
                await self._send_file(answer.file, answer.body)
                nursery.cancel_scope.cancel()
        if http.our_state is h11.SEND_BODY and (head or isinstance(answer.body, bytes) or not answer.body):
            await stream.send_all(http.send(h11.EndOfMessage()) or b"")

    async def _send_file(self, file: int, span: range) -> None:
        files, http, stream = self._files, self._http, self._stream
        left = len(span)
        try:
            async with files.torrent.open(file) as reader:
                reader.seek(span.start)
                while left:
                    files.waiting += 1
                    try:
                        data = await reader.receive_some(min(left, _CHUNK))
                    finally:
                        files.waiting -= 1
                    left -= len(data)
                    await stream.send_all(http.send(h11.Data(data=data)) or b"")
                    files.sent += len(data)
        except TorrentError as error:
            # The status is said already: all that is left is to break off.
            log.info("an answer over HTTP ends early: %s", error)
            http.send_failed()
            return
        except _Broken:
            http.send_failed()
            return
        await stream.send_all(http.send(h11.EndOfMessage()) or b"")

    async def _notice_the_end(self, gone: Callable[[], None]) -> None:
        """While an answer goes out, and waits for pieces: does the client still want it?"""
        waiting = 0
        with contextlib.suppress(*_Broken):
            while waiting < HTTP_FILES_REQUEST:  # of requests that it sends ahead
                data = await self._stream.receive_some(_CHUNK)
                if not data:
                    break
                waiting += len(data)
                self._http.receive_data(bytes(data))
        gone()


def parse_range(text: str, size: int) -> range | None:
    """The bytes that a ``Range`` asks for (RFC 9110, 14.2): None where it is to be ignored, empty where there are none.

    Several ranges in one are ignored too, as a server may: the answer is then all of it.
    """
    match = re.fullmatch(r"bytes=\s*(\d{0,20})-(\d{0,20})\s*", text, re.ASCII | re.IGNORECASE)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    first, last = int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None
    return range(first, max(first, last + 1)) if first < size else range(0)


def content_type(name: str) -> str:
    """The media type by a file's name."""
    return (
        _TYPES.get(posixpath.splitext(name.lower())[1]) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    )


def _is_local(host: str) -> bool:
    name = re.sub(r":\d{0,5}$", "", host.strip().lower()) if not host.endswith("]") else host.strip().lower()
    return name.removesuffix(".") in _LOCAL


def _text(status: int, words: str, headers: Headers | None = None) -> Answer:
    return Answer(status, [("Content-Type", "text/plain; charset=utf-8"), *(headers or [])], words.encode())
