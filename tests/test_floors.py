"""The house has floors: imports go down, and what touches the outside lives in named files."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "torrentlite"

# A longer prefix wins. Floors 0 and 1 are pure.
FLOORS = {
    "torrentlite.errors": 0,
    "torrentlite.limits": 0,
    "torrentlite.settings": 0,
    "torrentlite.stats": 0,
    "torrentlite.events": 0,
    "torrentlite.bencode": 0,
    "torrentlite.wire": 0,
    "torrentlite.metainfo": 0,
    "torrentlite.strategy": 1,
    "torrentlite.net": 2,
    "torrentlite.storage": 2,
    "torrentlite.tracker": 2,
    "torrentlite.dht": 2,
    "torrentlite.utp": 2,
    "torrentlite.loops": 2,
    "torrentlite.swarm": 3,
    "torrentlite.session": 4,
    "torrentlite.httpfiles": 4,
    "torrentlite.loading": 4,
    "torrentlite.making": 4,
    "torrentlite.verifying": 4,
    "torrentlite.checksum": 4,
    "torrentlite.given": 4,
    "torrentlite.ahead": 4,
    "torrentlite.values": 4,
    "torrentlite.aio": 5,
    "torrentlite.blocking": 5,
    "torrentlite.filesystem": 5,
    "torrentlite.cli": 5,
    "torrentlite.tui": 5,
    "torrentlite.__main__": 5,
    "torrentlite.testing": 6,
    "torrentlite": 0,  # the package itself: a version and lazy names
}

# storage and net do not know each other; tracker may use net.
STRANGERS = {("torrentlite.storage", "torrentlite.net"), ("torrentlite.net", "torrentlite.storage"),
             ("torrentlite.storage", "torrentlite.tracker"), ("torrentlite.net", "torrentlite.tracker"),
             ("torrentlite.tracker", "torrentlite.storage"), ("torrentlite.aio", "torrentlite.blocking"),
             ("torrentlite.blocking", "torrentlite.aio"), ("torrentlite.cli", "torrentlite.aio"),
             ("torrentlite.cli", "torrentlite.blocking")}  # fmt: skip

# Modules that reach outside, and pure names of them that a pure floor may use all the same.
OUTSIDE = {"trio", "socket", "ssl", "threading", "time", "subprocess", "asyncio", "select", "selectors", "os", "io",
           "shutil", "tempfile", "random", "secrets", "pathlib", "fcntl", "mmap", "httpx2", "httpcore2",
           "signal"}  # fmt: skip
PURE_NAMES = {
    ("torrentlite.settings", "pathlib"): "a Path is only held",
    ("torrentlite.errors", "pathlib"): "a Path is only held",
    ("torrentlite.errors", "os"): "os.PathLike is an argument's type",
    ("torrentlite.events", "pathlib"): "a Path is only held",
    ("torrentlite.strategy", "random"): "random.Random is an argument's type",
}


def modules() -> dict[str, pathlib.Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def floor_of(module: str) -> int:
    return FLOORS[max((prefix for prefix in FLOORS if module == prefix or module.startswith(prefix + ".")), key=len)]


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(name: str, path: pathlib.Path) -> list[str]:
    """The modules that this one imports, type-checking ones and lazy ones included."""
    is_package = path.name == "__init__.py"
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = name.split(".")[
                    : None if is_package and node.level == 1 else -node.level + (1 if is_package else 0)
                ]
                stem = ".".join(base + ([node.module] if node.module else []))
            else:
                stem = node.module or ""
            known = modules()
            found += [f"{stem}.{alias.name}" if f"{stem}.{alias.name}" in known else stem for alias in node.names]
    return found


MODULES = modules()


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name):
    if name == "torrentlite":
        return
    for target in imports(name, MODULES[name]):
        if not target.startswith("torrentlite"):
            continue
        assert floor_of(target) <= floor_of(name), f"{name} imports {target}, which lives above it"
        if floor_of(target) == floor_of(name) and package_of(target) != package_of(name):
            assert (package_of(name), package_of(target)) not in STRANGERS, f"{name} should not know {target}"
        assert not target.startswith("torrentlite.testing") or name.startswith("torrentlite.testing")


@pytest.mark.parametrize("name", [name for name in MODULES if floor_of(name) <= 1 and name != "torrentlite"])
def test_low_floors_are_pure(name):
    for target in imports(name, MODULES[name]):
        top = target.split(".")[0]
        if top in OUTSIDE:
            allowed = any(
                (name == place or name.startswith(place + ".")) and top == module for place, module in PURE_NAMES
            )
            assert allowed, f"{name} is pure and must not import {top}"


# Parts of the DHT node that have to do with tasks, sockets or files; the rest is pure, as on the floors below.
IMPURE_DHT = {f"torrentlite.dht.{name}" for name in ("node", "opening", "peersearch", "statefile")}


def test_the_dht_is_pure_but_for_its_rim():
    reaching = set()
    for name, path in MODULES.items():
        if name.startswith("torrentlite.dht"):
            targets = imports(name, path)
            outside = {target.split(".")[0] for target in targets} & (OUTSIDE - {"random"})
            if outside or any(target.startswith(("torrentlite.net", "torrentlite.storage")) for target in targets):
                reaching.add(name)
    assert reaching - {"torrentlite.dht"} == IMPURE_DHT


def test_sockets_are_made_at_the_door_only():
    for name, path in MODULES.items():
        if name.startswith(("torrentlite.net", "torrentlite.testing", "torrentlite.cli")):
            continue
        text = path.read_text(encoding="utf-8")
        for word in ("socket.socket(", "open_tcp_stream", "open_tcp_listeners", "open_ssl_over_tcp", "getaddrinfo("):
            assert word not in text, f"{name} reaches the network past its door: {word}"


def test_files_stay_small():
    for name, path in MODULES.items():
        if name == "torrentlite.limits":  # a table
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 500, f"{name} has {lines} lines: which of its parts is a noun of its own?"
