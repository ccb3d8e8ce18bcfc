"""Plays a page: everything that it tells its readers to type, in its order, in a network of its own.

    python -m tests.docs.player PAGE

The reader's machine is a network namespace with the address 192.168.1.20 and nobody else in it; her home is
``/home/you`` (in what programs print). What a page shows as output must come, with ``…`` standing for anything.
"""

import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

from torrentlite.cli.arguments import parse

from .pages import ROOT, Block, blocks, has_dht, needs

PATIENCE = 60.0
ADDRESS = "192.168.1.20"

_STAY = ("tl seed", "tl stream", "tl dht node")
_INSIDE = {
    "in trio": """
import trio
import torrentlite as tl


async def _main():
{body}


trio.run(_main)
""",
    "in asyncio": """
import asyncio


async def _main():
{body}


asyncio.run(_main())
""",
    "in a session": """
import pathlib
import trio
import torrentlite
import torrentlite as tl


async def _main():
    async with tl.open_session(tl.Settings(dht=False)) as session:
        torrent = session.add(await tl.create({path!r}), save_to=".")
        await torrent.wait_complete()
{body}


trio.run(_main)
""",
}


class Player:
    """A reader at her machine."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.magnet = ""
        self.staying: list[subprocess.Popen] = []
        self.environment = {
            **{name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ},
            "PATH": os.pathsep.join([str(folder / ".bin"), os.path.dirname(sys.executable), os.environ["PATH"]]),
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "COLUMNS": "200",
        }
        (folder / ".bin").mkdir()
        tl = folder / ".bin" / "tl"
        tl.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m torrentlite "$@"\n')
        tl.chmod(0o755)

    def prepare(self, text: str) -> None:
        wanted = needs(text)
        if has_dht(text):
            self.environment["TL_BOOTSTRAP"] = f"{ADDRESS}:7001"
            for port in (7001, 7002):
                self.stay(f"tl dht node --listen {ADDRESS}:{port} --state-dir {self.folder}/.node{port}")
        for number, (name, size) in enumerate(wanted["files"].items()):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(size))
        for name, size in wanted["web"].items():
            (self.folder / name).write_bytes(random.Random(f"web {name}").randbytes(size))
        if wanted["web"]:
            shutil.copytree(self.folder, self.folder / ".web")
            self.stay(f"{shlex.quote(sys.executable)} -m tests.docs.web .web")
        for number, (name, size) in enumerate(wanted["shared"].items()):
            name, _, inside = name.partition(":")
            data = self.folder / ".neighbour" / (inside or pathlib.Path(name).stem)
            data.parent.mkdir(parents=True, exist_ok=True)
            data.write_bytes(random.Random(f"shared {number}").randbytes(size))
            top = self.folder / ".neighbour" / data.relative_to(self.folder / ".neighbour").parts[0]
            self.run(f"tl create {top} -O {name}")
            self.stay(f"tl seed {top} --state-dir {self.folder}/.neighbour/state --listen 0")

    def play(self, block: Block) -> None:
        said = block.said
        if {"not run", "demo", "test"} & {*said} or block.language in ("", "text", "json"):
            return
        if "first" in said:
            self.run(said["first"])
        code = int(said.get("exit", 0))
        if block.language == "console":
            self.console(block.text, code)
        elif block.language == "sh":
            self.run(f"set -e\n{block.text}", code=code)
        elif block.language == "python":
            self.python(block.text, next((around for name, around in _INSIDE.items() if name in said), ""))
        elif block.language == "ini":
            (command,) = re.findall(r"^ExecStart=(.*)$", block.text, re.M)
            program, *words = shlex.split(command)
            assert (pathlib.Path(program).name, parse(words).command) == ("tl", words[0])
        elif block.language == "toml":
            self.config(block.text)
        else:
            raise AssertionError(f"who can play {block.language!r}?")

    def console(self, text: str, code: int) -> None:
        """``$ command`` and, below it, what it prints."""
        lines = text.replace("\\\n", "").splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        if not starts:  # only what is printed: of a command that is told of in words
            return
        for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
            line = lines[start][2:]
            shown = [line for line in lines[start + 1 : stop] if line.strip()]
            line = re.sub(
                r"magnet:\?x[ts]=urn:bt(?:ih|pk):[^'\" ]*…[^'\" ]*|magnet:…", self.magnet.replace("\\", r"\\"), line
            )
            assert "…" not in line, f"what is to be typed? {line}"
            printed = (
                self.stay(line, len(shown))
                if line.startswith(_STAY)
                else self.run(line, code=code if stop == len(lines) else 0)
            )
            for each in shown:
                pattern = ".*".join(map(re.escape, each.split("…")))
                assert re.search(f"^{pattern}\\s*$", printed, re.M), (
                    f"{line}\nshould print\n{each}\nand printed\n{printed}"
                )

    def run(self, line: str, *, code: int = 0) -> str:
        printed = self._to_the_end(["bash", "-c", line], line, code)
        self._remember(printed)
        return printed

    def _to_the_end(self, command: list[str], what: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        printed = self._seen(done.stdout)
        assert done.returncode == code, f"{what}\nended with {done.returncode}:\n{printed}"
        return printed

    def stay(self, line: str, lines: int = 1) -> str:
        """Something that goes on until the page ends; returns its first lines, of which there are so many."""
        errors = self.folder / f".errors{len(self.staying)}"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        self.staying.append(process)
        printed = "".join(process.stdout.readline() for _ in range(lines or 1))  # of a server too: then it listens
        assert printed, f"{line}\nprinted nothing; {errors.read_text()}"
        self._remember(printed)
        return self._seen(printed)

    def python(self, text: str, around: str) -> None:
        if around:
            path = next((path.name for path in self.folder.iterdir() if not path.name.startswith(".")), "")
            deep = " " * (8 if "open_session" in around else 4)
            text = around.format(body=textwrap.indent(text, deep), path=path)
        self._to_the_end([sys.executable, "-W", "error", "-c", text], text)

    def config(self, text: str) -> None:
        path = self.folder / ".config" / "torrentlite" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        try:
            self.run(f"tl magnet {'0' * 40} >/dev/null")  # not --help, which answers whatever the file says
        finally:
            path.unlink()

    def leave(self) -> None:
        for process in self.staying:
            process.send_signal(signal.SIGINT)
        for process in self.staying:
            assert process.wait(PATIENCE) == 0, process.args
            process.stdout.close()

    def _seen(self, text: str) -> str:
        return text.replace(str(self.folder), "/home/you")

    def _remember(self, printed: str) -> None:
        found = re.findall(r"^magnet:\S+", printed, re.M)
        self.magnet = found[-1] if found else self.magnet


def enter() -> None:
    """A network of our own: loopback, a cable that leads nowhere, and the names of two web servers."""
    for words in (
        "link set lo up",
        "link add eth0 type veth peer name wall",
        f"addr add {ADDRESS}/24 dev eth0",
        "link set eth0 up",
        "link set wall up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    with tempfile.NamedTemporaryFile("w", delete=False) as hosts:
        hosts.write(f"127.0.0.1 localhost\n{ADDRESS} host mirror\n")
    subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)  # in our mount namespace only
    os.unlink(hosts.name)


def main() -> None:
    page = pathlib.Path(sys.argv[1])
    text = page.read_text()
    enter()
    with tempfile.TemporaryDirectory() as folder:
        player = Player(pathlib.Path(folder))
        try:
            player.prepare(text)
            for block in blocks(text):
                began = time.monotonic()
                try:
                    player.play(block)
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    sys.exit(f"{page.name}:{block.line}: {error}")
                print(f"{page.name}:{block.line} {block.language} {time.monotonic() - began:.1f} s", flush=True)
            player.leave()
        finally:
            for process in player.staying:
                if process.poll() is None:
                    process.kill()
                    process.wait()


if __name__ == "__main__":
    main()
