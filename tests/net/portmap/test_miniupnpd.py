"""A real gateway: Debian's miniupnpd, with the kernel's own NAT, in network namespaces.

Where the kernel or the system does not let it run, ``test_mapper.py`` and ``test_hostile.py`` with their scripted
gateway are the proof, and no other.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.interop.clients import missing, wait_for
from tests.net.lan import INSIDE, OUTSIDE, Machine, behind_gateway

pytestmark = pytest.mark.interop

SCRIPT = pathlib.Path(__file__).with_name("behind_gateway.py")

CONFIG = """\
ext_ifname=ext0
listening_ip=in0
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
http_port=0
uuid=11111111-2222-3333-4444-555555555555
allow 1024-65535 10.78.0.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""

GREETED = """
import socket, sys
port = int(sys.argv[1])
tcp = socket.create_connection((sys.argv[2], port), 5)
print(tcp.recv(99).decode())
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(5)
udp.sendto(b"x", (sys.argv[2], port))
print(udp.recv(99).decode())
"""


def miniupnpd() -> str:
    found = os.environ.get("MINIUPNPD") or shutil.which("miniupnpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not found:
        missing("miniupnpd")
    return found


@contextlib.contextmanager
def gateway_at_home(work: pathlib.Path) -> Iterator[tuple[Machine, Machine, Machine]]:
    """A machine at home, the gateway with miniupnpd, a machine outside."""
    program = miniupnpd()
    (work / "conf").write_text(CONFIG)
    log = work / "log"
    with behind_gateway() as machines:
        command = [program, "-d", "-f", str(work / "conf"), "-P", str(work / "pid")]
        with machines[1].running(*command, out=log, errors=log) as process:
            wait_for(
                "miniupnpd's start",
                lambda: "Listening for NAT-PMP/PCP" in log.read_text(errors="replace") or process.poll() is not None,
            )
            if process.poll() is not None:
                missing(f"a miniupnpd that runs here ({log.read_text(errors='replace')[-200:].strip()})")
            yield machines


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Iterator[tuple[Machine, Machine, Machine]]:
    with gateway_at_home(tmp_path_factory.mktemp("miniupnpd")) as machines:
        yield machines


class Client:
    """The mapper at home."""

    def __init__(self, home: Machine, protocol: str, work: pathlib.Path) -> None:
        self.out = work / "told"
        self.errors = work / "errors"
        self._running = home.running(sys.executable, str(SCRIPT), protocol, out=self.out, errors=self.errors)

    def __enter__(self) -> "Client":
        self.process = self._running.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._running.__exit__(*error)

    def told(self, number: int) -> dict:
        """The line of that number."""
        wait_for(f"line {number}", lambda: self.out.read_text().count("\n") > number, process=self.process)
        return json.loads(self.out.read_text().splitlines()[number])


def greetings(machine: Machine, port: int) -> subprocess.CompletedProcess:
    command = [*machine.prefix, sys.executable, "-c", GREETED, str(port), OUTSIDE]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(("protocol", "name"), [("pcp", "PCP"), ("natpmp", "NAT-PMP"), ("upnp", "UPnP")])
def test_a_port_is_opened_and_closed_by_a_real_gateway(network, tmp_path, protocol, name):
    home, _, outside = network
    with Client(home, protocol, tmp_path) as client:
        assert client.told(0) == {"gateway": [INSIDE, 5351, 1900]}, "found in the routing table"
        mapped = client.told(1)
        assert mapped["state"] == "mapped", client.errors.read_text()
        assert (mapped["protocol"], mapped["external_host"]) == (name, OUTSIDE)
        assert mapped["tcp_port"] == mapped["udp_port"] > 0
        done = greetings(outside, mapped["tcp_port"])
        assert done.stdout.splitlines() == ["hello over TCP", "hello over UDP"], done.stderr
        client.process.stdin.close()
        assert client.told(2) == {"state": "off"}
        assert "Error" in greetings(outside, mapped["tcp_port"]).stderr, "closed again"
