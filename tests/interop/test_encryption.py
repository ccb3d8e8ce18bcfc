"""Encrypted connections with programs that take no others, in both directions, byte for byte."""

import shutil

import pytest

from tests.interop.clients import (
    TRANSMISSION_SEEDS,
    Libtorrent,
    Space,
    aria2_command,
    namespaces,
    scrape,
    tl_fetch,
    tl_fetching,
    tl_seeding,
    transmission,
    wait_for,
)
from tests.interop.datasets import digest, make_dataset
from tests.interop.trackers import opentracker

pytestmark = pytest.mark.interop

HOME = Space()
PORT = 6969
TRACKER = f"http://10.77.0.1:{PORT}/announce"
REQUIRED = 2
ARIA2 = ["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"]

# pe_forced, pe_enabled, pe_disabled; pe_plaintext, pe_rc4, pe_both
FORCED, ENABLED, DISABLED = 0, 1, 2
PLAIN, RC4, BOTH = 1, 2, 3


def policy(enc: int, level: int) -> dict[str, object]:
    return {"in_enc_policy": enc, "out_enc_policy": enc, "allowed_enc_level": level, "enable_outgoing_utp": False,
            "enable_incoming_utp": False}  # fmt: skip


WAYS = [
    pytest.param(policy(FORCED, RC4), "allow", id="it takes RC4 alone"),
    pytest.param(policy(FORCED, BOTH), "allow", id="it takes no plain handshake"),
    pytest.param(policy(FORCED, PLAIN), "allow", id="it encrypts handshakes alone"),
    pytest.param(policy(ENABLED, BOTH), "prefer", id="both can, we prefer"),
    pytest.param(policy(ENABLED, BOTH), "require", id="both can, we require"),
    pytest.param(policy(DISABLED, BOTH), "prefer", id="it does not, we prefer"),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    yield make_dataset("one file", "torrent", folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize(("settings", "wish"), WAYS)
def test_from_libtorrent(dataset, tmp_path, settings, wish):
    with Libtorrent(**settings) as peer:
        peer.add(dataset.torrent, dataset.root.parent)
        more = ["--peer", f"127.0.0.1:{peer.port}", "--encryption", wish]
        tl_fetch(HOME, [dataset.torrent], tmp_path / "out", tmp_path, *more)
    assert digest(tmp_path / "out" / dataset.name) == dataset.original()
    shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize(("settings", "wish"), WAYS)
def test_to_libtorrent(dataset, tmp_path, settings, wish):
    more = ["--encryption", wish]
    with (
        tl_seeding(HOME, [dataset.torrent], dataset.root.parent, tmp_path, *more) as port,
        Libtorrent(**settings) as peer,
    ):
        handle = peer.add(dataset.torrent, tmp_path / "out", port)
        wait_for("libtorrent fetches", lambda: handle.status().is_seeding)
        wait_for("it has written", lambda: digest(tmp_path / "out" / dataset.name) == dataset.original())
    shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "wish"), [(policy(FORCED, RC4), "off"), (policy(DISABLED, BOTH), "require")], ids=["off", "require"]
)
def test_who_has_nothing_in_common_gets_nothing(dataset, tmp_path, settings, wish):
    """Without this, the others would prove nothing."""
    with Libtorrent(**settings) as peer:
        peer.add(dataset.torrent, dataset.root.parent)
        more = ["--peer", f"127.0.0.1:{peer.port}", "--encryption", wish, "--timeout", "5s"]
        with tl_fetching(HOME, [dataset.torrent], tmp_path / "out", tmp_path, *more) as process:
            wait_for("tl gives up", lambda: process.poll() is not None)
    assert process.returncode == 3, (tmp_path / "fetch.log").read_text()


@pytest.fixture
def lan(dataset, tmp_path):
    with (
        namespaces() as (here, there),
        opentracker(here.address, PORT, [dataset.info_hash], work=tmp_path, prefix=here.prefix),
    ):
        yield here, there


def test_to_transmission_that_requires_it(dataset, lan, tmp_path):
    here, there = lan
    torrent, out = dataset.tracked(TRACKER), tmp_path / "out"
    out.mkdir()
    with (
        tl_seeding(here, [torrent], dataset.root.parent, tmp_path),
        transmission(there, out, tmp_path, encryption=REQUIRED) as daemon,
    ):
        assert daemon.add(torrent) == "success"
        wait_for("Transmission fetches", lambda: daemon.torrents()[0]["percentDone"] == 1)
        wait_for("it has written", lambda: digest(out / dataset.name) == dataset.original())


def test_from_transmission_that_requires_it(dataset, lan, tmp_path):
    """Of its own, and not after the other: who has been a seed at some address is none that fetches to it."""
    here, there = lan
    torrent, data, out = dataset.tracked(TRACKER), tmp_path / "data", tmp_path / "out"
    data.mkdir()
    shutil.copy(dataset.root, data)
    with transmission(there, data, tmp_path, encryption=REQUIRED) as daemon:
        assert daemon.add(torrent) == "success"
        wait_for("it seeds", lambda: daemon.torrents()[0]["status"] == TRANSMISSION_SEEDS)
        tl_fetch(here, [torrent], out, tmp_path)
    assert digest(out / dataset.name) == dataset.original()


def test_aria2_that_requires_it(dataset, lan, tmp_path):
    here, there = lan
    torrent, first, second = dataset.tracked(TRACKER), tmp_path / "first", tmp_path / "second"
    with tl_seeding(here, [torrent], dataset.root.parent, tmp_path):
        said = there.run(aria2_command(first, *ARIA2, "--seed-time=0", "--bt-stop-timeout=60", torrent)).stdout
        assert digest(first / dataset.name) == dataset.original(), said
    options = ["--seed-ratio=0.0", "--check-integrity"]
    with there.running(aria2_command(first, *ARIA2, *options, torrent), tmp_path / "aria2.log") as process:
        wait_for("it seeds", lambda: scrape(here, TRACKER, [dataset.info_hash]).seeders == 1, process=process)
        tl_fetch(here, [torrent], second, tmp_path)
    assert digest(second / dataset.name) == dataset.original()
