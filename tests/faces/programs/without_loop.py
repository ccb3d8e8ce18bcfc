"""A program without a loop that uses every public name; never run, but read by mypy --strict."""

import io
import pathlib
from collections.abc import Sequence
from typing import assert_never, assert_type

from torrentlite import blocking as tl


def calls() -> tl.Metainfo:
    """The functions."""
    hashed: list[tuple[int, int]] = []
    metainfo = tl.create(
        "photos", trackers=["udp://tracker.example:6969"], progress=lambda done, total: hashed.append((done, total))
    )
    assert_type(metainfo, tl.Metainfo)
    assert_type(tl.load("photos.torrent"), tl.Metainfo | tl.Magnet)
    assert_type(tl.load(str(tl.MutableLink(bytes(32))), nodes=[("node.example", 6881)]), tl.Metainfo | tl.Magnet)
    told: list[tl.TorrentStats] = []
    assert_type(tl.fetch("photos.torrent", "out", timeout=60, progress=told.append), tuple[pathlib.Path, ...])
    assert_type(tl.fetch(metainfo, "out", reuse=["old"]), tuple[pathlib.Path, ...])
    assert_type(tl.fetch(tl.Magnet.parse("magnet:"), "out"), tuple[pathlib.Path, ...])
    assert_type(tl.verify(metainfo, pathlib.Path("out")), tl.VerifyReport)
    return metainfo


def share(metainfo: tl.Metainfo) -> None:
    """A session."""
    with tl.open_session(tl.Settings(upload_limit=5)) as session:
        assert_type(session, tl.Session)
        assert_type(session.port, int)
        assert_type(session.settings, tl.Settings)
        assert_type(session.stats(), tl.SessionStats)
        print(session.addresses[0].host)
        session.set_limits(upload=0)
        torrent = session.add(metainfo, "out", select=["a.bin"], paused=True, peers=[("peer.example", 51413)])
        session.add(metainfo, "out", reuse=[pathlib.Path("old")])
        assert_type(torrent, tl.Torrent)
        assert_type(session.torrents, tuple[tl.Torrent, ...])
        follow(torrent)
        session.remove(torrent)


def follow(torrent: tl.Torrent) -> None:
    """A wish, a wait, a look."""
    torrent.resume()
    torrent.pause()
    torrent.recheck()
    torrent.announce()
    assert_type(torrent.publish(bytes(32), salt=b"nightly"), tl.MutableLink)
    torrent.add_peer("peer.example", 51413)
    torrent.add_tracker("udp://tracker.example:6969")
    torrent.add_web_seed("https://host.example/file")
    torrent.select_files(["a.bin", 1])
    torrent.select_files([file.path for file in torrent.files()])
    torrent.set_limits(download=5)
    torrent.set_sequential(True)
    torrent.prioritize("a.bin", 7, stop=1 << 20)
    assert_type(torrent.wait_info(timeout=60), tl.Info)
    assert_type(torrent.wait_metadata(timeout=60), tl.Metainfo)
    torrent.wait_checked(timeout=60)
    torrent.wait_copies(2, timeout=60)
    assert_type(torrent.wait_complete(timeout=60), tuple[pathlib.Path, ...])
    assert_type(torrent.name, str)
    assert_type(torrent.hashes, tl.InfoHashes)
    assert_type(torrent.info_hash, str)
    assert_type(torrent.metainfo, tl.Metainfo | None)
    assert_type(torrent.magnet, str)
    assert_type(torrent.link(), str)
    assert_type(torrent.save_to, pathlib.Path)
    assert_type(torrent.state, tl.State)
    assert_type(torrent.error, tl.TorrentError | None)
    assert_type(torrent.stats(), tl.TorrentStats)
    assert_type(torrent.peers(), tuple[tl.PeerStats, ...])
    assert_type(torrent.files(), tuple[tl.FileStats, ...])
    assert_type(torrent.pieces(), tl.PieceStats)
    assert_type(torrent.trackers(), tuple[tl.TrackerStats, ...])
    assert_type(torrent.sources(), tuple[tl.SourceStats, ...])
    assert_type(torrent.web_seeds(), tuple[tl.WebSeedStats, ...])
    assert_type(torrent.sequential, bool)
    assert_type(torrent.why(), tl.Why)
    assert_type(torrent.paths(), tuple[pathlib.Path, ...])
    with torrent.open("a.bin", read_ahead=1 << 20, timeout=60) as file:
        assert_type(file, tl.Reader)
        assert_type(file.size, int)
        assert_type(file.seek(-5, 2), int)
        assert_type(file.tell(), int)
        assert_type(file.read(5), bytes)
        assert_type(file.readinto(bytearray(5)), int)
        lines = io.TextIOWrapper(io.BufferedReader(file))
        assert_type(lines.readline(), str)
    with torrent.events() as events:
        assert_type(next(events), tl.Event)
        assert_type(events.next(timeout=1), tl.Event | None)
        for event in events:
            print(happened(event))


def values(stats: tl.TorrentStats, why: tl.Why, piece: tl.PieceStats) -> None:
    """Snapshots."""
    assert_type(stats.progress, float)
    assert_type(stats.eta, float | None)
    assert_type(stats.state, tl.State)
    assert_type(why.reason, tl.Reason)
    assert_type(piece.have, int)
    print(tl.State.SEEDING.value)


def about(info: tl.Info, hashes: tl.InfoHashes, entry: tl.FileEntry, magnet: tl.Magnet, world: tl.World) -> None:
    """What is shared."""
    assert_type(info.hashes, tl.InfoHashes)
    assert_type(hashes.wire, bytes)
    assert_type(entry.length, int)
    assert_type(magnet.name, str)
    assert_type(tl.Magnet.parse("magnet:"), tl.Magnet)
    assert_type(world.rng.random(), float)


class Mine(tl.Storage):
    """A storage of one's own."""

    def pread_into(self, offset: int, buffers: Sequence[bytearray | memoryview], *, aside: bool = False) -> None:
        """Read."""

    def pwrite(self, offset: int, data: bytes | bytearray | memoryview, *, aside: bool = False) -> None:
        """Write."""


def storages(info: tl.Info, found: tl.Found, stamp: tl.Stamp) -> list[tl.Storage]:
    """Where data lies."""
    assert_type(found.maybe, int)
    assert_type(stamp.size, int)
    return [tl.MemoryStorage(info), tl.CacheStorage(info, limit=1 << 20)]


def looks(session: tl.SessionStats, peer: tl.PeerStats, file: tl.FileStats, tracker: tl.TrackerStats) -> None:
    """More of them."""
    ports: list[tl.PortMapStats] = []
    assert_type(ports, list[tl.PortMapStats])
    assert_type(session.down_rate, float)
    assert_type(session.dht, tl.DhtStats)
    assert_type(session.lsd, tl.LsdStats)
    assert_type(peer.client, str)
    assert_type(file.done, int)
    assert_type(tracker.url, str)


def report(report: tl.VerifyReport, bad: tl.BadFile) -> None:
    """What verify found."""
    assert_type(report.ok, bool)
    assert_type(report.root, pathlib.Path)
    assert_type(bad.path, pathlib.Path)
    assert_type(bad.problem, tl.Problem)


def happened(event: tl.Event) -> str:
    """Events are a closed set: a type checker sees that none is forgotten."""
    match event:
        case tl.StateChanged(before, after, message):
            return f"{before.value} {after.value} {message}"
        case tl.MetadataReceived(name=name):
            return name
        case tl.Progress(done=done, total=total, down_rate=rate):
            return f"{done} {total} {rate}"
        case tl.PieceVerified(piece):
            return str(piece)
        case tl.PieceFailed(peers=peers):
            return peers[0]
        case tl.PeerBanned(reason=reason):
            return reason
        case tl.WebSeedFailed(url=url, dropped=dropped):
            return f"{url} {dropped}"
        case tl.TrackerReplied(ok=ok):
            return str(ok)
        case tl.PeersFound(source=source):
            return source
        case tl.Completed(paths):
            assert_type(paths, tuple[pathlib.Path, ...])
            return paths[0].name
        case _:
            assert_never(event)


def failed(error: BaseException) -> str:
    """Errors."""
    match error:
        case tl.DiskFullError() | tl.DiskTroubleError() | tl.FileInTheWayError() | tl.StorageError():
            assert_type(error.path, pathlib.Path | None)
            return str(error.path)
        case tl.UnsupportedTorrentError() | tl.MetainfoError() | tl.MagnetError() | tl.BencodeError():
            return error.hint
        case tl.NetworkError() | tl.ListenError() | tl.ForbiddenAddressError() | tl.TrackerError() | tl.ProtocolError():
            return error.hint
        case (
            tl.DuplicateTorrentError()
            | tl.NoSuchFileError()
            | tl.TorrentPausedError()
            | tl.TorrentRemovedError()
            | tl.NoPeersError()
            | tl.SourceError()
        ):
            return error.hint
        case tl.VerifyError() | tl.DhtError() | tl.TorrentError():
            return error.hint
        case _:
            return ""
