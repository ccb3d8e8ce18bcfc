"""A download service with Starlette (FastAPI's lifespan and routes are the same).

SAVE_TO=downloads uvicorn examples.starlette_app:app

curl -d 'magnet:?xt=urn:btih:…' localhost:8000/torrents    # or --data-binary @debian.torrent
curl localhost:8000/torrents/HASH                          # how far it is
curl -N localhost:8000/torrents/HASH/events                # what happens, as server-sent events
curl -X DELETE localhost:8000/torrents/HASH
"""

import contextlib
import json
import os
import pathlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from torrentlite import aio as tl

SAVE_TO = pathlib.Path(os.environ.get("SAVE_TO", "downloads"))


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, tl.Session]]:
    """One session for the whole application: it is opened before the first request, and left after the last."""
    settings = tl.Settings(host=os.environ.get("LISTEN", ""), state_dir=SAVE_TO / ".state")
    async with tl.open_session(settings) as session:
        yield {"session": session}


async def add(request: Request) -> Response:
    """Take a magnet link or the bytes of a .torrent."""
    body = await request.body()
    session: tl.Session = request.state.session
    try:
        torrent = session.add(body if body.startswith(b"d") else body.decode(), SAVE_TO)
    except tl.DuplicateTorrentError as error:
        raise HTTPException(409, str(error)) from error
    except (tl.TorrentError, UnicodeDecodeError) as error:
        raise HTTPException(400, str(error)) from error
    return JSONResponse(describe(torrent), status_code=201)


async def show(request: Request) -> Response:
    """How far it is."""
    return JSONResponse(describe(find(request)))


async def events(request: Request) -> Response:
    """Every event as a server-sent one; the client may leave at any time."""
    torrent = find(request)

    async def stream() -> AsyncIterator[str]:
        async with torrent.events() as events:
            yield f"event: Now\ndata: {json.dumps(describe(torrent))}\n\n"
            async for event in events:
                data = json.dumps(event._asdict(), default=lambda value: str(getattr(value, "value", value)))
                yield f"event: {type(event).__name__}\ndata: {data}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def remove(request: Request) -> Response:
    """Forget it; its files stay."""
    await request.state.session.remove(find(request))
    return Response(status_code=204)


def find(request: Request) -> tl.Torrent:
    """The torrent of this URL."""
    session: tl.Session = request.state.session
    for torrent in session.torrents:
        if torrent.info_hash == request.path_params["info_hash"]:
            return torrent
    raise HTTPException(404)


def describe(torrent: tl.Torrent) -> dict[str, object]:
    """What clients are told of a torrent."""
    stats = torrent.stats()
    return {
        "info_hash": torrent.info_hash,
        "name": torrent.name,
        "state": stats.state.value,
        "progress": stats.progress,
        "down_rate": stats.down_rate,
        "eta": stats.eta,
        "why": torrent.why().message,
        "paths": [str(path) for path in torrent.paths()] if stats.complete else [],
    }


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/torrents", add, methods=["POST"]),
        Route("/torrents/{info_hash}", show),
        Route("/torrents/{info_hash}/events", events),
        Route("/torrents/{info_hash}", remove, methods=["DELETE"]),
    ],
)
