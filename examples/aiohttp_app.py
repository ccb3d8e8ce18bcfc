"""A file behind a link over HTTP, while it downloads: players may seek in it (aiohttp, ranges, verified bytes only).

SAVE_TO=cache python examples/aiohttp_app.py 8080

mpv 'http://localhost:8080/get?link=magnet:?xt=urn:btih:…&dn=…&tr=…'   # the only file
curl -o readme 'localhost:8080/get?link=HASH&file=readme.txt'          # one of several
"""

import asyncio
import contextlib
import os
import pathlib
import re
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from torrentlite import aio as tl

SAVE_TO = pathlib.Path(os.environ.get("SAVE_TO", "cache"))
PATIENCE = float(os.environ.get("PATIENCE", "3600"))
STEP = 256 << 10
SESSION = web.AppKey("session", tl.Session)


async def session_context(app: web.Application) -> AsyncIterator[None]:
    """One session for the whole application."""
    settings = tl.Settings(host=os.environ.get("LISTEN", ""), state_dir=SAVE_TO / ".state")
    async with tl.open_session(settings) as session:
        app[SESSION] = session
        yield


async def get(request: web.Request) -> web.StreamResponse:
    """Give the file, or a range of it, as it comes."""
    torrent = find(request)
    response = web.StreamResponse(headers={"Accept-Ranges": "bytes"})
    try:
        async with asyncio.timeout(PATIENCE) as patience, torrent.open(request.query.get("file")) as file:
            try:
                start, stop, _ = request.http_range.indices(file.size)
            except ValueError:
                start = stop = 0  # no range that can be read, and none that can be given
            if "Range" in request.headers:
                if start >= stop:
                    raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{file.size}"})
                response.set_status(206)
                response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
            response.content_length = stop - start
            if request.method == "HEAD":
                await response.prepare(request)
                return response
            await file.seek(start)
            data = await file.peek() if stop > start else b""  # what goes wrong now can still be said
            await response.prepare(request)
            while start < stop and (data := await file.read1(min(stop - start, STEP))):
                await response.write(data)
                start += len(data)
                patience.reschedule(asyncio.get_running_loop().time() + PATIENCE)
    except TimeoutError as error:
        raise web.HTTPGatewayTimeout(text=torrent.why().message) from error
    except tl.NoSuchFileError as error:
        raise web.HTTPNotFound(text=str(error)) from error
    except tl.TorrentError as error:
        raise web.HTTPBadGateway(text=str(error)) from error
    return response


def find(request: web.Request) -> tl.Torrent:
    """The torrent of this link, in the session from the first request on."""
    session = request.app[SESSION]
    try:
        link = request.query["link"]
        if link.lower().startswith("magnet:"):
            # Pasted as it is, it ends for HTTP at its first ampersand. ``file`` is ours: no magnet link has one.
            link += "&" + request.rel_url.raw_query_string.partition("link=")[2].partition("&")[2]
        magnet = tl.Magnet.parse(link)
    except (tl.TorrentError, KeyError) as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    for torrent in session.torrents:
        if torrent.hashes.wire == magnet.hashes.wire:
            add_sources(torrent, magnet)
            return torrent
    return session.add(magnet, SAVE_TO, select=[])  # what is read is fetched, and nothing else


def add_sources(torrent: tl.Torrent, magnet: tl.Magnet) -> None:
    """This link may know more peers and trackers than the one with which the torrent came."""
    if torrent.metainfo is not None and torrent.metainfo.info.private:
        return  # its own tracker alone names peers (BEP 27)
    for host, port in magnet.peers:
        torrent.add_peer(host, port)
    for url in magnet.trackers:
        if re.fullmatch(r"udp://.*|https?://[^?@]*/announce", url):  # a link may not ask for anything else at home
            with contextlib.suppress(tl.SourceError):
                torrent.add_tracker(url)


def make_app() -> web.Application:
    """The application."""
    app = web.Application()
    app.cleanup_ctx.append(session_context)
    app.router.add_get("/get", get)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(sys.argv[1]))
