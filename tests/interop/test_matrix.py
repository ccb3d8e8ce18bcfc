"""Who can fetch from whom: torrentlite with itself and with three foreign clients, byte for byte.

The table that this proves stands in docs/interoperability.md. Transmission refuses loopback peers, so it and aria2 run in
network namespaces of their own, and find torrentlite through a real tracker.
"""

import pathlib
import shutil
import subprocess
import sys

import pytest

import torrentlite
from tests.interop.clients import (
    TL,
    Libtorrent,
    Space,
    aria2_fetch,
    aria2_seeding,
    missing,
    namespaces,
    tl_fetch,
    tl_seed,
    transmission,
    wait_for,
)
from tests.interop.datasets import KINDS, Dataset, make_data
from tests.interop.trackers import opentracker

pytestmark = pytest.mark.interop

SOURCES = ("torrent", "magnet")
PORT = 6969


def make_torrent(kind: str, root: pathlib.Path, folder: pathlib.Path, tracker: str) -> pathlib.Path:
    """A .torrent of it: by torrentlite, and by libtorrent (its default: a hybrid with pad files) for the hybrid."""
    path = folder / f"{root.name}.torrent"
    if kind != "hybrid":
        size = {"one file": "256K", "folder": "64K", "small pieces": "16K"}[kind]
        subprocess.run(
            [*TL, "create", str(root), "-t", tracker, "-O", str(path), "--piece-size", size],
            check=True,
            capture_output=True,
        )
        return path
    try:
        import libtorrent as lt
    except ImportError:
        missing("libtorrent")
    files = lt.list_files(str(root))
    creator = lt.create_torrent(files, 32 * 1024)
    creator.add_tracker(tracker)
    lt.set_piece_hashes(creator, str(root.parent))
    path.write_bytes(lt.bencode(creator.generate()))
    info = torrentlite.Metainfo.from_bytes(path.read_bytes()).info
    assert info.hashes.v2 is not None, "libtorrent made a hybrid"
    assert any(entry.pad for entry in info.files), "with pad files"
    return path


@pytest.fixture(scope="session")
def datasets(tmp_path_factory) -> dict[str, Dataset]:
    """One of each kind, with a tracker that only the namespaces know."""
    folder = tmp_path_factory.mktemp("originals")
    found = {}
    for kind in KINDS:
        root = make_data(kind, folder)
        torrents = tmp_path_factory.mktemp("torrents")
        found[kind] = Dataset(kind, root, make_torrent(kind, root, torrents, f"http://10.77.0.1:{PORT}/announce"))
    return found


def source_of(dataset: Dataset, how: str) -> str | pathlib.Path:
    if how == "torrent":
        return dataset.torrent
    return torrentlite.Metainfo.from_bytes(dataset.torrent.read_bytes()).magnet


def assert_same(dataset: Dataset, folder: pathlib.Path) -> None:
    assert dataset.digest(folder) == dataset.original()


# -- over loopback ----------------------------------------------------------------------------------------------------

HOME = Space()


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_torrentlite_from_torrentlite(datasets, kind, how, tmp_path):
    dataset = datasets[kind]
    with tl_seed(HOME, dataset.torrent, dataset.root.parent, tmp_path) as (_, port):
        tl_fetch(HOME, str(source_of(dataset, how)), tmp_path / "out", tmp_path, "--peer", f"127.0.0.1:{port}")
    assert_same(dataset, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [dataset.name], "no junk beside it"


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_libtorrent_from_torrentlite(datasets, kind, how, tmp_path):
    dataset = datasets[kind]
    with Libtorrent() as peer, tl_seed(HOME, dataset.torrent, dataset.root.parent, tmp_path) as (_, port):
        peer.fetch(source_of(dataset, how), tmp_path / "out", port)
    assert_same(dataset, tmp_path / "out")


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_torrentlite_from_libtorrent(datasets, kind, how, tmp_path):
    dataset = datasets[kind]
    with Libtorrent() as peer:
        peer.seed(dataset.torrent, dataset.root.parent)
        tl_fetch(HOME, str(source_of(dataset, how)), tmp_path / "out", tmp_path, "--peer", f"127.0.0.1:{peer.port}")
    assert_same(dataset, tmp_path / "out")


# -- between namespaces, through a tracker ----------------------------------------------------------------------------


@pytest.fixture
def lan(datasets, tmp_path):
    """Two namespaces, a tracker in the first."""
    with namespaces() as (here, there):
        hashes = [torrentlite.Metainfo.from_bytes(d.torrent.read_bytes()).info_hash for d in datasets.values()]
        with opentracker(here.address, PORT, hashes, work=tmp_path, prefix=here.prefix):
            yield here, there


def lay_out(dataset: Dataset, folder: pathlib.Path) -> None:
    """A copy to seed from, for clients that take pad files for ordinary ones: with the pad files, as zeros."""
    target = folder / dataset.name
    if dataset.root.is_dir():
        shutil.copytree(dataset.root, target)
    else:
        shutil.copy(dataset.root, target)
    for entry in torrentlite.Metainfo.from_bytes(dataset.torrent.read_bytes()).info.files:
        if entry.pad:
            path = folder.joinpath(dataset.name, *[part.decode() for part in entry.raw_path])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(entry.length))


def arrived(dataset: Dataset, folder: pathlib.Path) -> bool:
    """Whether all of it is there (a file being written may still differ)."""
    return dataset.digest(folder) == dataset.original()


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_transmission_from_torrentlite(datasets, lan, kind, how, tmp_path):
    here, there = lan
    dataset = datasets[kind]
    out = tmp_path / "out"
    out.mkdir()
    with (
        tl_seed(here, dataset.torrent, dataset.root.parent, tmp_path),
        transmission(there, out, tmp_path) as add,
    ):
        add(source_of(dataset, how))
        wait_for("Transmission fetches", lambda: arrived(dataset, out))


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_torrentlite_from_transmission(datasets, lan, kind, how, tmp_path):
    here, there = lan
    dataset = datasets[kind]
    data = tmp_path / "data"
    data.mkdir()
    lay_out(dataset, data)
    with transmission(there, data, tmp_path) as add:
        add(dataset.torrent)
        tl_fetch(here, str(source_of(dataset, how)), tmp_path / "out", tmp_path)
    assert_same(dataset, tmp_path / "out")


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_aria2_from_torrentlite(datasets, lan, kind, how, tmp_path):
    here, there = lan
    dataset = datasets[kind]
    with tl_seed(here, dataset.torrent, dataset.root.parent, tmp_path):
        aria2_fetch(there, source_of(dataset, how), tmp_path / "out", tmp_path)
    assert_same(dataset, tmp_path / "out")


@pytest.mark.parametrize("how", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_torrentlite_from_aria2(datasets, lan, kind, how, tmp_path):
    here, there = lan
    dataset = datasets[kind]
    data = tmp_path / "data"
    data.mkdir()
    lay_out(dataset, data)
    with aria2_seeding(there, [dataset.torrent], data, tmp_path):
        tl_fetch(here, str(source_of(dataset, how)), tmp_path / "out", tmp_path)
    assert_same(dataset, tmp_path / "out")


def test_the_interpreter_is_the_one_under_test():
    assert TL[0] == sys.executable
