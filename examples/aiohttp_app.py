"""A fetching proxy with aiohttp: the file behind a link, as soon as all of it is verified.

SAVE_TO=cache python examples/aiohttp_app.py 8080

curl -o debian.iso 'localhost:8080/fetch?link=magnet:?xt=urn:btih:…'
"""

import asyncio
import os
import pathlib
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from torrentlite import aio as tl

SAVE_TO = pathlib.Path(os.environ.get("SAVE_TO", "cache"))
PATIENCE = float(os.environ.get("PATIENCE", "3600"))
SESSION = web.AppKey("session", tl.Session)


async def session_context(app: web.Application) -> AsyncIterator[None]:
    """One session for the whole application."""
    settings = tl.Settings(host=os.environ.get("LISTEN", ""), state_dir=SAVE_TO / ".state")
    async with tl.open_session(settings) as session:
        app[SESSION] = session
        yield


async def fetch(request: web.Request) -> web.StreamResponse:
    """Wait for the file; a client that leaves ends only its own waiting."""
    session = request.app[SESSION]
    try:
        magnet = tl.Magnet.parse(request.query["link"])
    except tl.MagnetError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    torrent = next((each for each in session.torrents if each.hashes == magnet.hashes), None)
    torrent = torrent or session.add(magnet, SAVE_TO)
    try:
        async with asyncio.timeout(PATIENCE):
            (path,) = await torrent.wait_complete()
    except TimeoutError as error:
        raise web.HTTPGatewayTimeout(text=torrent.why().message) from error
    except tl.TorrentError as error:
        raise web.HTTPBadGateway(text=str(error)) from error
    if not path.is_file():
        raise web.HTTPBadRequest(text=f"{torrent.name} is a folder of {len(torrent.files())} files")
    return web.FileResponse(path)


def make_app() -> web.Application:
    """The application."""
    app = web.Application()
    app.cleanup_ctx.append(session_context)
    app.router.add_get("/fetch", fetch)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(sys.argv[1]))
