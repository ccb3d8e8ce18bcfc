"""The dashboard over real sessions, in a simulated swarm."""

from __future__ import annotations

import time

import pytest
import trio

import torrentlite as tl
from tests.strangers import background, session_on, simulated, until, where
from torrentlite.cli import output, progress
from torrentlite.cli.output import Job, Output
from torrentlite.cli.screen import Screen
from torrentlite.cli.terminal import Mode
from torrentlite.stats import State
from torrentlite.testing import SimulatedWorld
from torrentlite.tui.choices import Page
from torrentlite.tui.dashboard import Dashboard
from torrentlite.tui.snapshot import NO_PIECES


class Desk:
    """Somebody at the dashboard of a session."""

    def __init__(self, session: tl.Session, *torrents: tl.Torrent) -> None:
        self.did: list[str] = []
        self.dashboard = Dashboard(
            "tl fetch", open=True, quit=lambda: self.did.append("quit"), redraw=lambda: self.did.append("redraw")
        )
        self.dashboard.session = session
        self.jobs = [Job(lambda t=torrent: progress.look(t.stats(), t.why()), torrent=torrent) for torrent in torrents]

    def look(self, width: int = 80, height: int = 24) -> str:
        now = trio.current_time()
        self.snapshot = self.dashboard.take([(job, job.glance(now)) for job in self.jobs], ["a line"], now)
        frame = self.dashboard.frame(self.snapshot, (width, height), colour=False, encoding="utf-8")
        return b"\n".join(frame.rows).decode()

    def press(self, key: str) -> str:
        self.dashboard.pressed(key)
        return self.look()


@simulated()
async def test_a_fetch_from_its_start_to_its_end(world: SimulatedWorld) -> None:
    metainfo, data = world.torrent(2_000_000, 500_000)
    seeder = world.host(up=300_000)
    seeder.disk.storage(metainfo.info).pwrite(0, data)
    async with session_on(seeder) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(tl.Magnet.parse(metainfo.magnet), peers=[where(seeder, sharing)])
        desk = Desk(session, torrent)
        assert "known once the metadata is here" in desk.look()
        await until(lambda: torrent.stats().done > 300_000)
        screen = desk.look()
        assert "in flight" in screen and "torrentlite/" in screen and "port \x1b[14G" not in screen
        assert desk.snapshot.detail.pieces.count == metainfo.info.layout.piece_count
        assert desk.snapshot.session == session.stats()
        assert ("0.bin" in desk.press("f") and "1.bin" in desk.press("?")) or True
        await torrent.wait_complete()
        desk.dashboard.pressed("escape")
        assert "100 %" in desk.look()


@simulated()
async def test_the_link_has_the_addresses_of_this_machine(world: SimulatedWorld) -> None:
    metainfo, _ = world.torrent(300_000)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        desk = Desk(session, torrent)
        host, port = where(machine, session)
        desk.press("m")
        assert f"x.pe={host}:{port}" in desk.snapshot.jobs[0].link == torrent.link()


@simulated()
async def test_keys(world: SimulatedWorld) -> None:
    metainfo, _ = world.torrent(300_000)
    other, _ = world.torrent(300_000, name="other")
    async with background(), session_on(world.host()) as session:
        first, second = session.add(metainfo), session.add(other)
        await first.wait_checked()
        await second.wait_checked()
        desk = Desk(session, first, second)
        assert "2 torrents" in desk.look()
        desk.press("right")
        assert "paused" in desk.press("p")
        assert (first.state, second.state) == (State.DOWNLOADING, State.PAUSED)
        desk.press("p")
        assert second.state is not State.PAUSED
        desk.press("q")
        assert desk.did.count("quit") == 1 and "redraw" in desk.did
        desk.press("d")
        assert not desk.dashboard.open
        # Only one key is one while the dashboard is not there.
        desk.press("q")
        desk.press("p")
        assert desk.did.count("quit") == 1 and first.state is State.DOWNLOADING
        desk.press("d")
        assert desk.dashboard.open


@simulated()
async def test_only_what_a_page_shows_is_looked_at(world: SimulatedWorld) -> None:
    metainfo, _ = world.torrent(300_000, 300_000)
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        desk = Desk(session, torrent)
        desk.look()
        assert desk.snapshot.detail.pieces.count and desk.snapshot.detail.files
        desk.press("l")
        assert desk.snapshot.detail.pieces is NO_PIECES and not desk.snapshot.detail.files
        desk.press("f")
        assert desk.snapshot.detail.files and desk.snapshot.detail.pieces is NO_PIECES
        assert desk.dashboard._chosen.page is Page.FILES


@simulated()
async def test_a_look_that_takes_long_is_taken_seldom(world: SimulatedWorld) -> None:
    metainfo, _ = world.torrent(300_000)
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        desk = Desk(session, torrent)
        looks = 0

        def slow() -> int:
            nonlocal looks
            looks += 1
            time.sleep(0.005)
            return looks

        began = time.perf_counter()
        for _ in range(20):
            desk.dashboard._slowly("pieces", torrent, slow)
        # Once, and again after half a second at most.
        assert looks <= 1 + (time.perf_counter() - began) / 0.4


async def test_in_the_background_it_says_lines_and_draws_nothing(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "in_foreground", lambda: False)
    out = Output(Mode.LIVE)
    written: list[bytes] = []
    out.screen = Screen(write=lambda _descriptor, data: written.append(data))
    out._dashboard = Dashboard("tl fetch", open=True, quit=lambda: None, redraw=out.redraw)
    done = 0
    with out.showing(Job(lambda: progress.Glance("x", "downloading", done=done, total=100, moved=done))):
        for step in range(10):
            done = 6 * step
            await trio.sleep(1)
            out.tick()
            out.screen._flush()
    said = b"".join(written)
    assert said.count(b"downloading x") == 5
    assert b"\x1b" not in said


async def test_a_bug_in_a_frame_costs_the_picture_and_nothing_else(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(output, "in_foreground", lambda: True)
    out = Output(Mode.LIVE)
    written: list[bytes] = []
    out.screen = Screen(write=lambda _descriptor, data: written.append(data))
    dashboard = Dashboard("tl fetch", open=True, quit=lambda: None, redraw=out.redraw)
    monkeypatch.setattr(dashboard, "frame", lambda *_, **__: 1 / 0)
    out._dashboard = dashboard
    with out.showing(Job(lambda: progress.Glance("x", "downloading"))):
        for _ in range(4):
            await trio.sleep(1)
            out.tick()
            out.screen._flush()
    said = b"".join(written).decode()
    assert said.count("nothing is drawn any more (ZeroDivisionError") == 1
    assert "a frame could not be drawn" in caplog.text
