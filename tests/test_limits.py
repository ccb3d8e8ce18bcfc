"""The table of limits is whole: each has its reason, is used, and has a test (or a fuzz target) that goes to its edge.

A new limit without a test fails here. A test names the limit that it is about, so whoever changes a number in
``limits.py`` changes the tests with it; a number of our own that only looks like the limit would go on passing.
"""

from __future__ import annotations

import ast
import functools
import pathlib

import pytest

import torrentlite
from torrentlite import limits

PACKAGE = pathlib.Path(torrentlite.__file__).parent
TESTS = pathlib.Path(__file__).parent
TABLE = ast.parse((PACKAGE / "limits.py").read_text())
NAMES = [node.target.id for node in TABLE.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]

PACES = {
    "how often and how long we ourselves do a thing, whatever others do": (
        "DHT_ALONE DHT_GOOD_FOR DHT_ID_LIFE DHT_JOIN_RETRY DHT_REACHABLE_FOR DHT_READ_ONLY_FOR DHT_REFRESH "
        "DHT_ROUTERS_AFTER DHT_SAVE_INTERVAL DHT_SAVE_TIMEOUT DHT_SEARCH_AGAIN DHT_SEARCH_TIMEOUT DHT_SELF_LOOKUP "
        "DHT_UPKEEP DHT_WAY_BACK INTERFACE_CHECK KNOCK_TIMEOUT LEAVE_TIMEOUT LSD_INTERVAL MAP_REPEATS MAP_SEARCHES PEER_TICK PROGRESS_INTERVAL "
        "RESTART_PAUSE RETRY_STEP SIMULTANEOUS UDP_RETRANSMIT URGENT_ALONE UTP_PATIENCE UTP_TICK WEB_SEED_REST WEB_SEED_TIME WEB_SEED_TURN"
    ),
    "how much we ask for, read or keep at a time: a size that was measured to be a good one": (
        "CHECKERS CHECK_BATCH DHT_FEW_PEERS DHT_FIRST_BUCKETS DHT_TRANSACTION DISK_THREADS DOWNLOAD_BURST FLUSH_THREADS "
        "FLUSH_TOGETHER HTTP_READ MOST_IN_VAIN_ASKED QUOTA_PIECES READ_BUFFERS_KEPT READ_NEAR READ_STEP UPLOAD_BATCH_SECONDS "
        "UDP_BUFFER URGENT_TRUST WEB_SEED_BUFFER WEB_SEED_FIRST WEB_SEED_FORWARD WEB_SEED_LEAST WEB_SEED_RANGE"
    ),
}
"""What is a choice and no bound on others: a test may well name it, but need not."""


def _free() -> list[str]:
    return [name for names in PACES.values() for name in names.split()]


@functools.cache
def named_in(folder: pathlib.Path) -> frozenset[str]:
    """The limits that code in a folder reads or sets (``monkeypatch``): not those in comments, texts and imports alone."""
    found = set()
    for path in folder.rglob("*.py"):
        if path in (PACKAGE / "limits.py", pathlib.Path(__file__)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
                found.update(str(arg.value).rpartition(".")[2] for arg in node.args if isinstance(arg, ast.Constant))
    return frozenset(found) & frozenset(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_used(name: str) -> None:
    assert name in named_in(PACKAGE)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in _free()])
def test_it_has_a_test_at_its_edge(name: str) -> None:
    assert name in named_in(TESTS), f"no test reads limits.{name}: write one for the value and for one more"


def test_what_needs_no_test_of_its_own_is_no_bound() -> None:
    free = _free()
    assert len(free) == len(set(free))
    assert set(free) <= set(NAMES)
    assert not [name for name in free if "MAX" in name.split("_")]


def test_each_has_its_reason_and_cannot_be_assigned() -> None:
    """The docstring below it; of several in a row the last one's speaks for all."""
    for node, after in zip(TABLE.body, [*TABLE.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            assert ast.unparse(node.annotation) == "Final"
            assert isinstance(after, ast.AnnAssign) or (
                isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and len(after.value.value) > 20
            ), ast.unparse(node)


def test_each_is_a_number_above_zero() -> None:
    for name in NAMES:
        value = getattr(limits, name)
        for number in value if isinstance(value, tuple) else (value,):
            assert isinstance(number, int | float)
            assert number > 0, name


def test_control_a_limit_that_no_test_names_is_noticed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_x.py").write_text('"""MAX_BLOCK"""\nfrom torrentlite.limits import MAX_BLOCK  # MAX_BLOCK\n')
    assert named_in(tmp_path) == frozenset()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "test_y.py").write_text("print(limits.MAX_BLOCK)\n")
    assert named_in(tmp_path / "two") == {"MAX_BLOCK"}
