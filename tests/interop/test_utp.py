"""uTP (BEP 29) with libtorrent and Transmission, in both directions, byte for byte."""

import contextlib
import dataclasses
import functools
import pathlib
import random
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import trio

import torrentlite
from tests.interop.clients import (
    DEADLINE,
    TRANSMISSION_SEEDS,
    Libtorrent,
    Space,
    namespaces,
    need_program,
    tl_fetching,
    tl_seeding,
    transmission,
    wait_for,
)
from tests.interop.datasets import Dataset, digest
from tests.interop.trackers import opentracker

pytestmark = pytest.mark.interop

HOME, HOME6 = Space(), Space("[::1]")
PORT = 6969
NEAR, FAR = "10.77.0", "11.22.33"
PREFER = ["--utp", "prefer"]
UTP_ALONE = {"enable_outgoing_tcp": False, "enable_incoming_tcp": False}
ENCRYPTED = {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2}  # pe_forced, pe_rc4
PLAIN = {"in_enc_policy": 2, "out_enc_policy": 2}  # pe_disabled
PATIENT = {"utp_num_resends": 20}  # else it gives a connection up, and says nothing, when three of one packet are lost
UTP_SOCKET = 1 << 17
"""``peer_info::utp_socket``, which its Python binding has no name for."""

WAYS = [
    pytest.param(HOME, PLAIN, "torrent", id="plain"),
    pytest.param(HOME, ENCRYPTED, "torrent", id="encrypted"),
    pytest.param(HOME6, PLAIN, "torrent", id="IPv6"),
    pytest.param(HOME, PLAIN, "magnet", id="magnet"),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    root, torrent = folder / "32-MiB.bin", folder / "32-MiB.torrent"
    root.write_bytes(random.Random("uTP").randbytes(32 << 20))
    metainfo = trio.run(functools.partial(torrentlite.create, root, piece_length=256 << 10))
    torrent.write_bytes(metainfo.encode())
    yield Dataset("one file", "torrent", root, torrent, metainfo)
    shutil.rmtree(folder)


class Watch:
    """What connections a libtorrent has had, seen again and again.

    Attributes:
        over_utp: whether they were over uTP, of each that a handshake has opened.
    """

    def __init__(self, handle) -> None:
        self._handle = handle
        self.over_utp: set[bool] = set()

    def look(self) -> bool:
        """Whether it is a seed."""
        for peer in self._handle.get_peer_info():
            if not peer.flags & (peer.connecting | peer.handshake):
                self.over_utp.add(bool(peer.flags & UTP_SOCKET))
        return self._handle.status().is_seeding


def seeding(peer: Libtorrent, dataset):
    return peer.add(dataset.torrent, dataset.root.parent)


def fetched(process: subprocess.Popen, watch: Watch) -> bool:
    watch.look()
    return process.poll() is not None


def check_fetch(space, dataset, work, peer, host, *more) -> Watch:
    """tl fetches from a libtorrent."""
    watch = Watch(seeding(peer, dataset))
    with tl_fetching(space, [dataset.source()], work / "out", work, "--peer", f"{host}:{peer.port}", *more) as process:
        wait_for("tl fetch ends", functools.partial(fetched, process, watch))
    assert process.returncode == 0, (work / "fetch.log").read_text()
    assert digest(work / "out" / dataset.name) == dataset.original()
    shutil.rmtree(work / "out")
    return watch


def check_seed(peer, dataset, work, host, port) -> Watch:
    """A libtorrent fetches from tl."""
    watch = Watch(peer.add(dataset.source(), work / "out", port, host=host))
    wait_for("libtorrent fetches", watch.look)
    wait_for("it has written", lambda: digest(work / "out" / dataset.name) == dataset.original())
    shutil.rmtree(work / "out")
    return watch


@pytest.mark.parametrize(("space", "settings", "how"), WAYS)
def test_from_libtorrent(dataset, tmp_path, space, settings, how):
    with Libtorrent(space, **UTP_ALONE, **settings) as peer:
        watch = check_fetch(space, dataclasses.replace(dataset, how=how), tmp_path, peer, space.address, *PREFER)
    assert watch.over_utp == {True}


@pytest.mark.parametrize(("space", "settings", "how"), WAYS)
def test_to_libtorrent(dataset, tmp_path, space, settings, how):
    dataset = dataclasses.replace(dataset, how=how)
    with (
        tl_seeding(space, [dataset.torrent], dataset.root.parent, tmp_path, *PREFER) as port,
        Libtorrent(space, **UTP_ALONE, **settings) as peer,
    ):
        watch = check_seed(peer, dataset, tmp_path, space.address.strip("[]"), port)
    assert watch.over_utp == {True}


def test_who_calls_from_a_near_address_is_refused_and_comes_by_tcp(dataset, tmp_path):
    with tl_seeding(HOME, [dataset.torrent], dataset.root.parent, tmp_path) as port, Libtorrent() as peer:
        watch = check_seed(peer, dataset, tmp_path, HOME.address, port)
    assert watch.over_utp == {False}


def test_two_peers_one_each_way(dataset, tmp_path):
    """The same pieces from a libtorrent over UDP and from a torrentlite over TCP, together."""

    async def fetch(peer: Libtorrent) -> dict[bool, int]:
        alone = {"host": HOME.address, "dht": False, "lsd": False, "port_map": False}
        near, far = torrentlite.Settings(**alone, utp="off"), torrentlite.Settings(**alone, utp="prefer")
        async with torrentlite.open_session(near) as sharing, torrentlite.open_session(far) as session:
            await sharing.add(dataset.metainfo, dataset.root.parent).wait_complete()
            seeds = [(HOME.address, sharing.port), (HOME.address, peer.port)]
            session.set_limits(download=16 << 20)  # so that there is something to do for both
            torrent = session.add(dataset.metainfo, tmp_path / "out", peers=seeds)
            heard: dict[bool, int] = {}
            with trio.fail_after(DEADLINE):
                while torrent.state is not torrentlite.State.SEEDING:
                    heard |= {each.utp: each.downloaded for each in torrent.peers()}
                    await trio.sleep(0.02)
            assert session.stats().internal_errors == 0
            return heard

    with Libtorrent(**UTP_ALONE) as peer:
        seeding(peer, dataset)
        heard = trio.run(fetch, peer)
    assert set(heard) == {False, True}
    assert min(heard.values()) > 1 << 20
    assert digest(tmp_path / "out" / dataset.name) == dataset.original()


# -- where no TCP gets through, or packets are lost ---------------------------------------------------------------------


def drop(space: Space, *what: str) -> None:
    """Let nothing in that is so."""
    rule = [need_program("iptables-legacy"), "-A", "INPUT", "!", "-i", "lo", *what, "-j", "DROP"]
    done = space.run(rule)
    assert done.returncode == 0, done.stderr


def dropped(space: Space) -> int:
    """How many packets that were."""
    table = space.run([need_program("iptables-legacy"), "-L", "INPUT", "-v", "-x", "-n"]).stdout
    return sum(int(line.split()[0]) for line in table.splitlines()[2:])


@contextlib.contextmanager
def without_tcp(network: str) -> Iterator[tuple[Space, Space]]:
    """Two machines between which nothing goes by TCP but to a tracker on the first."""
    with namespaces(network) as (here, there):
        drop(here, "-p", "tcp", "!", "--dport", str(PORT))
        drop(there, "-p", "tcp", "!", "--sport", str(PORT))
        yield here, there


def test_libtorrent_that_tcp_does_not_reach(dataset, tmp_path):
    with without_tcp(NEAR) as (here, there), Libtorrent(there) as peer:
        watch = check_fetch(here, dataset, tmp_path, peer, there.address)
        assert dropped(there)
    assert watch.over_utp == {True}


@pytest.mark.parametrize("settings", [PLAIN, ENCRYPTED], ids=["plain", "encrypted"])
def test_libtorrent_that_calls_from_the_internet(dataset, tmp_path, settings):
    with (
        namespaces(FAR) as (here, there),
        tl_seeding(here, [dataset.torrent], dataset.root.parent, tmp_path) as port,
        Libtorrent(there, **settings) as peer,
    ):
        watch = check_seed(peer, dataset, tmp_path, here.address, port)
    assert watch.over_utp == {True}


LOSS = ["-p", "udp", "-m", "statistic", "--mode", "random", "--probability", "0.02"]


@pytest.fixture
def lossy() -> Iterator[tuple[Space, Space]]:
    """Two machines between which every fiftieth datagram is lost."""
    with namespaces() as (here, there):
        drop(here, *LOSS)
        drop(there, *LOSS)
        yield here, there
        assert dropped(here) and dropped(there)


def test_from_libtorrent_through_loss(dataset, tmp_path, lossy):
    here, there = lossy
    with Libtorrent(there, **UTP_ALONE, **PATIENT) as peer:
        check_fetch(here, dataset, tmp_path, peer, there.address, *PREFER)


def test_to_libtorrent_through_loss(dataset, tmp_path, lossy):
    here, there = lossy
    with (
        tl_seeding(here, [dataset.torrent], dataset.root.parent, tmp_path, *PREFER) as port,
        Libtorrent(there, **UTP_ALONE, **PATIENT) as peer,
    ):
        check_seed(peer, dataset, tmp_path, here.address, port)


# -- Transmission -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tracked(dataset, work) -> Iterator[tuple[Space, Space, pathlib.Path]]:
    """Two machines on the Internet, between which no TCP gets through, and a .torrent with a tracker that both reach."""
    with (
        without_tcp(FAR) as (here, there),
        opentracker(here.address, PORT, [dataset.info_hash], work=work, prefix=here.prefix),
    ):
        yield here, there, dataset.tracked(f"http://{here.address}:{PORT}/announce")


def over_utp(daemon) -> set[bool]:
    """Of each peer that a Transmission has, whether it is one over UDP."""
    return {"T" in peer["flagStr"] for torrent in daemon.torrents() for peer in torrent["peers"]}


def test_to_transmission(dataset, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with (
        tracked(dataset, tmp_path) as (here, there, torrent),
        tl_seeding(here, [torrent], dataset.root.parent, tmp_path),
        transmission(there, out, tmp_path, utp=True) as daemon,
    ):
        assert daemon.add(torrent) == "success"
        wait_for("they meet", lambda: over_utp(daemon) == {True})
        wait_for("Transmission fetches", lambda: daemon.torrents()[0]["percentDone"] == 1)
        wait_for("it has written", lambda: digest(out / dataset.name) == dataset.original())


def test_from_transmission(dataset, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    shutil.copy(dataset.root, data)
    with (
        tracked(dataset, tmp_path) as (here, there, torrent),
        transmission(there, data, tmp_path, utp=True) as daemon,
    ):
        assert daemon.add(torrent) == "success"
        wait_for("it seeds", lambda: daemon.torrents()[0]["status"] == TRANSMISSION_SEEDS)
        # Whoever calls the other first: both have its address from the tracker.
        with tl_fetching(here, [torrent], out, tmp_path) as process:
            wait_for("they meet", lambda: over_utp(daemon) == {True}, process=process)
            wait_for("tl fetch ends", lambda: process.poll() is not None)
        assert process.returncode == 0, (tmp_path / "fetch.log").read_text()
    assert digest(out / dataset.name) == dataset.original()
