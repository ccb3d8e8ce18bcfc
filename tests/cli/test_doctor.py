"""``tl doctor``: each check finds what it is there for. The network of most of them is simulated, the disk is real."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import struct
import threading
from collections.abc import AsyncIterator

import pytest
import trio

from tests.net.portmap.scripted import OUTSIDE, ScriptedGateway
from torrentlite.cli import arguments
from torrentlite.cli.checkup import Finding, Verdict, clock, machine, outside
from torrentlite.cli.main import main
from torrentlite.dht import open_node
from torrentlite.net.portmap.gateway import Gateway
from torrentlite.testing import simulated
from torrentlite.wire.address import Address

NOW = 1_800_000_000.0


# -- the clock ---------------------------------------------------------------------------------------------------------


def answer(request: bytes, seconds: float, *, stratum: int = 2, flags: int = 0x24) -> bytes:
    whole = int(seconds + 2_208_988_800) % (1 << 32)
    return struct.pack("!BB22x8sII8x", flags, stratum, request[40:48], whole, int(seconds % 1 * (1 << 32)))


@contextlib.asynccontextmanager
async def time_server(world, reply) -> AsyncIterator[tuple[str, int]]:  # type: ignore[no-untyped-def]
    host = world.network.host(latency=0.05)
    (port,) = await host.open_datagrams("", 123)

    async def serve() -> None:
        while True:
            for data, sender in await port.receive():
                for each in reply(data):
                    port.send(each, sender)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield host.ip, 123
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("slow", "verdict", "words"),
    [
        (0.0, Verdict.OK, "0.0s"),
        (20.0, Verdict.OK, "20s slow"),
        (40.0, Verdict.NOTE, "40s slow"),
        (-40.0, Verdict.NOTE, "40s fast"),
        (7200.0, Verdict.BAD, "2h00m slow"),
        (-(NOW - 1e9), Verdict.BAD, "fast"),
    ],
)
@simulated()
async def test_the_clock_is_compared(world, slow: float, verdict: Verdict, words: str) -> None:  # type: ignore[no-untyped-def]
    began = trio.current_time()

    def wall() -> float:
        return NOW + trio.current_time() - began

    async with time_server(world, lambda data: [answer(data, wall() + slow)]) as server:
        found = await clock.look(world.network.host(latency=0.05), server, secret=os.urandom, wall=wall)
    assert (found.verdict, found.name) == (verdict, "clock")
    assert words in found.message
    assert bool(found.cure) == (verdict is not Verdict.OK)


@simulated()
async def test_only_a_proper_answer_counts(world) -> None:  # type: ignore[no-untyped-def]
    def reply(data: bytes) -> list[bytes]:
        forged = data[:40] + b"not that" + data[48:]
        return [
            b"", data, answer(forged, 0.0), answer(data, 0.0, stratum=0), answer(data, 0.0, stratum=16),
            answer(data, 0.0, flags=0xE4), answer(data, 0.0, flags=0x25), answer(data, -2_208_988_800.0),
            answer(data, NOW + 100), answer(data, NOW),
        ]  # fmt: skip

    async with time_server(world, reply) as server:
        found = await clock.look(world.network.host(), server, secret=os.urandom, wall=lambda: NOW)
    assert "1m40s slow" in found.message


def test_the_next_era_of_the_protocol() -> None:
    in_2040 = 2_208_988_800.0
    assert clock.read_answer(answer(b"x" * 48, in_2040), b"x" * 8) == in_2040


@pytest.mark.parametrize(("now", "verdict"), [(NOW, Verdict.UNKNOWN), (1e9, Verdict.BAD)])
@simulated()
async def test_nobody_tells_the_time(world, now: float, verdict: Verdict) -> None:  # type: ignore[no-untyped-def]
    async with time_server(world, lambda data: []) as server:
        host = world.network.host()
        for place in (server, ("no.such.name", 123)):
            found = await clock.look(host, place, secret=os.urandom, wall=lambda: now)
            assert found.verdict is verdict


# -- the network -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def some_dht(world, count: int) -> AsyncIterator[list[tuple[str, int]]]:  # type: ignore[no-untyped-def]
    """So many nodes; gives the first of them as a router."""
    async with contextlib.AsyncExitStack() as stack:
        hosts = [world.network.host(latency=0.02) for _ in range(count)]
        first = (hosts[0].ip, 6881)
        for number, host in enumerate(hosts):
            opened = open_node(
                port=6881,
                nodes=[first] if number else [],
                routers=(),
                network=host,
                rng=world.dice.rng(f"node {number}"),
                secret=world.dice.secret(f"node {number}"),
            )
            await stack.enter_async_context(opened)
        await trio.sleep(60)
        yield [first]


async def look(world, host, routers, *, port: int = 50_000, gateway=None, during=None) -> dict[str, Finding]:  # type: ignore[no-untyped-def]
    found: dict[str, Finding] = {}
    async with (
        outside.open_outside(
            host, host="", port=port, routers=routers, secret=world.dice.secret("doctor"), gateway=lambda: gateway
        ) as opened,
        trio.open_nursery() as nursery,
    ):
        if during is not None:
            nursery.start_soon(during)
        await opened.look(lambda finding: found.update({finding.name: finding}))
        nursery.cancel_scope.cancel()
    assert list(found) == ["port", "UDP", "DHT", "port mapping", "reachable"]
    assert host.sockets == 0
    return found


@simulated()
async def test_all_is_well(world) -> None:  # type: ignore[no-untyped-def]
    host = world.network.host(latency=0.02)

    async def a_stranger_calls() -> None:
        await trio.sleep(5)
        async with open_node(port=7000, routers=(), network=world.network.host(), secret=os.urandom) as stranger:
            await stranger.ping(Address(host.ip, 50_000))

    async with some_dht(world, 10) as routers:
        found = await look(world, host, routers, during=a_stranger_calls)
    assert {name: each.verdict.value for name, each in found.items()} == {
        "port": "ok", "UDP": "ok", "DHT": "ok", "port mapping": "note", "reachable": "ok",
    }  # fmt: skip
    assert "port 50000, TCP and UDP, by IPv4" in found["port"].message
    assert any(f"{count} nodes" in found["DHT"].message for count in (9, 10))
    assert f"others see us as {host.ip}" in found["DHT"].message
    assert "strangers reach us by UDP at port 50000: 1 did" in found["reachable"].message
    assert "switch UPnP or NAT-PMP on" in found["port mapping"].cure


@simulated()
async def test_nobody_calls(world) -> None:  # type: ignore[no-untyped-def]
    async with some_dht(world, 10) as routers:
        found = await look(world, world.network.host(), routers)
    assert found["reachable"].verdict is Verdict.NOTE
    assert "no stranger has called" in found["reachable"].message
    assert "lead port 50000, TCP and UDP" in found["reachable"].cure


@simulated()
async def test_udp_goes_nowhere(world) -> None:  # type: ignore[no-untyped-def]
    began = trio.current_time()
    found = await look(world, world.network.host(), [("203.0.113.9", 6881)])
    assert trio.current_time() - began < 20
    assert (found["UDP"].verdict, found["DHT"].verdict) == (Verdict.BAD, Verdict.BAD)
    assert "questions, and no answer" in found["UDP"].message
    assert "firewall" in found["UDP"].cure
    assert found["reachable"].verdict is Verdict.UNKNOWN


@simulated()
async def test_names_are_not_found(world) -> None:  # type: ignore[no-untyped-def]
    found = await look(world, world.network.host(), [("no.such.name", 6881)])
    assert (found["UDP"].verdict, found["DHT"].verdict) == (Verdict.BAD, Verdict.BAD)
    assert "DNS" in found["UDP"].cure


@simulated()
async def test_the_port_is_taken(world) -> None:  # type: ignore[no-untyped-def]
    host = world.network.host()
    async with some_dht(world, 4) as routers:
        (other,) = await host.listen("", 50_000, fallback=False)
        async with outside.open_outside(
            host, host="", port=50_000, routers=routers, secret=os.urandom, gateway=lambda: None
        ) as opened:
            found: list[Finding] = []
            await opened.look(found.append)
        other.close()
    assert found[0].verdict is Verdict.NOTE
    assert "port 50000 is in use" in found[0].message
    assert "another tl" in found[0].cure


@pytest.mark.parametrize(
    ("addresses", "external", "verdict", "words"),
    [
        (("192.168.1.2",), OUTSIDE, "ok", "probably: the gateway leads port 50000 here"),
        (("192.168.1.2", OUTSIDE), OUTSIDE, "ok", f"a call to our own address outside, {OUTSIDE}:50000, came in"),
        (("192.168.1.2",), "10.9.9.9", "note", "behind another one"),
    ],
)
@simulated()
async def test_a_gateway_that_opens_ports(world, addresses, external: str, verdict: str, words: str) -> None:  # type: ignore[no-untyped-def]
    router = ScriptedGateway(world.network.host("192.168.1.1", latency=0.001), "192.168.1.1", speaks=("natpmp",))
    router.external = external
    async with some_dht(world, 4) as routers, trio.open_nursery() as nursery:
        await nursery.start(router.serve)
        found = await look(world, world.network.host(*addresses, latency=0.001), routers, gateway=router.gateway)
        nursery.cancel_scope.cancel()
    assert found["port mapping"].verdict is Verdict.OK
    assert "NAT-PMP" in found["port mapping"].message
    assert found["reachable"].verdict.value == verdict
    assert words in found["reachable"].message
    assert router.mappings == {}, "closed again"


@simulated()
async def test_a_gateway_that_does_not(world) -> None:  # type: ignore[no-untyped-def]
    async with some_dht(world, 4) as routers:
        host = world.network.host("192.168.1.2")
        found = await look(world, host, routers, gateway=Gateway("192.168.1.1", 5351, 1900))
    assert found["port mapping"].verdict is Verdict.NOTE
    assert "neither PCP nor NAT-PMP nor UPnP" in found["port mapping"].message


# -- this machine ------------------------------------------------------------------------------------------------------


def test_a_good_disk(tmp_path: pathlib.Path) -> None:
    found = machine.disk(tmp_path)
    assert found.verdict in (Verdict.OK, Verdict.NOTE)
    assert f"free in {tmp_path}" in found.message
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written(tmp_path: pathlib.Path) -> None:
    found = machine.disk(tmp_path / "missing")
    assert found.verdict is Verdict.BAD
    assert "no such file or directory" in found.message


@pytest.mark.parametrize(
    ("broken", "words"), [("_holds_large_files", "no files above 4 GiB"), ("_holds_long_names", "no names of 244")]
)
def test_a_poor_file_system(broken: str, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, broken, lambda path: False)
    found = machine.disk(tmp_path)
    assert found.verdict is Verdict.NOTE
    assert words in found.message


def test_what_poor_file_systems_refuse_is_noticed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr(os, "truncate", refuse)
    assert not machine._holds_large_files(tmp_path / "x")
    monkeypatch.setattr(pathlib.Path, "touch", refuse)
    assert not machine._holds_long_names(tmp_path)


def test_a_state_folder(tmp_path: pathlib.Path) -> None:
    assert machine.state(tmp_path).verdict is Verdict.OK
    assert machine.state(None).verdict is Verdict.NOTE
    assert machine.state(tmp_path / "missing").verdict is Verdict.NOTE
    assert list(tmp_path.iterdir()) == []


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.version().verdict is Verdict.OK
    assert machine.packages().verdict is Verdict.OK
    monkeypatch.setattr(machine, "_PACKAGES", ("trio", "no-such-package"))
    found = machine.packages()
    assert found.verdict is Verdict.BAD
    assert "missing: no-such-package" in found.message


def test_a_variable_that_no_flag_has() -> None:
    names = arguments.flag_names()
    assert machine.choices({"TL_OUTPUT": "x", "HOME": "/"}, names).verdict is Verdict.OK
    found = machine.choices({"TL_OUPTUT": "x"}, names)
    assert (found.verdict, found.cure) == (Verdict.NOTE, "did you mean TL_OUTPUT?")


# -- all of it ---------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("torrentlite.cli.doctor.ROUTERS", ())
    monkeypatch.setattr(outside, "_JOIN", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            for _ in range(2):
                data, sender = server.recvfrom(100)
                server.sendto(answer(data, 1e9), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        flags = (
            "--listen",
            "127.0.0.1:0",
            "--time-server",
            f"127.0.0.1:{server.getsockname()[1]}",
            "-o",
            str(tmp_path),
        )
        assert main(["doctor", *flags]) == 7
        out, err = capfd.readouterr()
        assert main(["doctor", *flags, "--json"]) == 7
        thread.join()
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    lines = out.splitlines()
    assert any(line.startswith("BAD   clock ") and "fast by 127.0.0.1" in line for line in lines)
    cures = [line for line in lines if line.startswith(f"{'':<20}→ ")]
    assert any("set the clock" in line for line in cures)
    assert err == "asking the network, for up to a minute\n"
    assert events[-1]["event"] == "bye"
    assert events[-1]["code"] == 7
    checks = {each["name"]: each for each in events[:-1]}
    assert {each["event"] for each in events[:-1]} == {"check"}
    assert checks["clock"]["verdict"] == "bad"
    assert checks["clock"]["cure"]
    assert "only from this computer" in checks["reachable"]["message"]
    assert list(checks) == [
        "version", "packages", "choices", "disk", "open files", "state", "clock", "port", "UDP", "DHT", "port mapping", "reachable",
    ]  # fmt: skip
