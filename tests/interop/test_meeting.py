"""Found by nothing but an info-hash and one address to join the DHT by: ``tl`` with itself and with other clients,
over nodes of libtorrent, of npm's bittorrent-dht and of ``tl``. IPv4 and IPv6.

Each machine is a namespace in a /24 and a /64 of its own, because DHT nodes count on it.
"""

import contextlib
import os
import pathlib
import random
import signal
from collections.abc import Iterator

import pytest
import trio

import torrentlite
from tests.interop.clients import TL, aria2_command, missing, need_program, transmission, wait_for
from tests.interop.runs import only, script, space, tl
from tests.net.lan import Machine, lan

pytestmark = pytest.mark.interop

PORT = 6881
HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def machines() -> Iterator[list[Machine]]:
    with lan(5, apart=True) as found:
        yield found


@pytest.fixture
def film(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "film.bin"
    path.write_bytes(random.Random(str(tmp_path)).randbytes(500_000))
    return path


def host_of(machine: Machine, *, ipv6: bool) -> str:
    return machine.ipv6 if ipv6 else machine.address


def name_of(machine: Machine, port: int = PORT, *, ipv6: bool = False) -> str:
    return f"[{machine.ipv6}]:{port}" if ipv6 else f"{machine.address}:{port}"


def libtorrent_node(machine: Machine, bootstrap: list[str], work: pathlib.Path, *, ipv6: bool) -> list[str]:
    pytest.importorskip("libtorrent")
    return script(HERE / "dhtnode.py", host_of(machine, ipv6=ipv6), PORT, *bootstrap)


def npm_node(machine: Machine, bootstrap: list[str], work: pathlib.Path, *, ipv6: bool) -> list[str]:
    node, modules = need_program("node"), os.environ.get("TORRENTLITE_NODE_MODULES", "")
    package = pathlib.Path(modules, "node_modules/bittorrent-dht/index.js")
    if not modules or not package.exists():
        missing("npm's bittorrent-dht (TORRENTLITE_NODE_MODULES)")
    return [node, str(HERE / "dhtnode.mjs"), str(package), machine.address, str(PORT), *bootstrap]


def tl_node(machine: Machine, bootstrap: list[str], work: pathlib.Path, *, ipv6: bool) -> list[str]:
    joined = [word for address in bootstrap for word in ("--bootstrap", address)]
    state = work / f"{machine.namespace}.state"
    return [*TL, "dht", "node", "--listen", name_of(machine, ipv6=ipv6), *joined, "--state-dir", str(state)]


@contextlib.contextmanager
def nodes(machines: list[Machine], work: pathlib.Path, kind, *, ipv6: bool = False) -> Iterator[str]:
    """Nodes on these machines, which know each other by the first; gives its address."""
    first = name_of(machines[0], ipv6=ipv6)
    with contextlib.ExitStack() as stack:
        for number, machine in enumerate(machines):
            command = kind(machine, [first] if number else [], work, ipv6=ipv6)
            out, log = work / f"node{number}.out", work / f"node{number}.log"
            process = stack.enter_context(space(machine).running(command, log, stdout=out, end=signal.SIGINT))
            wait_for(f"node {number} listens", out.read_text, process=process)
        yield first


def flags(machine: Machine, bootstrap: str, *, ipv6: bool = False) -> tuple[str, ...]:
    """What makes ``tl`` use the DHT and nothing else, in one address family."""
    host = host_of(machine, ipv6=ipv6)
    return ("--listen", f"[{host}]:0" if ipv6 else f"{host}:0", "--bootstrap", bootstrap, *only("dht"))


@contextlib.contextmanager
def seeding(machine: Machine, work: pathlib.Path, film: pathlib.Path, *how: str) -> Iterator[str]:
    """A ``tl`` that shares it; gives the info-hash, once the DHT has been told."""
    with tl(machine, work, "seed", "seed", film, *how) as seed:
        seed.wait("found", source="dht")
        yield seed.events("seeding")[0]["info_hash"]


def fetch(machine: Machine, work: pathlib.Path, info_hash: str, *how: str) -> None:
    """Fetch it into ``out`` with ``tl``, by peers that the DHT named."""
    with tl(machine, work, "fetch", "fetch", info_hash, "-o", work / "out", *how) as run:
        assert run.complete()["dht"] > 0
        assert run.events("dht", state="joined")[-1]["nodes"] > 0


def check(work: pathlib.Path, film: pathlib.Path) -> None:
    assert (work / "out" / film.name).read_bytes() == film.read_bytes()


@pytest.mark.parametrize(
    ("kind", "ipv6"),
    [(libtorrent_node, False), (libtorrent_node, True), (npm_node, False), (tl_node, False), (tl_node, True)],
    ids=["libtorrent", "libtorrent IPv6", "bittorrent-dht", "tl", "tl IPv6"],
)
def test_two_meet_by_an_info_hash_alone(machines, tmp_path, film, kind, ipv6):
    one, two, *between = machines
    with (
        nodes(between, tmp_path, kind, ipv6=ipv6) as bootstrap,
        seeding(one, tmp_path, film, *flags(one, bootstrap, ipv6=ipv6)) as info_hash,
    ):
        fetch(two, tmp_path, info_hash, *flags(two, bootstrap, ipv6=ipv6))
    check(tmp_path, film)


@contextlib.contextmanager
def libtorrent(machine: Machine, work: pathlib.Path, bootstrap: str, *task: object) -> Iterator[None]:
    """A libtorrent that shares or fetches, once it has it all."""
    pytest.importorskip("libtorrent")
    command = script(HERE / "dhtnode.py", machine.address, PORT, bootstrap, *task)
    out = work / "libtorrent.out"
    with space(machine).running(command, work / "libtorrent.log", stdout=out) as process:
        wait_for("libtorrent is complete", lambda: "complete" in out.read_text(), process=process)
        yield


def test_from_libtorrent(machines, tmp_path, film):
    one, two, *between = machines
    metainfo = trio.run(torrentlite.create, film)
    torrent = tmp_path / "film.torrent"
    torrent.write_bytes(metainfo.encode())
    with (
        nodes(between, tmp_path, libtorrent_node) as bootstrap,
        libtorrent(one, tmp_path, bootstrap, "seed", torrent, film.parent),
    ):
        fetch(two, tmp_path, metainfo.info_hash, *flags(two, bootstrap))
    check(tmp_path, film)


def test_to_libtorrent(machines, tmp_path, film):
    one, two, *between = machines
    with (
        nodes(between, tmp_path, tl_node) as bootstrap,
        seeding(one, tmp_path, film, *flags(one, bootstrap)) as info_hash,
        libtorrent(two, tmp_path, bootstrap, "fetch", info_hash, tmp_path / "out"),
    ):
        check(tmp_path, film)


MANY = 12


def many_nodes(machine: Machine, bootstrap: list[str], work: pathlib.Path, *, ipv6: bool) -> list[str]:
    return script("-m", "tests.interop.dhtnodes", machine.address, MANY)


def test_to_transmission_and_aria2(machines, tmp_path, film):
    """Side by side, for each of them waits half a minute before it asks (again). Transmission asks nobody before it
    knows more than 8 nodes."""
    one, two, three, four, *_ = machines
    outs = tmp_path / "transmission.out", tmp_path / "aria2.out"
    outs[0].mkdir()
    everybody = [name_of(four, PORT + number) for number in range(MANY)]
    log = tmp_path / "aria2.log"
    with (
        nodes([four], tmp_path, many_nodes) as bootstrap,
        seeding(one, tmp_path, film, *flags(one, bootstrap)) as info_hash,
        transmission(space(two), outs[0], tmp_path, dht=everybody) as daemon,
    ):
        link = f"magnet:?xt=urn:btih:{info_hash}"
        assert daemon.add(link) == "success"
        command = aria2_command(
            outs[1], "--enable-dht=true", f"--dht-entry-point={bootstrap}", "--dht-listen-port=6900", "--seed-time=0",
            f"--dht-file-path={tmp_path / 'aria2.dat'}", link
        )  # fmt: skip
        with space(three).running(command, log) as process:
            wait_for("aria2 ends", lambda: process.poll() is not None)
        assert process.returncode == 0, log.read_text()
        wait_for("Transmission is complete", lambda: (daemon.torrents() or [{"percentDone": 0}])[0]["percentDone"] == 1)
    for out in outs:
        assert (out / film.name).read_bytes() == film.read_bytes()
