"""Hours of a session's life, with peers and torrents that come and go: it must not grow.

``python -m tests.reliability soak --minutes 120``. One process has the session and is watched; another has everybody whom
it meets (``passersby.py``). Each round adds five torrents, from a .torrent and from links, and they are fetched from
peers that are honest, slow, vanish, spoil pieces or say nothing, named by hand, by trackers (that answer, refuse, fail,
hang) and by the DHT, and from web seeds; they are paused, resumed, hashed again, read while they come, shared with
others, removed, and now and then added again from their files. Before each sample garbage is collected.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import trio

import torrentlite as tl
from tests.reliability.samples import Sample, growing, left_over, slope, take

ROOT = pathlib.Path(__file__).parent.parent.parent
WARM_UP = 15 * 60
"""Seconds before memory is measured."""
KEPT = 2
"""Rounds that a torrent is shared for."""
HAPPENS = (
    "peers that vanished", "peers that vanished with the metadata", "blocks that were spoiled", "calls to who says nothing",
    "DHT nodes that stored a peer", "web requests answered 206", "web requests answered 404", "announces that answered",
    "announces that failed", "announces that hung", "datagrams to trackers", "torrents fetched from it",
    "calls without a handshake", "callers that left in the middle",
)  # fmt: skip
"""What has to have happened, or the run was none."""

Say = Callable[[str], object]


class Passersby:
    """The other process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._text = b""

    async def ask(self, **order: Any) -> Any:
        """Tell it something, and wait for its answer."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps(order).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> Any:
        """Its next line."""
        assert self._process.stdout is not None
        while b"\n" not in self._text:
            part = await self._process.stdout.receive_some()
            if not part:
                raise RuntimeError("the other process has ended")
            self._text += part
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)


@contextlib.asynccontextmanager
async def passersby(seed: int, speed: int) -> AsyncIterator[Passersby]:
    """Start it; with the block it ends."""
    command = [sys.executable, "-m", "tests.reliability.passersby", str(seed), str(speed)]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    try:
        yield Passersby(process)
    finally:
        with trio.CancelScope(shield=True):
            assert process.stdin is not None and process.stdout is not None
            await process.stdin.aclose()
            with trio.move_on_after(10):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
            await process.stdout.aclose()


class Soak:
    """One run.

    Args:
        session: that is watched.
        others: the other process.
        folder: for what is fetched.
        leaks: things to be lost in every round, of ``LEAKS``: then the verdict has to be bad.
    """

    def __init__(self, session: tl.Session, others: Passersby, folder: pathlib.Path, leaks: list[str]) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._session = session
        self._others = others
        self._folder = folder
        self._leaks = leaks
        self._lost: list[Any] = []
        self._kept: collections.deque[list[tuple[tl.Torrent, pathlib.Path]]] = collections.deque()

    async def round(self, number: int, lost: trio.Nursery) -> None:
        """Everything once."""
        offers = await self._others.ask(round=number, port=self._session.port)
        kept: list[tuple[tl.Torrent, pathlib.Path]] = []
        with trio.fail_after(240):
            async with trio.open_nursery() as nursery:
                for offer in offers:
                    folder = self._folder / f"{number} {offer['name']}"
                    torrent = self._add(offer, folder)
                    manner = getattr(self, "_" + offer["name"].replace(" ", "_"))
                    nursery.start_soon(manner, torrent, offer)
                    kept.append((torrent, folder))
            await self._others.ask(leech=[offer["name"] for offer in offers if offer["complete"]])
            self._kept.append(kept)
            self._session.set_limits(download=0 if number % 2 else 2_000_000)
            if "torrent" in self._leaks:
                self._lost.append(kept[0][0])
            if len(self._kept) > KEPT:
                await self.remove(again=number % 3 == 0)
        self.counts.update(await self._others.ask(end=True))
        for leak in self._leaks:
            LEAKS[leak](self._lost, lost)

    def _add(self, offer: dict[str, Any], folder: pathlib.Path) -> tl.Torrent:
        source = offer["source"]
        return self._session.add(
            source if source.startswith("magnet:") else base64.b64decode(source),
            folder,
            select=[0] if offer["name"] == "web" else None,
            peers=[(host, port) for host, port in offer["peers"]],
            trackers=offer["trackers"],
            web_seeds=offer["web_seeds"],
        )

    async def remove(self, *, again: bool = False) -> None:
        """The oldest round's torrents go; perhaps they come back from their files first, then these go too."""
        async with trio.open_nursery() as nursery:
            for torrent, folder in self._kept.popleft():
                nursery.start_soon(self._remove, torrent, folder, again)

    async def _remove(self, torrent: tl.Torrent, folder: pathlib.Path, again: bool) -> None:
        metainfo = torrent.metainfo
        await self._session.remove(torrent)
        if again and metainfo is not None:
            torrent = self._session.add(metainfo, folder, paused=True)
            torrent.resume()
            await torrent.wait_complete()
            self.counts["torrents added again from their files"] += 1
            await self._session.remove(torrent)
        await trio.to_thread.run_sync(shutil.rmtree, folder, True)

    async def remove_all(self) -> None:
        """Nothing stays."""
        while self._kept:
            await self.remove()

    # -- what is done with each torrent ------------------------------------------------------------------------------

    async def _crowd(self, torrent: tl.Torrent, offer: dict[str, Any]) -> None:
        async with torrent.events() as events:
            async for event in events:
                if isinstance(event, tl.PieceVerified):
                    break
        torrent.pause()
        await trio.sleep(1)
        torrent.resume()
        await self._whole(torrent, offer)

    async def _magnet(self, torrent: tl.Torrent, offer: dict[str, Any]) -> None:
        async with torrent.open(0) as file:
            await file.read(100_000)
            file.seek(-1000, os.SEEK_END)
            await file.read()
        await self._whole(torrent, offer)

    async def _in_the_dht(self, torrent: tl.Torrent, offer: dict[str, Any]) -> None:
        await self._whole(torrent, offer)
        torrent.recheck()
        await trio.sleep(0.1)
        await torrent.wait_complete()

    async def _web(self, torrent: tl.Torrent, offer: dict[str, Any]) -> None:
        await torrent.wait_complete()
        torrent.select_files(None)
        while torrent.stats().progress < 1:
            await trio.sleep(0.2)
        await self._whole(torrent, offer)

    async def _nobody(self, torrent: tl.Torrent, offer: dict[str, Any]) -> None:
        with trio.move_on_after(3):
            await torrent.wait_metadata()
            raise AssertionError("nobody had it")
        torrent.pause()
        torrent.resume()

    async def _whole(self, torrent: tl.Torrent, offer: dict[str, Any]) -> None:
        await torrent.wait_complete()
        assert torrent.metainfo is not None
        digest = hashlib.sha256()
        for entry in torrent.metainfo.files:
            digest.update(torrent.save_to.joinpath(*entry.path).read_bytes())
        assert digest.hexdigest() == offer["sha256"], offer["name"]
        self.counts["torrents completed"] += 1


LEAKS: dict[str, Callable[[list[Any], trio.Nursery], object]] = {
    "torrent": lambda kept, nursery: None,  # done where torrents are at hand
    "descriptor": lambda kept, nursery: kept.append(open(os.devnull)),  # noqa: SIM115
    "socket": lambda kept, nursery: kept.append(socket.socket()),
    "task": lambda kept, nursery: nursery.start_soon(trio.sleep_forever),
}
"""What a run may lose on purpose, once a round."""


async def run(
    *, minutes: float, rounds: int, pace: float, speed: int, seed: int, settle: float, leaks: list[str], say: Say
) -> list[str]:
    """Soak for so many minutes (or rounds, where that is not 0); what was wrong, a line each.

    Args:
        minutes, rounds: how long.
        pace: seconds of a round at least.
        speed: bytes per second of an honest peer.
        seed: of the torrents.
        settle: seconds within which everything has to be back where it was, with no torrent and with no session.
        leaks: of ``LEAKS``.
        say: gets a line for each round.
    """
    began = trio.current_time()
    warm_up = min(WARM_UP, minutes * 30)
    points: list[tuple[float, float]] = []
    first: Sample | None = None
    with tempfile.TemporaryDirectory(prefix="tl-soak-") as name:
        folder = pathlib.Path(name)
        async with passersby(seed, speed) as others, trio.open_nursery() as lost:
            nodes = tuple((host, port) for host, port in await others.answer())
            before = take(began)
            settings = tl.Settings(host="127.0.0.1", state_dir=folder / "state", bootstrap=nodes)
            async with tl.open_session(settings) as session:
                with trio.fail_after(60):
                    while session.stats().dht.state != "joined":
                        await trio.sleep(0.1)
                await trio.sleep(min(5, pace))
                empty = take(began)
                say(_line("empty session", empty, empty, session, 0))
                soak = Soak(session, others, folder, leaks)
                number, cpu, clock = 0, time.process_time(), time.perf_counter()
                while number < rounds if rounds else trio.current_time() - began < minutes * 60:
                    until = trio.current_time() + pace
                    await soak.round(number, lost)
                    number += 1
                    await trio.sleep_until(until)
                    now = take(began)
                    busy = (time.process_time() - cpu) / (time.perf_counter() - clock) * 100
                    cpu, clock = time.process_time(), time.perf_counter()
                    if now.moment >= warm_up:
                        points.append((now.moment, now.rss))
                        first = first or now
                    say(_line(f"round {number}", now, first or now, session, busy))
                await soak.remove_all()
                emptied = await _settled(began, empty, settle)
                say(_line("emptied", emptied, empty, session, 0))
                bad = left_over(empty, emptied, "with no torrent left")
                errors, counts = session.stats().internal_errors, soak.counts
            del session
            closed = await _settled(began, before, settle)
            say(f"closed: {closed.rss:.2f} MiB, {closed.fds} fds, {closed.sockets} sockets, {closed.tasks} tasks")
            bad += left_over(before, closed, "with the session closed")
            lost.cancel_scope.cancel()
    if errors:
        bad.append(f"{errors} internal errors")
    bad += growing(points)
    bad += [f"it never happened: {name}" for name in HAPPENS if not counts[name]]
    for name, count in sorted(counts.items()):
        say(f"{count:8} {name}")
    if len(points) > 2:
        rise, error = slope(points)
        (start, low), (end, high) = points[0], points[-1]
        say(
            f"{number} rounds, {time.process_time():.0f} s of CPU; the last {(end - start) / 60:.0f} minutes: {low:.2f} to "
            f"{high:.2f} MiB, by least squares {rise:+.2f} MiB an hour (± {error:.2f})"
        )
    say("all is well" if not bad else "\n".join(f"BAD: {line}" for line in bad))
    return bad


async def _settled(began: float, goal: Sample, settle: float) -> Sample:
    """The first sample with no more than that, or the last within so many seconds."""
    with trio.move_on_after(settle):
        while left_over(goal, now := take(began), ""):
            await trio.sleep(1)
    return now


def _line(title: str, now: Sample, since: Sample, session: tl.Session, busy: float) -> str:
    stats = session.stats()
    return (
        f"{now.moment / 60:7.2f} min  {title}: {now.rss:.2f} MiB, {now.fds} fds, {now.sockets} sockets, {now.tasks} tasks, "
        f"{now.threads} threads, {now.objects.total()} objects; {stats.torrents} torrents, {stats.peers} peers, "
        f"{stats.downloaded >> 20} MiB down, {stats.uploaded >> 20} up, {stats.dht.nodes} nodes, {busy:.1f} % CPU"
        f"; since warm-up: {now.growth(since) or 'nothing'}"
    )
