"""``tl`` in namespaces, finding peers by the means under test, and what it tells in JSON."""

import contextlib
import json
import pathlib
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tests.interop.clients import TL, Space, wait_for
from tests.net.lan import Machine


def space(machine: Machine) -> Space:
    return Space(machine.address, machine.namespace)


def only(*means: str) -> list[str]:
    """The flags that leave these means of finding peers, of dht, lsd, pex and port-map, and no others."""
    return [f"--no-{each}" for each in ("dht", "lsd", "pex", "port-map") if each not in means]


class Run:
    """A ``tl`` that runs, or ran."""

    def __init__(self, name: str, process: Any, told: pathlib.Path, log: pathlib.Path) -> None:
        self._name = name
        self._told = told
        self._log = log
        self.process = process

    def events(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """What it has told so far, of this kind and with these fields."""
        lines = self._told.read_text().splitlines(keepends=True) if self._told.exists() else []
        told = [json.loads(line) for line in lines if line.endswith("\n")]
        return [each for each in told if each["event"] == kind and fields.items() <= each.items()]

    def wait(self, kind: str, **fields: object) -> dict[str, Any]:
        """The first such event."""
        wait_for(f"{self._name}: {kind} {fields}", lambda: self.events(kind, **fields), process=self.process)
        return self.events(kind, **fields)[0]

    def complete(self) -> dict[str, int]:
        """Wait until it has fetched it all; the sources of the peers that it knew."""
        wait_for(f"{self._name} ends", lambda: self.process.poll() is not None)
        assert self.process.returncode == 0, self._log.read_text() + self._told.read_text()[-2000:]
        assert self.events("complete")
        return self.events("progress")[-1]["sources"]


@contextlib.contextmanager
def tl(machine: Machine, work: pathlib.Path, name: str, *words: object, command: Sequence[str] = TL) -> Iterator[Run]:
    """Run ``tl`` with these words; a seed's end takes no error."""
    told, log = work / f"{name}.json", work / f"{name}.log"
    line = [*command, *map(str, words), "--json", "-vv", "--state-dir", str(work / f"{name}.state")]
    with space(machine).running(line, log, stdout=told, end=signal.SIGINT) as process:
        yield Run(name, process, told, log)
    assert process.returncode in (0, 130), log.read_text()
    assert "internal error" not in log.read_text() and "a bug of ours" not in log.read_text()


def script(*words: object) -> list[str]:
    """A Python script of ours as a command."""
    return [sys.executable, *map(str, words)]
