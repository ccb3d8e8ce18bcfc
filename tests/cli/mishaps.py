"""What goes wrong first for somebody new, made to happen for real, and what ``tl`` says to it.

``docs/errors.md`` is made of this by ``tools/errors_page``; ``test_mishaps.py`` compares.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import os
import pathlib
import random
import re
import shlex
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Final

from torrentlite.cli.main import main
from torrentlite.metainfo.build import build_info, build_metainfo

HASH: Final = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a"
_NOBODY: Final = 65534

Prepare = Callable[["Scene"], object]


@dataclasses.dataclass(frozen=True)
class Mishap:
    """One thing that goes wrong.

    Attributes:
        title: in the words of whom it happens to.
        words: the command line after ``tl``; ``{port}`` is the port of the scene's server.
        code: what it leaves with.
        prepare: makes the scene; with a generator, until the run is over.
        variables: of the environment.
    """

    title: str
    words: str
    code: int
    prepare: Prepare = lambda scene: None
    variables: tuple[tuple[str, str], ...] = ()


class Scene:
    """A folder in which it happens."""

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.port = 0
        self.stack = stack

    def file(self, name: str, size: int = 100_000, seed: int = 1) -> None:
        """A file of random bytes."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(seed).randbytes(size))

    def torrent(self, name: str, of: str) -> None:
        """A .torrent of what lies there."""
        run(["create", of, "-O", name, "-q"], self)

    def serve(self, status: int, body: bytes = b"") -> None:
        """An HTTP server that answers everything in this way."""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.stack.callback(server.server_close)
        self.stack.callback(thread.join)
        self.stack.callback(server.shutdown)
        self.port = server.server_port

    def take_port(self) -> None:
        """A port that somebody else has."""
        server = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = server.getsockname()[1]

    def free_port(self) -> None:
        """A port that nobody listens on."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]

    def without_rights(self, name: str) -> None:
        """A folder that may be read, and not written; for root too, until the run is over."""
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o555)
        if os.geteuid() == 0:
            # What is imported late may lie where only root may read.
            import torrentlite.cli.fetch
            import torrentlite.cli.live
            import torrentlite.session  # noqa: F401

            run(["fetch", "x.torrent", "-o", str(self.folder / "warm"), "--timeout", "0.1s", *LOOPBACK], self)
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, _NOBODY, _NOBODY)
            os.seteuid(_NOBODY)
            self.stack.callback(os.seteuid, 0)

    def without_room(self) -> None:
        """A torrent of more than there is room for."""
        length = max(1 << 40, 2 * shutil.disk_usage(self.folder).free)
        piece = 16 << 20
        info = build_info(b"big.bin", [([], length)], piece_length=piece, pieces=bytes(20 * -(-length // piece)))
        (self.folder / "big.torrent").write_bytes(build_metainfo(info).encode())


LOOPBACK: Final = ("--listen", "127.0.0.1:0")


def _typo(scene: Scene) -> None:
    scene.file("ubuntu.torrent", 100)


def _movie(scene: Scene) -> None:
    scene.file("movie.mp4")


def _shared(scene: Scene) -> None:
    scene.file("x.bin")
    scene.torrent("x.torrent", "x.bin")


def _in_the_way(scene: Scene) -> None:
    _shared(scene)
    scene.file("x.bin", seed=2)


def _locked(scene: Scene) -> None:
    _shared(scene)
    (scene.folder / "x.bin").unlink()
    scene.without_rights("locked")


def _busy_port(scene: Scene) -> None:
    _movie(scene)
    scene.take_port()


def _bad_config(scene: Scene) -> None:
    path = scene.folder / ".config/torrentlite/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('down = "2M"\nouptut = "~/Downloads"\n')


MISHAPS: Final = (
    Mishap("The name is misspelt", "fetch ubunut.torrent", 4, _typo),
    Mishap("The command is forgotten", "ubuntu.torrent", 2, _typo),
    Mishap("The command is misspelt", "fecth ubuntu.torrent", 2, _typo),
    Mishap("A flag is misspelt", "fetch ubuntu.torrent --ouput films", 2, _typo),
    Mishap("A rate in bits", "fetch ubuntu.torrent -d 2Mb", 2, _typo),
    Mishap("The file is no torrent", "fetch movie.mp4", 4, _movie),
    Mishap("The magnet link is cut short", "fetch 'magnet:?xt=urn:btih:c12fe1c06bba254a'", 4),
    Mishap("The info-hash is cut short", "fetch c12fe1c06bba254a9dc9f519b335aa7c1367a8", 4),
    Mishap("What is to be shared is misspelt", "seed movei.mp4", 5, _movie),
    Mishap("There is nothing to share", "seed empty", 4, lambda scene: (scene.folder / "empty").mkdir()),
    Mishap("The data is not where it was said to be", "verify x.torrent Downloads", 5, _shared),
    Mishap("--select names no file", "fetch x.torrent -s 3", 2, _shared),
    Mishap(
        "The web server has no such file", "fetch http://127.0.0.1:{port}/x.torrent", 4, lambda scene: scene.serve(404)
    ),
    Mishap("The web server is in trouble", "fetch http://127.0.0.1:{port}/x.torrent", 7, lambda s: s.serve(503)),
    Mishap("There is no web server", "fetch http://127.0.0.1:{port}/x.torrent", 7, Scene.free_port),
    Mishap("The port is in use", "seed movie.mp4 --listen 127.0.0.1:{port}", 7, _busy_port),
    Mishap("There is no such network interface", f"fetch {HASH} --interface wg0", 7),
    Mishap("Nobody has it", f"fetch {HASH} --timeout 1s", 3),
    Mishap("The peer that was named is not there", f"fetch {HASH} --peer 127.0.0.1:{{port}} --timeout 1s", 3, Scene.free_port),
    Mishap(
        "The tracker refuses",
        f"fetch {HASH} -t http://127.0.0.1:{{port}}/announce --timeout 1s",
        3,
        lambda scene: scene.serve(200, b"d14:failure reason22:this torrent is bannede"),
    ),
    Mishap("The disk is full", "fetch big.torrent", 5, Scene.without_room),
    Mishap("The folder may not be written", "fetch x.torrent -o locked", 5, _locked),
    Mishap("The folder is a file", "fetch x.torrent -o x.bin", 5, _shared),
    Mishap("A different file is in the way", "fetch x.torrent", 5, _in_the_way),
    Mishap("What is to be shared was changed", "seed x.torrent", 6, _in_the_way),
    Mishap("config.toml has a mistake", "fetch x.torrent", 2, _bad_config),
    Mishap("A variable has a mistake", "fetch x.torrent", 2, variables=(("TL_TIMEOUT", "soon"),)),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Said:
    """How a run ended."""

    code: int
    out: str
    err: str


def happen(mishap: Mishap) -> Said:
    """Make it happen in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tl-mishap-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        stack.callback(os.chdir, os.getcwd())  # the last thing: whom the scene has made us may not go there
        scene = Scene(folder, stack)
        mishap.prepare(scene)
        words = shlex.split(mishap.words.replace("{port}", str(scene.port)))
        # The network is left alone; that flag is not what it is about.
        if words[0] in ("fetch", "seed") and "--listen" not in words:
            words += LOOPBACK
        said = run(words, scene, dict(mishap.variables))
        return dataclasses.replace(said, err=_anywhere(said.err, scene))


def run(words: list[str], scene: Scene, variables: dict[str, str] | None = None) -> Said:
    """Run ``tl`` inside this process, with an environment and with streams of its own."""
    before = {key: value for key, value in os.environ.items() if not key.startswith("TL_")}
    home = {"HOME": str(scene.folder), "XDG_CONFIG_HOME": str(scene.folder / ".config")}
    home["XDG_STATE_HOME"] = str(scene.folder / ".state")
    home |= {f"TL_{name}": "1" for name in ("NO_DHT", "NO_LSD", "NO_PORT_MAP")}
    with contextlib.ExitStack() as stack:
        everything = dict(os.environ)
        stack.callback(os.environ.update, everything)
        stack.callback(os.environ.clear)
        os.environ.clear()
        os.environ.update(before | home | (variables or {}))
        os.chdir(scene.folder)
        out, err = stack.enter_context(_captured(1)), stack.enter_context(_captured(2))
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        return Said(code, out(), err())


@contextlib.contextmanager
def _captured(descriptor: int) -> Iterator[Callable[[], str]]:
    """What is written to a descriptor, and to Python's stream of it."""
    name = {1: "stdout", 2: "stderr"}[descriptor]
    stream, saved = getattr(sys, name), os.dup(descriptor)
    stream.flush()
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), descriptor)
        setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))

        def text() -> str:
            file.seek(0)
            return file.read().decode()

        try:
            yield text
        finally:
            getattr(sys, name).close()
            setattr(sys, name, stream)
            os.dup2(saved, descriptor)
            os.close(saved)


def _anywhere(text: str, scene: Scene) -> str:
    """Without what is different on each machine and in each run."""
    text = text.replace(str(scene.folder / ".config"), "~/.config").replace(f"{scene.folder}/", "")
    text = text.replace(str(scene.folder), "/home/you")
    text = re.sub(rf"\b{scene.port}\b", "6969", text) if scene.port else text
    text = re.sub(r"(?<=: )[\d.]+ \w+ needed, [\d.]+ \w+ free", "1.00 TiB needed, 78.3 GiB free", text)
    text = re.sub(r"(?<=    there are: ).*", "lo, eth0", text)
    return text.replace(f" {' '.join(LOOPBACK)}", "")


def page() -> str:
    """``docs/errors.md``."""
    lines = [
        "# What goes wrong first, and what to do",
        "",
        "Every error says what, why, and what to do, in up to three lines on stderr. These are real runs, each of which is",
        "repeated by the tests (`tests/cli/mishaps.py`); `tools/errors_page` writes this page.",
        "",
        "<!-- recorded by: tests/cli/test_mishaps.py -->",
    ]
    for mishap in MISHAPS:
        said = happen(mishap)
        command = mishap.words.replace("{port}", "6969")
        before = "".join(f"{name}={value} " for name, value in mishap.variables)
        lines += ["", f"## {mishap.title}", "", "```console", f"$ {before}tl {command}", *said.err.splitlines(), "```"]
        lines += ["", f"Exit code {said.code}."]
    return "\n".join(lines) + "\n"
