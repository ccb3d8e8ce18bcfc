"""``tl seed --copies``: other clients say in their own ways that they have everything, and some leave at once."""

import json
import pathlib
import random
import subprocess

import pytest

import torrentlite
from tests.interop.clients import (
    TL,
    Libtorrent,
    aria2_command,
    namespaces,
    tl_fetch,
    tl_seeding,
    transmission,
    wait_for,
)
from tests.interop.trackers import opentracker

pytestmark = pytest.mark.interop

PORT = 6969
TRACKER = f"http://10.77.0.1:{PORT}/announce"
CLIENTS = ("aria2", "tl", "Transmission", "libtorrent")


def test_each_client_that_has_it_all_is_counted_and_the_last_one_ends_the_seed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "film.bin").write_bytes(random.Random(4).randbytes(3_000_000))
    torrent, told = tmp_path / "film.bin.torrent", tmp_path / "seed.json"
    subprocess.run([*TL, "create", str(tmp_path / "film.bin"), "-t", TRACKER, "-O", str(torrent)], check=True)
    info_hash = torrentlite.Metainfo.from_bytes(torrent.read_bytes()).info_hash

    def counted(copies: int) -> bool:
        return f'"copies": {copies},' in told.read_text()

    def fetched(name: str) -> bool:
        path = tmp_path / name / "film.bin"
        return path.exists() and path.read_bytes() == (tmp_path / "film.bin").read_bytes()

    with (
        namespaces() as (here, there),
        opentracker(here.address, PORT, [info_hash], work=tmp_path, prefix=here.prefix),
        tl_seeding(here, [torrent], tmp_path, tmp_path, "--copies", str(len(CLIENTS))) as port,
        Libtorrent(there) as libtorrent,
    ):
        done = there.run(aria2_command(tmp_path / "aria2", "--seed-time=0", torrent))
        assert done.returncode == 0, done.stdout
        wait_for("aria2 is counted", lambda: counted(1))
        tl_fetch(there, [torrent], tmp_path / "tl", tmp_path)
        wait_for("tl is counted", lambda: counted(2))
        with transmission(there, tmp_path / "Transmission", tmp_path) as daemon:
            assert daemon.add(torrent) == "success"
            wait_for("Transmission is counted", lambda: counted(3))
        libtorrent.add(torrent, tmp_path / "libtorrent", port, host=here.address)
        wait_for("the seed ends by itself", lambda: '"bye"' in told.read_text())
        for name in CLIENTS:
            wait_for(f"{name} has written", lambda name=name: fetched(name))
    shared = next(event for line in told.read_text().splitlines() if (event := json.loads(line))["event"] == "shared")
    assert shared["copies"] == len(CLIENTS)
