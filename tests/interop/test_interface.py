"""A machine with two ways out, of which ``--interface`` leaves one: what leaves by which, and what becomes of a session
whose interface goes and comes back, as that of a VPN that dials in anew.

The far end takes nothing: that it is asked, and by which way, shows on the wire.
"""

import contextlib
import random
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import trio

from tests.interop.clients import TL, need_program, wait_for
from tests.interop.runs import only, space, tl
from tests.net.lan import Machine, Wiring, wiring
from torrentlite import limits
from torrentlite.net.network import RealNetwork
from torrentlite.wire import lsd

pytestmark = pytest.mark.interop

FAR, FAR6 = "11.22.33.2", "2600::2"
PLAIN, VPN = "10.71.1", "10.71.2"
OUTGOING = 4  # PACKET_OUTGOING
PING = b"d1:ad2:id20:" + bytes(range(20)) + b"e1:q4:ping1:t2:aa1:y1:qe"
PATIENCE = 30.0


class Net(NamedTuple):
    """``home`` reaches ``far`` by ``eth0``, the way that the system takes, and by ``wg0``."""

    wires: Wiring
    home: Machine
    far: Machine

    def connect(self, name: str, network: str, last: int, metric: int) -> None:
        """One of the ways: home's end has this address."""
        home, far, six = self.home.namespace, self.far.namespace, f"fd71:{network[-1]}::"
        self.wires.cable(home, name, far, f"far{name}")
        for where, end, number in ((home, name, last), (far, f"far{name}", 2)):
            self.wires.addresses((where, end, f"{network}.{number}/24"))
            self.wires.ip("-n", where, "addr", "add", f"{six}{number}/64", "dev", end, "nodad")
        for gateway in (f"{network}.2", f"{six}2"):
            self.wires.ip("-n", home, "route", "add", "default", "via", gateway, "dev", name, "metric", str(metric))


@pytest.fixture
def net() -> Iterator[Net]:
    with wiring() as wires:
        home, far = wires.space("home"), wires.space("far")
        for name in (home, far):  # each answer may come by the other way
            for where in ("all", "default"):
                wires.run(name, "sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter=0")
        one = Net(wires, Machine("", home), Machine(FAR, far, FAR6))
        one.connect("eth0", PLAIN, 1, metric=10)
        one.connect("wg0", VPN, 1, metric=20)
        wires.addresses((far, "lo", f"{FAR}/32"))
        wires.ip("-n", far, "addr", "add", f"{FAR6}/128", "dev", "lo", "nodad")
        yield one


@pytest.fixture
def command() -> list[str]:
    """``tl`` with the rights of anybody, who may tie a socket to an interface once."""
    dropped = "-net_raw,-net_admin"
    return [need_program("setpriv"), f"--bounding-set={dropped}", f"--inh-caps={dropped}", *TL]


class Watch:
    """What leaves a machine by one of its interfaces: TCP, UDP and IGMP. (The kernel looks for neighbours by itself.)"""

    def __init__(self, machine: Machine, interface: str) -> None:
        with space(machine).inside():
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # ETH_P_ALL
        self._sock.bind((interface, 3))
        self._sock.setblocking(False)
        self._sent: set[tuple[str, str, int]] = set()
        self.sources: set[str] = set()
        """The addresses that it bore."""

    def sent(self) -> set[tuple[str, str, int]]:
        """The protocol, address and port of each packet so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, kind, direction, *_) = self._sock.recvfrom(65535)
                if direction == OUTGOING and kind in (0x0800, 0x86DD):
                    self._look(data, ipv6=kind == 0x86DD)
        return self._sent

    def _look(self, data: bytes, *, ipv6: bool) -> None:
        number, size = (data[6], 40) if ipv6 else (data[9], 4 * (data[0] & 15))
        family, size_of = (socket.AF_INET6, 16) if ipv6 else (socket.AF_INET, 4)
        first = 8 if ipv6 else 12
        source, host = (socket.inet_ntop(family, data[at : at + size_of]) for at in (first, first + size_of))
        if name := {2: "igmp", 6: "tcp", 17: "udp"}.get(number):
            self.sources.add(source)
            self._sent.add((name, host, 0 if name == "igmp" else struct.unpack_from(">H", data, size + 2)[0]))

    def close(self) -> None:
        self._sock.close()


@contextlib.contextmanager
def watching(net: Net, interface: str) -> Iterator[Watch]:
    with contextlib.closing(Watch(net.home, interface)) as watch:
        yield watch


URL = f"http://{FAR}:83/x.torrent"
HASH = "ab" * 20
NODES = ("--bootstrap", f"{FAR}:6881", "--bootstrap", f"[{FAR6}]:6881")
DHT = {("udp", FAR, 6881), ("udp", FAR6, 6881)}
LSD = {("udp", "239.192.152.143", 6771), ("udp", "ff15::efc0:988f", 6771), ("igmp", "224.0.0.22", 0)}
UPNP = ("udp", "239.255.255.250", 1900)
TRACKERS = ("-t", f"http://{FAR}:80/announce", "-t", f"http://[{FAR6}]:80/announce", "-t", f"udp://{FAR}:81/announce")
ANNOUNCES = {("tcp", FAR, 80), ("tcp", FAR6, 80), ("udp", FAR, 81)}
PEERS = ("--peer", f"{FAR}:6001", "--peer", f"[{FAR6}]:6001")

CASES = {
    "fetch": (
        ("fetch", "film.torrent", "-o", "out", "-w", f"http://{FAR}:82/film.bin", *PEERS, "--utp", "prefer", *NODES),
        {
            *ANNOUNCES,
            *DHT,
            *LSD,
            *((kind, host, 6001) for kind in ("tcp", "udp") for host in (FAR, FAR6)),
            ("tcp", FAR, 82),
            ("udp", "gateway", 5351),
            ("udp", "gateway", 1900),
            UPNP,
        },
    ),
    "seed": (("seed", "film.bin", *TRACKERS, *NODES), {*ANNOUNCES, *DHT, *LSD, ("udp", "gateway", 5351), UPNP}),
    "URL": (("info", URL), {("tcp", FAR, 83)}),
    "proxy": (("info", URL, "--proxy", f"socks5://{FAR}:1080"), {("tcp", FAR, 1080)}),
    "link that stays": (("info", "magnet:?xs=urn:btpk:" + "ab" * 32, *NODES), DHT),
    "peers": (("peers", HASH, *TRACKERS, *NODES), {*ANNOUNCES, *DHT}),
    "dht": (("dht", "lookup", HASH, *NODES), DHT),
    "doctor": (
        ("doctor", "--time-server", f"{FAR}:123", *NODES),
        {("udp", FAR, 123), *DHT, ("udp", "gateway", 5351), UPNP},
    ),
}
"""The words, and all that they make leave."""


@pytest.mark.parametrize("interface", ["", "wg0"])
@pytest.mark.parametrize("case", CASES)
def test_everything_leaves_by_it_and_nothing_by_another(net, command, tmp_path, monkeypatch, case, interface):
    monkeypatch.chdir(tmp_path)
    words, wanted = CASES[case]
    (tmp_path / "film.bin").write_bytes(random.Random(case).randbytes(100_000))
    space(Machine("", "")).run([*TL, "create", "film.bin", "-O", "film.torrent", *TRACKERS])
    gateway = f"{VPN if interface else PLAIN}.2"
    wanted = {(kind, host.replace("gateway", gateway), port) for kind, host, port in wanted}
    line = [*command, *words, "--interface", interface, "--state-dir", "state"]
    with watching(net, "eth0") as plain, watching(net, "wg0") as vpn:
        way = vpn if interface else plain
        with space(net.home).running(line, tmp_path / "log"):
            end = time.monotonic() + PATIENCE
            while not wanted <= way.sent() and time.monotonic() < end:
                time.sleep(0.05)
            assert not wanted - way.sent(), (tmp_path / "log").read_text()
        # Also what it sends when it ends.
        assert not interface or not plain.sent()
        assert not interface or way.sources <= {f"{VPN}.1", "fd71:2::1"}


def test_nothing_bears_the_address_of_another(net, command, tmp_path):
    """As where a VPN is up before its address is there, or has none of one of the families."""
    home = net.home.namespace
    (tmp_path / "film.bin").write_bytes(random.Random(2).randbytes(100_000))
    space(Machine("", "")).run([*TL, "create", tmp_path / "film.bin", "-O", tmp_path / "film.torrent", *TRACKERS])
    words = ("fetch", tmp_path / "film.torrent", "-o", tmp_path / "out", *PEERS, "--utp", "prefer", *NODES)
    # As a tunnel, which asks for no neighbours and leads everywhere.
    net.wires.ip("-n", home, "link", "set", "wg0", "arp", "off")
    net.wires.ip("-n", home, "addr", "flush", "dev", "wg0")
    for ipv in ("-4", "-6"):
        net.wires.ip("-n", home, ipv, "route", "add", "default", "dev", "wg0", "metric", "5")
    with watching(net, "eth0") as plain, watching(net, "wg0") as vpn:
        with tl(net.home, tmp_path, "home", *words, "--interface", "wg0", command=command) as run:
            no_address = "the network interface wg0 has no address"
            run.wait("progress", why=no_address, reason="interface down")
            wait_for("a call in vain", lambda: any(each["evidence"].get("failing") for each in run.events("progress")))
            assert not vpn.sent()
            net.wires.ip("-n", home, "addr", "add", "fd71:2::9/64", "dev", "wg0", "nodad")
            wait_for("IPv6", lambda: {("udp", FAR6, 6881), ("tcp", FAR6, 6001)} <= vpn.sent())
            assert vpn.sources == {"fd71:2::9"}
            net.wires.addresses((home, "wg0", f"{VPN}.9/24"))
            wait_for("IPv4", lambda: {("udp", FAR, 6881), ("tcp", FAR, 6001)} <= vpn.sent())
            assert vpn.sources == {"fd71:2::9", f"{VPN}.9"}
        assert not plain.sent()


def test_an_address_that_the_interface_does_not_have(net, command, tmp_path):
    listen = ("--listen", f"{PLAIN}.1:6002", "--interface", "wg0", "--state-dir", str(tmp_path / "refused"))
    for words in (("fetch", HASH), ("dht", "node"), ("peers", HASH), ("info", URL)):
        done = space(net.home).run([*command, *words, *listen])
        assert done.returncode == 7
        assert f"the network interface wg0 has no address {PLAIN}.1" in done.stderr
    flags = ("--listen", f"{VPN}.1:6002", "--interface", "wg0")
    with tl(net.home, tmp_path, "home", "fetch", HASH, *flags, *only(), command=command) as run:
        run.wait("progress", why=None)
        net.wires.ip("-n", net.home.namespace, "link", "del", "wg0")
        net.connect("wg0", VPN, 9, metric=20)
        run.wait("progress", why=f"the network interface wg0 has no address {VPN}.1")


def test_a_url_is_asked_for_from_the_address_that_was_named(net, command, tmp_path):
    words = ("info", URL, "--listen", f"{VPN}.1:0", "--state-dir", str(tmp_path))
    with watching(net, "eth0") as plain, watching(net, "wg0") as vpn:
        space(net.home).run([*command, *words])
        assert ("tcp", FAR, 83) in plain.sent() | vpn.sent()
        assert plain.sources | vpn.sources == {f"{VPN}.1"}


@pytest.mark.parametrize("words", [("info", URL), ("peers", HASH, "--no-dht", *TRACKERS),
                                   ("dht", "lookup", HASH, *NODES, "--timeout", "1s")])  # fmt: skip
def test_that_it_is_down_is_said(net, command, tmp_path, words):
    net.wires.ip("-n", net.home.namespace, "link", "set", "wg0", "down")
    line = [*command, *words, "--interface", "wg0", "--state-dir", str(tmp_path)]
    done = space(net.home).run(line)
    assert done.returncode == 7
    assert "the network interface wg0 is down" in done.stderr.splitlines()[-2]


def test_one_that_is_called_otherwise_now_is_not_used_any_more(net, command, tmp_path):
    film, home = tmp_path / "film.bin", net.home.namespace
    film.write_bytes(random.Random(1).randbytes(300_000))
    flags = ("--listen", "6002", "--interface", "wg0", *only("dht"), *NODES)
    with tl(net.home, tmp_path, "home", "seed", film, *flags, command=command) as run:
        info_hash = bytes.fromhex(run.wait("seeding")["info_hash"])

        def rename(old: str, new: str) -> None:
            for words in ((old, "down"), (old, "name", new), (new, "up")):
                net.wires.ip("-n", home, "link", "set", *words)

        wait_for("an answer", lambda: answers(net, f"{VPN}.1", 6002))
        rename("wg0", "tun7")
        wait_for("no answer any more", lambda: not answers(net, f"{VPN}.1", 6002))
        assert not greets(net, f"{VPN}.1", 6002, info_hash)
        rename("tun7", "wg0")
        wait_for("an answer again", lambda: answers(net, f"{VPN}.1", 6002))
        wait_for("a hello again", lambda: greets(net, f"{VPN}.1", 6002, info_hash))


def test_a_group_is_joined_on_each_that_takes_its_place(net, monkeypatch):
    """Also when there were more of them than a socket may have memberships."""
    home = net.home.namespace
    monkeypatch.setattr(limits, "INTERFACE_CHECK", 0.05)
    net.wires.run(home, "sysctl", "-qw", "net.ipv4.igmp_max_memberships=2")

    async def main() -> None:
        for group in lsd.GROUPS:
            here = await RealNetwork("", "wg0").open_multicast(group, "", join=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.receive)
                for _ in range(4):
                    net.wires.ip("-n", home, "link", "del", "wg0")
                    net.connect("wg0", VPN, 1, metric=20)
                    index = socket.if_nametoindex("wg0")
                    with trio.fail_after(PATIENCE):
                        while here._joined != {index}:
                            await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
            here.close()

    with space(net.home).inside():
        trio.run(main)


def answers(net: Net, host: str, port: int) -> bool:
    """Whether a DHT node there answers the far machine within a moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with space(net.far).inside():
        sock = socket.socket(family, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(0.5)
        try:
            sock.sendto(PING, (host, port))
            return b"1:y1:r" in sock.recv(1000)
        except OSError:
            return False


def greets(net: Net, host: str, port: int, info_hash: bytes) -> bool:
    """Whether a peer there says hello to the far machine, which is how it shows that somebody takes calls."""
    hello = b"\x13BitTorrent protocol" + bytes(8) + info_hash
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        with space(net.far).inside():
            sock = stack.enter_context(socket.create_connection((host, port), 5))
        sock.sendall(hello + b"-XX0000-" + b"x" * 12)
        return sock.recv(68).startswith(hello[:20])
    return False


def test_a_session_lives_through_the_loss_of_its_interface(net, command, tmp_path):
    film, port = tmp_path / "film.bin", 6002
    film.write_bytes(random.Random(1).randbytes(300_000))
    flags = ("--listen", f"{port}", "--interface", "wg0", "--peer", f"{FAR}:6001", "--bootstrap", f"{FAR}:1")
    alone = (*only(), "--listen", "6001")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        plain = start(watching(net, "eth0"))
        words = ("fetch", "--seed", "-o", tmp_path / "out", *flags, *only("dht", "lsd"))
        seed = start(tl(net.far, tmp_path, "far", "seed", film, *alone))
        info_hash = seed.wait("seeding")["info_hash"]
        # Only from here on is there anybody to find: the interface is gone, and there is another way to the seed.
        net.wires.ip("-n", net.home.namespace, "link", "set", "wg0", "down")
        run = start(tl(net.home, tmp_path, "home", words[0], info_hash, *words[1:], command=command))
        run.wait("progress", why="the network interface wg0 is down", reason="interface down")
        net.wires.ip("-n", net.home.namespace, "link", "del", "wg0")
        gone = "there is no network interface wg0"
        wait_for(
            "a call in vain", lambda: any(each["evidence"].get("failing") for each in run.events("progress", why=gone))
        )
        assert not plain.sent()
        net.connect("wg0", VPN, 9, metric=20)
        run.wait("complete")
        # Others reach it too, by TCP and by UDP, by both families; and by this way only.
        for host in (f"{VPN}.9", "fd71:2::9"):
            wait_for(f"an answer from {host}", lambda host=host: answers(net, host, port))
            wait_for(f"a hello from {host}", lambda host=host: greets(net, host, port, bytes.fromhex(info_hash)))
        assert not plain.sent()
        for host in (f"{PLAIN}.1", "fd71:1::1"):
            assert not answers(net, host, port)
            with space(net.far).inside(), pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, port), 5)


def test_the_doctor_names_an_interface_that_is_down(net, command, tmp_path):
    net.wires.ip("-n", net.home.namespace, "link", "set", "wg0", "down")
    with tl(net.home, tmp_path, "doctor", "doctor", "--interface", "wg0", *NODES, command=command) as run:
        assert run.wait("check", name="interface")["message"] == "the network interface wg0 is down"


def test_a_link_names_addresses_of_the_interface_only(net, command, tmp_path):
    film = tmp_path / "film.bin"
    film.write_bytes(b"x" * 1000)
    for name, flags, hosts in (
        ("vpn", ("--interface", "wg0"), {f"{VPN}.1", "fd71:2::1"}),
        ("all", (), {f"{PLAIN}.1", f"{VPN}.1", "fd71:1::1", "fd71:2::1"}),
    ):
        with tl(net.home, tmp_path, name, "seed", film, "--listen", "6003", *flags, *only(), command=command) as run:
            magnet = run.wait("seeding")["magnet"]
        named = {part[5:].rpartition(":")[0].strip("[]") for part in magnet.split("&") if part.startswith("x.pe=")}
        assert named == hosts
