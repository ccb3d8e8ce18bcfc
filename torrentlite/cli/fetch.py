"""``tl fetch SRC…``: download, verify, and leave when complete."""

from __future__ import annotations

import argparse
import os
import shlex

import trio

from .. import FileInTheWayError, Info, Magnet, Metainfo, Session, Torrent, open_session
from ..checksum import check_sha256, parse_sha256, the_one_file
from ..errors import DuplicateTorrentError, VerifyError
from ..metainfo.paths import system_path
from ..metainfo.text import display
from . import progress, sessions, sharing, sources, units
from .exits import Exit, UsageError
from .files import require_folder, require_path, require_writable
from .listing import changed_names, describe_size, print_files
from .output import Job, Output
from .selection import choose_files
from .signals import Interrupt
from .telling import tell_events
from .terminal import STDERR, Mode, is_terminal


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Fetch all sources at once, in one session; the first of them that failed decides the exit code."""
    if args.output == "-":
        from . import piping  # and tarfile with it

        return await piping.run(args, output, interrupt)
    require_folder(args.output)
    if args.sha256 is not None and len(args.source) > 1:
        raise UsageError("--sha256 is of one file, and there are several SRC")
    for other in args.reuse:
        require_path(other, "reuse")
    fetches = [_Fetch(source, args, output) for source in args.source]
    async with open_session(sessions.settings(args, sessions.state_dir(args, output))) as session:
        sessions.announce_listening(session, output)
        with interrupt.scope:
            async with trio.open_nursery() as nursery:
                for each in fetches:
                    nursery.start_soon(each.run, session)
        unfinished = [each for each in fetches if each.code is None]
        if unfinished:
            _say_interrupted(unfinished, args, output)
            return interrupt.code
    return next((each.code for each in fetches if each.code), Exit.DONE)


class _Fetch:
    """One source on its way.

    Attributes:
        code: its exit code; None while it is not decided.
        torrent: it, once it is known.
        overwrite: whether it may replace what is in the way: typed, or asked for.
    """

    def __init__(self, source: str, args: argparse.Namespace, output: Output) -> None:
        self.source = source
        self.code: int | None = None
        self.torrent: Torrent | None = None
        self._args = args
        self._output = output
        self._select: list[int] | None = None
        self.overwrite: bool = args.overwrite

    async def run(self, session: Session) -> None:
        """Fetch it; errors are said here, and hold up none of the others."""
        try:
            found = await self._read(session)
            if found is not None:
                await self._fetch(session, found)
        except DuplicateTorrentError:
            self._output.note(f"{display(sources.shown(self.source))}: named twice, fetched once")
            self.code = Exit.DONE
        except Exception as error:
            self.code = self._output.error(error, self.torrent.info_hash if self.torrent else "")

    async def _read(self, session: Session) -> Metainfo | Magnet | None:
        """What the source names, and which of its files are wanted; None when listing them was all."""
        found = await sources.read(self.source, self._args, self._output)
        if not self._args.select and not self._args.list:
            return found
        metainfo = found
        if isinstance(metainfo, Magnet):
            metainfo = await sessions.metadata_in(session, metainfo, self._args, self._output, shown=True)
        if self._args.list:
            print_files(metainfo, self._output)
            self.code = Exit.DONE
            return None
        self._select = choose_files(self._args.select, metainfo.info)
        # The magnet itself goes on to the session: it alone knows how far its own peers may be trusted.
        return found

    async def _fetch(self, session: Session, found: Metainfo | Magnet) -> None:
        if isinstance(found, Magnet) and sessions.names_this_machine(found) and not sessions.on_loopback(session):
            self._output.note(
                "the link names a program on this very machine, which links may not lead to; "
                "if you mean it: --listen 127.0.0.1:0"
            )
        while True:
            torrent = self.torrent = session.add(
                found,
                self._args.output,
                select=self._select,
                sequential=self._args.sequential,
                overwrite=self.overwrite,
                reuse=self._args.reuse,
                peers=self._args.peer,
                trackers=self._args.tracker,
                web_seeds=self._args.web_seed,
            )
            try:
                async with tell_events(torrent, self._output):
                    await self._wait(torrent, session)
                return
            except FileInTheWayError as error:
                if self.overwrite or not await _may_overwrite(error, self._output):
                    error.hint = error.hint or "--overwrite replaces it"
                    raise
            self.overwrite = True
            await session.remove(torrent)

    async def _wait(self, torrent: Torrent, session: Session) -> None:
        args, output = self._args, self._output
        job = Job(
            lambda: progress.look(torrent.stats(), torrent.why(), sharing=sharing.wanted(args)),
            torrent=torrent,
            timeout=sessions.timeout(args),
        )
        with output.showing(job):
            if output.mode is Mode.PLAIN and torrent.metainfo is None:
                output.note(f"looking for peers of {display(torrent.name)}")
            with job.scope:
                if args.sha256 is not None:
                    _require_one_file(torrent, await torrent.wait_info())
                metainfo = await torrent.wait_metadata()
                files = len(metainfo.info.wanted_files)
                output.event("metadata", torrent.info_hash, name=metainfo.name, total=metainfo.total, files=files)
                sessions.note_private(metainfo, output)
                if output.mode is Mode.PLAIN:
                    size = describe_size(metainfo, self._select)
                    output.note(f"fetching {display(metainfo.name)} ({size}) into {args.output}")
                if changed := changed_names(metainfo):
                    output.note(changed)
                await torrent.wait_checked()
                if torrent.stats().left:
                    require_writable(args.output)  # now, and not when the first piece comes
                await torrent.wait_complete()
            if job.given_up:
                raise sessions.gave_up(torrent, job, args)
            output.tell(job)
            if args.sha256 is not None:
                await self._check_sha256(torrent, session, metainfo)
            self._say_complete(torrent, job, metainfo)
            if sharing.wanted(args):
                await sharing.share(torrent, session, args, output)

    async def _check_sha256(self, torrent: Torrent, session: Session, metainfo: Metainfo) -> None:
        """Compare the one file with ``--sha256``; who fetched another one than was meant shares it with nobody."""
        await check_sha256(torrent, session, parse_sha256(self._args.sha256))
        if self._output.mode is not Mode.JSON:
            self._output.note(f"{display(metainfo.name)}: its SHA-256 is the one that was given")

    def _say_complete(self, torrent: Torrent, job: Job, metainfo: Metainfo) -> None:
        output, stats = self._output, torrent.stats()
        self.code = Exit.DONE
        if stats.downloaded:
            seconds = max(trio.current_time() - job.began, 0.001)
            how = f" in {units.duration(seconds)} ({units.rate(stats.downloaded / seconds)})"
        else:
            how = "" if stats.reused else " was here already, and is right"
        if stats.reused:
            part = units.size(stats.reused) if stats.reused < stats.total else "all"
            how += f", {part} of it from {' and '.join(map(display, self._args.reuse))}"
        shared = f", {units.size(stats.uploaded)} shared" if stats.uploaded else ""
        output.note(f"{display(metainfo.name)}: {units.size(stats.total)}{how}{shared}")
        if output.mode is Mode.LIVE and not sharing.wanted(self._args):
            output.note("to keep sharing: the same with --seed")
        top = str(torrent.paths()[0])
        paths = [top]
        if self._select is not None:
            folder = os.path.dirname(top)
            paths = [os.path.join(folder, *system_path(metainfo.files[index].path)) for index in self._select]
        output.event(
            "complete",
            torrent.info_hash,
            path=top,
            paths=paths,
            total=stats.total,
            reused=stats.reused,
            seconds=output.seconds_so_far(),
        )
        for path in paths:
            output.result(path)


def _require_one_file(torrent: Torrent, info: Info) -> None:
    """Look whether ``--sha256`` makes sense.

    Raises:
        UsageError: it is not one file that is wanted.
    """
    try:
        the_one_file(torrent, info)
    except VerifyError as error:
        raise UsageError(f"--sha256: {error}", hint="--select chooses one of them") from error


def _say_interrupted(unfinished: list[_Fetch], args: argparse.Namespace, output: Output) -> None:
    known = [each.torrent.stats() for each in unfinished if each.torrent is not None]
    total, done = sum(stats.total for stats in known), sum(stats.done for stats in known)
    first = unfinished[0].torrent if len(unfinished) == 1 else None
    asked = not args.overwrite and all(each.overwrite for each in unfinished)
    again = _again(args, [each.source for each in unfinished], first, ["--overwrite"] if asked else [])
    output.interrupted(f"Interrupted at {done * 100 // total if total else 0} % — nothing lost.", again)


def _again(args: argparse.Namespace, unfinished: list[str], torrent: Torrent | None, more: list[str]) -> str:
    """The command that goes on: as it was typed, without what is complete, with a link in place of stdin, and with what
    was answered meanwhile."""
    words = []
    for word in args.argv:
        if word in args.source and word not in unfinished:
            continue
        words.append(torrent.magnet if word == "-" and torrent is not None else word)
    return display(shlex.join(["tl", *words[:1], *more, *words[1:]]), limit=100_000)


async def _may_overwrite(error: FileInTheWayError, output: Output) -> bool:
    """Ask, where there is somebody to ask."""
    if output.mode is not Mode.LIVE or not (is_terminal(0) and is_terminal(STDERR)):
        return False
    async with output.asking():
        name = display(error.path.name if error.path else "a file")
        output.note(f"{name} is there already, and is different. Replace it? [y/N]")
        # Not sys.stdin: a thread that still waits in there when we leave would hold its lock.
        answer = await trio.to_thread.run_sync(os.read, 0, 1000, abandon_on_cancel=True)
    return answer.strip().lower() in (b"y", b"yes")
