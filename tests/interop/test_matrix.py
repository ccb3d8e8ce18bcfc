"""Who can fetch from whom: torrentlite with itself and with three foreign clients, byte for byte.

The table that this proves stands in docs/interoperability.md. Transmission refuses loopback peers, so it and aria2 run
in network namespaces, and find torrentlite through a real tracker. In most classes one program fetches all torrents at
once, for each client makes a new peer wait in its own way; every test then looks at one of them.
"""

import hashlib
import pathlib
import shutil

import pytest

import torrentlite
from tests.interop.clients import (
    TRANSMISSION_SEEDS,
    Libtorrent,
    Space,
    aria2_command,
    aria2_info_hash,
    namespaces,
    scrape,
    tl_fetch,
    tl_fetching,
    tl_seeding,
    transmission,
    wait_for,
)
from tests.interop.datasets import EMPTY, KINDS, SOURCES, Dataset, digest, make_dataset
from tests.interop.trackers import opentracker

pytestmark = pytest.mark.interop

HOME = Space()
PORT = 6969
TRACKER = f"http://10.77.0.1:{PORT}/announce"

ALL = [(kind, how) for kind in KINDS for how in SOURCES]
UNLESS_HYBRID = [(kind, how) for kind, how in ALL if kind != "hybrid"]
"""What Transmission 3.00 and aria2 1.36 can share: the empty keys in a ``file tree`` (BEP 52) are too much for them."""

every = pytest.mark.parametrize(("kind", "how"), ALL)
every_but_hybrids = pytest.mark.parametrize(("kind", "how"), UNLESS_HYBRID)


class Originals(dict[tuple[str, str], Dataset]):
    """All datasets, by kind and source."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__({(kind, how): make_dataset(kind, how, folder) for kind, how in ALL})
        self.folder = folder / "data"

    def known(self) -> list[Dataset]:
        """Those of UNLESS_HYBRID."""
        return [self[each] for each in UNLESS_HYBRID]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    yield Originals(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="class")
def work(tmp_path_factory):
    """A folder for logs; what was fetched into its ``out`` does not stay."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "out").mkdir()
    yield folder
    shutil.rmtree(folder / "out")


def lay_out(datasets: list[Dataset], folder: pathlib.Path) -> None:
    """Copies to seed from, for clients that take pad files for ordinary ones: with the pad files, as zeros."""
    for dataset in datasets:
        if dataset.root.is_dir():
            shutil.copytree(dataset.root, folder / dataset.name)
        else:
            shutil.copy(dataset.root, folder)
        for name, size in dataset.pads.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(bytes(size))


def pad_digests(dataset: Dataset) -> dict[str, str]:
    return {name: hashlib.sha256(bytes(size)).hexdigest() for name, size in dataset.pads.items()}


def names(root: pathlib.Path) -> set[str]:
    """The files that lie there, named as by ``digest``; some program may be at work on them."""
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root.parent)) for path in files}


# -- over loopback ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def tl_port(originals, work):
    with tl_seeding(HOME, [dataset.torrent for dataset in originals.values()], originals.folder, work) as port:
        yield port


class TestTorrentliteFromTorrentlite:
    @every
    def test_fetch(self, originals, tl_port, kind, how, work, tmp_path):
        dataset, out = originals[kind, how], work / "out"
        tl_fetch(HOME, [dataset.source()], out, tmp_path, "--peer", f"127.0.0.1:{tl_port}")
        assert digest(out / dataset.name) == dataset.original()
        assert {path.name for path in out.iterdir()} <= {dataset.name for dataset in originals.values()}, "no junk"


@pytest.fixture(scope="class")
def libtorrent_handles(originals, work):
    torrents = [dataset.torrent for dataset in originals.values()]
    with tl_seeding(HOME, torrents, originals.folder, work) as port, Libtorrent() as peer:
        yield {each: peer.add(dataset.source(), work / "out", port) for each, dataset in originals.items()}


class TestLibtorrentFromTorrentlite:
    @every
    def test_fetch(self, originals, libtorrent_handles, kind, how, work):
        dataset = originals[kind, how]
        wait_for("libtorrent fetches", lambda: libtorrent_handles[kind, how].status().is_seeding)
        wait_for("it has written", lambda: digest(work / "out" / dataset.name) == dataset.original())


@pytest.fixture(scope="class")
def libtorrent_port(originals):
    with Libtorrent() as peer:
        for dataset in originals.values():
            peer.add(dataset.torrent, originals.folder)
        yield peer.port


class TestTorrentliteFromLibtorrent:
    @every
    def test_fetch(self, originals, libtorrent_port, kind, how, work, tmp_path):
        dataset = originals[kind, how]
        tl_fetch(HOME, [dataset.source()], work / "out", tmp_path, "--peer", f"127.0.0.1:{libtorrent_port}")
        assert digest(work / "out" / dataset.name) == dataset.original()


# -- between namespaces, through a tracker ----------------------------------------------------------------------------


@pytest.fixture(scope="class")
def lan(originals, work):
    """Two namespaces, a tracker in the first."""
    with namespaces() as (here, there):
        hashes = [dataset.info_hash for dataset in originals.values()]
        with opentracker(here.address, PORT, hashes, work=work, prefix=here.prefix):
            yield here, there


@pytest.fixture(scope="class")
def seeding(originals, lan, work):
    """torrentlite shares everything in the first namespace; gives the second."""
    here, there = lan
    torrents = [dataset.tracked(TRACKER) for dataset in originals.values()]
    with tl_seeding(here, torrents, originals.folder, work):
        yield there


@pytest.fixture(scope="class")
def transmission_fetching(originals, seeding, work):
    with transmission(seeding, work / "out", work) as daemon:
        # The hybrid first: when the others have their metadata, it has had its time.
        for dataset in [originals["hybrid", "magnet"], *originals.known()]:
            assert daemon.add(dataset.source(TRACKER)) == "success"
        yield daemon


class TestTransmissionFromTorrentlite:
    @every_but_hybrids
    def test_fetch(self, originals, transmission_fetching, kind, how, work):
        dataset = originals[kind, how]
        # Its limits: before 4.1 it makes no empty files, and it makes files of pad files.
        original, out = dataset.original() | pad_digests(dataset), work / "out" / dataset.name
        empty = {name for name, was in original.items() if was == EMPTY}
        full = {name: was for name, was in original.items() if was != EMPTY}
        # What is unfinished has another name. The last blocks may still be in its cache when the name is there.
        wait_for("Transmission fetches", lambda: names(out) - empty == full.keys())
        wait_for("it has written", lambda: {n: was for n, was in digest(out).items() if n not in empty} == full)

    def test_a_hybrid_is_no_torrent_to_it(self, originals, transmission_fetching):
        said = transmission_fetching.add(originals["hybrid", "torrent"].source(TRACKER))
        assert said == "invalid or corrupt torrent file"

    def test_a_hybrids_metadata_is_nothing_to_it(self, originals, transmission_fetching):
        hybrid = originals["hybrid", "magnet"].info_hash

        def progress():
            return {torrent["hashString"]: torrent for torrent in transmission_fetching.torrents()}

        def others_have_theirs():
            return {each["metadataPercentComplete"] for key, each in progress().items() if key != hybrid} == {1}

        wait_for("Transmission has the other torrents' metadata", others_have_theirs)
        wait_for("it is connected for the hybrid", lambda: progress()[hybrid]["peers"])
        assert progress()[hybrid]["metadataPercentComplete"] == 0


@pytest.fixture(scope="class")
def fetched_from_transmission(originals, lan, work):
    here, there = lan
    data = work / "data"
    data.mkdir()
    lay_out(originals.known(), data)
    with transmission(there, data, work) as daemon:
        for dataset in originals.known():
            assert daemon.add(dataset.tracked(TRACKER)) == "success"
        # Who calls before it has looked at its files is turned away.
        wait_for("it seeds", lambda: {each["status"] for each in daemon.torrents()} == {TRANSMISSION_SEEDS})
        tl_fetch(here, [dataset.source(TRACKER) for dataset in originals.known()], work / "out", work)
    shutil.rmtree(data)


class TestTorrentliteFromTransmission:
    @every_but_hybrids
    def test_fetch(self, originals, fetched_from_transmission, kind, how, work):
        dataset = originals[kind, how]
        assert digest(work / "out" / dataset.name) == dataset.original()


@pytest.fixture(scope="class")
def aria2_said(originals, seeding, work):
    sources = [dataset.source(TRACKER) for dataset in originals.known()]
    # -Z: several sources, not several places of one file.
    options = ["--seed-time=0", "--bt-stop-timeout=60", "-Z"]
    return seeding.run(aria2_command(work / "out", *options, *sources)).stdout


class TestAria2FromTorrentlite:
    @every_but_hybrids
    def test_fetch(self, originals, aria2_said, kind, how, work):
        dataset = originals[kind, how]
        # Its limit: it makes files of pad files.
        assert digest(work / "out" / dataset.name) == dataset.original() | pad_digests(dataset), aria2_said

    def test_a_hybrid_is_another_torrent_to_it(self, originals):
        hybrid = originals["hybrid", "torrent"]
        assert aria2_info_hash(hybrid.torrent) != hybrid.info_hash

    def test_a_hybrids_metadata_arrives_and_is_another_torrent_to_it(self, originals, seeding, work):
        hybrid = originals["hybrid", "magnet"]
        options = ["--bt-metadata-only", "--bt-save-metadata", "--bt-stop-timeout=60"]
        said = seeding.run(aria2_command(work, *options, hybrid.source(TRACKER))).stdout
        saved = work / f"{hybrid.info_hash}.torrent"
        assert saved.exists(), said
        assert torrentlite.Metainfo.from_bytes(saved.read_bytes()).info_hash == hybrid.info_hash
        assert aria2_info_hash(saved) != hybrid.info_hash


@pytest.fixture(scope="class")
def fetched_from_aria2(originals, lan, work):
    here, there = lan
    data = work / "data"
    data.mkdir()
    lay_out(originals.known(), data)
    torrents = [dataset.tracked(TRACKER) for dataset in originals.known()]
    options = ["--seed-ratio=0.0", "--check-integrity"]
    with there.running(aria2_command(data, *options, "-Z", *torrents), work / "aria2.log") as process:
        hashes = [dataset.info_hash for dataset in originals.known()]
        wait_for("it seeds", lambda: scrape(here, TRACKER, hashes).seeders == len(hashes), process=process)
        tl_fetch(here, [dataset.source(TRACKER) for dataset in originals.known()], work / "out", work)
    shutil.rmtree(data)


class TestTorrentliteFromAria2:
    @every_but_hybrids
    def test_fetch(self, originals, fetched_from_aria2, kind, how, work):
        dataset = originals[kind, how]
        assert digest(work / "out" / dataset.name) == dataset.original()


class TestWhoComesFirst:
    """Who is alone at first is found by who comes later: nobody announces again for half an hour here."""

    def test_a_seed_calls_who_was_there_before(self, originals, lan, work):
        here, there = lan
        dataset = originals["small pieces", "magnet"]
        with tl_fetching(there, [dataset.source(TRACKER)], work / "out", work) as process:
            hashes = [dataset.info_hash]
            wait_for("it has announced itself", lambda: scrape(here, TRACKER, hashes).leechers == 1, process=process)
            with tl_seeding(here, [dataset.tracked(TRACKER)], originals.folder, work):
                wait_for("it has ended", lambda: process.poll() is not None)
        assert process.returncode == 0, (work / "fetch.log").read_text()
        assert digest(work / "out" / dataset.name) == dataset.original()
