"""Networks of our own, in namespaces: a LAN around a switch, machines around a router, a home behind a gateway."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from tests.interop.clients import missing, need_program

ROOT = pathlib.Path(__file__).parents[2]


class Machine(NamedTuple):
    """A namespace, and its addresses there."""

    address: str
    namespace: str
    ipv6: str = ""

    @property
    def prefix(self) -> list[str]:
        """What a command has to begin with to run there."""
        return ["ip", "netns", "exec", self.namespace]

    @contextlib.contextmanager
    def running(self, *command: str, out: pathlib.Path, errors: pathlib.Path) -> Iterator[subprocess.Popen]:
        """A program, until the end of the block; closing its input is left to the caller."""
        with out.open("wb") as output, errors.open("wb") as trouble:
            process = subprocess.Popen(
                [*self.prefix, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=trouble if errors != out else subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdin.close()


class Wiring:
    """Makes namespaces and cables; everything goes with the block."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def run(self, name: str, *words: str) -> None:
        subprocess.run(["ip", "netns", "exec", name, *words], check=True, capture_output=True)

    def space(self, name: str) -> str:
        full = f"tl{os.getpid()}{name}"
        self.ip("netns", "add", full)
        self.names.append(full)
        self.ip("-n", full, "link", "set", "lo", "up")
        return full

    def addresses(self, *rows: tuple[str, str, str]) -> None:
        """Of each namespace's end of a cable, with the length of its network."""
        for name, end, address in rows:
            self.ip("-n", name, "addr", "add", address, "dev", end)

    def cable(self, one: str, end: str, other: str, other_end: str) -> None:
        self.ip("link", "add", end, "netns", one, "type", "veth", "peer", "name", other_end, "netns", other)
        self.ip("-n", one, "link", "set", end, "up")
        self.ip("-n", other, "link", "set", other_end, "up")


@contextlib.contextmanager
def wiring() -> Iterator[Wiring]:
    need_program("ip")
    one = Wiring()
    try:
        yield one
    except subprocess.CalledProcessError as error:
        missing(f"a network of our own ({' '.join(map(str, error.cmd))}: {error.stderr.decode().strip()})")
    finally:
        for name in one.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextlib.contextmanager
def lan(count: int, *, apart: bool = False) -> Iterator[list[Machine]]:
    """So many machines at one switch, with IPv4 and IPv6 addresses; ``apart``: each in a /24 and a /64 of its own, as
    DHT nodes want it."""
    with wiring() as wires:
        switch = wires.space("sw")
        wires.ip("-n", switch, "link", "add", "br0", "type", "bridge")
        wires.ip("-n", switch, "link", "set", "br0", "up")
        spaces = []
        for i in range(1, count + 1):
            name = wires.space(f"m{i}")
            wires.cable(name, "eth0", switch, f"p{i}")
            wires.ip("-n", switch, "link", "set", f"p{i}", "master", "br0")
            four, six = (f"10.79.{i}.1", f"fd79:0:0:{i}::1") if apart else (f"10.79.0.{i}", f"fd79::{i}")
            wires.ip("-n", name, "addr", "add", f"{four}/{16 if apart else 24}", "dev", "eth0")
            wires.ip("-n", name, "addr", "add", f"{six}/{48 if apart else 64}", "dev", "eth0", "nodad")
            spaces.append(Machine(four, name, six))
        yield spaces


@contextlib.contextmanager
def routed(count: int) -> Iterator[tuple[Wiring, str, list[Machine]]]:
    """So many machines, each in a /24 of its own, and the namespace of the router through which every packet goes, at
    whose ends ``p1``, ``p2``, … they are.

    What a rule of the router's table FORWARD matches is one packet, as on a wire: segmentation offload, which hands
    64 KiB over as one, is off. TCP is CUBIC, the default of Linux: BBR hardly minds losses.
    """
    with wiring() as wires:
        router = wires.space("router")
        wires.run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        spaces = []
        for i in range(1, count + 1):
            name = wires.space(f"m{i}")
            wires.cable(name, "eth0", router, f"p{i}")
            for space, end, address in [(name, "eth0", f"10.80.{i}.1"), (router, f"p{i}", f"10.80.{i}.254")]:
                wires.ip("-n", space, "addr", "add", f"{address}/24", "dev", end)
                wires.ip("-n", space, "link", "set", end, "gso_max_segs", "1")
            wires.ip("-n", name, "route", "add", "default", "via", f"10.80.{i}.254", "congctl", "cubic")
            spaces.append(Machine(f"10.80.{i}.1", name))
        yield wires, router, spaces


INSIDE, OUTSIDE, FAR = "10.78.0.1", "11.22.33.1", "11.22.33.2"
"""The gateway's addresses, and a machine on the Internet."""


@contextlib.contextmanager
def behind_gateway() -> Iterator[tuple[Machine, Machine, Machine]]:
    """A machine at home, the gateway (which forwards nothing that was not asked for), a machine outside."""
    iptables = need_program("iptables-legacy")
    with wiring() as wires:
        home, gateway, outside = (wires.space(name) for name in ("home", "gate", "out"))
        wires.cable(home, "eth0", gateway, "in0")
        wires.cable(outside, "eth0", gateway, "ext0")
        wires.addresses(
            (home, "eth0", "10.78.0.2/24"),
            (gateway, "in0", f"{INSIDE}/24"),
            (gateway, "ext0", f"{OUTSIDE}/24"),
            (outside, "eth0", f"{FAR}/24"),
        )
        wires.ip("-n", home, "route", "add", "default", "via", INSIDE)
        wires.run(gateway, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for rule in [
            "-t nat -N MINIUPNPD",
            "-t nat -A PREROUTING -i ext0 -j MINIUPNPD",
            "-t nat -N MINIUPNPD-POSTROUTING",
            "-t nat -A POSTROUTING -o ext0 -j MINIUPNPD-POSTROUTING",
            "-t nat -A POSTROUTING -o ext0 -j MASQUERADE",
            "-N MINIUPNPD",
            "-P FORWARD DROP",
            "-A FORWARD -i in0 -j ACCEPT",
            "-A FORWARD -i ext0 -j MINIUPNPD",
        ]:
            wires.run(gateway, iptables, *rule.split())
        yield Machine("10.78.0.2", home), Machine(INSIDE, gateway), Machine(FAR, outside)


@contextlib.contextmanager
def two_homes() -> Iterator[tuple[Machine, Machine, Machine]]:
    """Two machines, each at home behind a router of its own that lets in only what answers, and one on the Internet."""
    iptables = need_program("iptables-legacy")
    with wiring() as wires:
        switch, outside = wires.space("net"), wires.space("out")
        wires.ip("-n", switch, "link", "add", "br0", "type", "bridge")
        wires.ip("-n", switch, "link", "set", "br0", "up")
        wires.cable(outside, "eth0", switch, "p0")
        wires.ip("-n", switch, "link", "set", "p0", "master", "br0")
        wires.addresses((outside, "eth0", "11.22.0.1/16"))
        homes = []
        for i in (1, 2):
            home, router = wires.space(f"home{i}"), wires.space(f"gate{i}")
            wires.cable(home, "eth0", router, "in0")
            wires.cable(router, "ext0", switch, f"p{i}")
            wires.ip("-n", switch, "link", "set", f"p{i}", "master", "br0")
            wires.addresses(
                (home, "eth0", f"10.78.{i}.2/24"),
                (router, "in0", f"10.78.{i}.1/24"),
                (router, "ext0", f"11.22.{i}.1/16"),
            )
            wires.ip("-n", home, "route", "add", "default", "via", f"10.78.{i}.1")
            wires.run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            for rule in [
                "-t nat -A POSTROUTING -o ext0 -j MASQUERADE",
                "-P FORWARD DROP",
                "-A FORWARD -i in0 -j ACCEPT",
                "-A FORWARD -i ext0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
                # As home routers do, and not the kernel by itself: nothing is said to who is not let in.
                "-P INPUT DROP",
            ]:
                wires.run(router, iptables, *rule.split())
            homes.append(Machine(f"10.78.{i}.2", home))
        yield homes[0], homes[1], Machine("11.22.0.1", outside)
