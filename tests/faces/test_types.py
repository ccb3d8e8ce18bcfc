"""Programs that use every public name, as mypy --strict sees them: all is typed, and typed as it says."""

import ast
import pathlib
import subprocess
import sys

import pytest

import torrentlite as tl
from torrentlite import aio, blocking

PROGRAMS = pathlib.Path(__file__).parent / "programs"
FACES = {"on_trio": tl, "on_asyncio": aio, "without_loop": blocking}


@pytest.mark.parametrize("program", FACES)
def test_a_program_uses_every_public_name(program):
    """So that the next test says something about all of them."""
    tree = ast.parse((PROGRAMS / f"{program}.py").read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(tl.__all__) - {"__version__"} - used == set()
    for name in ("Session", "Torrent"):
        members = {member for member in dir(getattr(FACES[program], name)) if not member.startswith("_")}
        assert members - used == set(), name


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Runs mypy --strict; the second run finds the first one's cache."""
    cache = tmp_path_factory.mktemp("mypy")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--warn-unreachable",
        "--follow-untyped-imports",  # bencodepy has none; who has us installed is not told of it
        "--config-file",
        "",
        "--cache-dir",
        cache,
    ]
    root = pathlib.Path(tl.__file__).parent.parent
    return lambda *files: subprocess.run([*command, *files], capture_output=True, text=True, cwd=root)


def test_mypy_is_content(mypy):
    done = mypy(*(PROGRAMS / f"{program}.py" for program in FACES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_finds_what_is_wrong(mypy, tmp_path):
    """The test above could pass because everything is Any."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import torrentlite as tl\n"
        "from torrentlite import aio, blocking, dht\n"
        "async def one() -> None:\n"
        "    async with aio.open_session() as session:\n"
        "        session.add('x').wait_metadata(5)\n"
        "        x: int = await aio.load('x')\n"
        "with blocking.open_session() as session:\n"
        "    y: int = session.add('x', nonsense=True).wait_complete(timeout='1')\n"
        "    z: int = session.add('x').name\n"
        "    session.set_limits(5)\n"
        "tl.open_sesion()\n"
        "dht.open_nod()\n"
        "aio.Sesion, blocking.Sesion\n"
        "from torrentlite import Torent\n"
    )
    done = mypy(wrong)
    found = {line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line}
    assert found == {"5", "6", "8", "9", "10", "11", "12", "13", "14"}, done.stdout
