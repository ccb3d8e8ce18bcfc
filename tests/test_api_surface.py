"""The public names: all there, all described, and of the kind that their name promises."""

import ast
import dataclasses
import enum
import inspect
import itertools
import pathlib
import re
import subprocess
import sys
import typing

import pytest

import torrentlite as tl
from torrentlite import errors, events, settings, stats
from torrentlite.swarm.eventstream import EventStream

SOURCE = pathlib.Path(tl.__file__).parent

WISHES = {
    "pause",
    "resume",
    "recheck",
    "select_files",
    "add_peer",
    "add_tracker",
    "add_web_seed",
    "announce",
    "set_limits",
    "set_sequential",
    "prioritize",
    "open",
}
WAITS = {"wait_info", "wait_metadata", "wait_checked", "wait_complete", "wait_copies"}
LOOKS = {"stats", "peers", "files", "pieces", "trackers", "web_seeds", "sources", "paths", "why"}
FACTS = {"name", "info_hash", "hashes", "metainfo", "magnet", "save_to", "state", "error", "sequential"}


def test_every_public_name_can_be_had():
    for name in tl.__all__:
        assert getattr(tl, name) is not None
    assert set(tl.__all__) <= set(dir(tl))
    promised = {
        "open_session",
        "create",
        "load",
        "fetch",
        "verify",
        "Session",
        "Torrent",
        "Settings",
        "Metainfo",
        "Magnet",
    }
    assert promised <= set(tl.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tl.nothing  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names():
    blocks = [block.body for block in ast.parse((SOURCE / "__init__.py").read_text()).body if isinstance(block, ast.If)]
    blocks.append(ast.parse((SOURCE / "values.py").read_text()).body)
    imports = [
        statement
        for block in blocks
        for statement in block
        if isinstance(statement, ast.ImportFrom) and statement.module != "__future__"
    ]
    seen = [alias.asname for statement in imports for alias in statement.names if alias.name != "*"]
    assert sorted(map(str, seen)) == sorted(set(tl.__all__) - {"__version__"})


def public(cls):
    return [(name, member) for name, member in vars(cls).items() if not name.startswith("_")]


@pytest.mark.parametrize("name", sorted(set(tl.__all__) - {"__version__", "Event"}))
def test_everything_public_is_described_and_annotated(name):
    thing = getattr(tl, name)
    assert inspect.getdoc(thing), name
    members = [("", thing)] if inspect.isfunction(thing) else public(thing)
    for member_name, member in members:
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not inspect.isfunction(inspect.unwrap(function)):
            continue
        where = f"{name}.{member_name}"
        assert inspect.getdoc(function), where
        signature = inspect.signature(inspect.unwrap(function))
        assert signature.return_annotation is not inspect.Signature.empty, where
        for parameter in list(signature.parameters.values()):
            if parameter.name not in ("self", "cls"):
                assert parameter.annotation is not inspect.Parameter.empty, f"{where}: {parameter.name}"


def classes_in(hint):
    return [hint] if inspect.isclass(hint) else [cls for part in typing.get_args(hint) for cls in classes_in(part)]


@pytest.mark.parametrize("name", sorted(set(tl.__all__) - {"__version__", "Event"}))
def test_what_is_public_gives_what_is_public(name):
    """Who gets something of our inside holds on to it, and it could not be changed any more."""
    thing = getattr(tl, name)
    offered = [getattr(tl, other) for other in tl.__all__]
    offered.append(EventStream)  # "async for", and that is all
    for member_name, member in [("", thing)] if inspect.isfunction(thing) else public(thing):
        function = inspect.unwrap(member.fget if isinstance(member, property) else getattr(member, "__func__", member))
        if inspect.isfunction(function):
            for cls in classes_in(typing.get_type_hints(function)["return"]):
                assert not cls.__module__.startswith("torrentlite") or cls in offered, f"{name}.{member_name}: {cls}"


# Inside the torrent; FileEntry has the parts of one.
INSIDE = {("FileStats", "path"): str, ("FileEntry", "path"): tuple[str, ...]}


def test_paths_on_this_disk_are_paths_and_those_in_the_torrent_are_text():
    found = set()
    for name in tl.__all__:
        thing = getattr(tl, name)
        if not inspect.isclass(thing):
            continue
        kinds = {
            field: typing.get_type_hints(member.fget)["return"]
            for field, member in public(thing)
            if isinstance(member, property)
        }
        if not issubclass(thing, Exception):
            kinds |= typing.get_type_hints(thing)
        for field in kinds.keys() & {"path", "paths", "root", "save_to"}:
            found.add((name, field))
            on_disk = (pathlib.Path, tuple[pathlib.Path, ...])
            assert kinds[field] == INSIDE[name, field] if (name, field) in INSIDE else kinds[field] in on_disk
    assert found == {
        *INSIDE,
        ("BadFile", "path"),
        ("VerifyReport", "root"),
        ("Completed", "paths"),
        ("Torrent", "save_to"),
    }


def test_a_wish_a_wait_a_look():
    members = dict(public(tl.Torrent))
    for name in WISHES | LOOKS:
        assert not inspect.iscoroutinefunction(members[name]), f"{name} returns at once"
    for name in WAITS:
        assert inspect.iscoroutinefunction(members[name])
        assert "timeout" not in inspect.signature(members[name]).parameters, "time limits are cancel scopes"
    for name in FACTS:
        assert isinstance(members[name], property)
        assert members[name].fset is None
    assert {name for name in members if name.startswith("wait_")} == WAITS


def test_what_a_session_offers():
    members = dict(public(tl.Session))
    assert {"add", "remove", "stats", "set_limits", "torrents", "port"} <= set(members)
    assert not inspect.iscoroutinefunction(members["add"])
    assert inspect.iscoroutinefunction(members["remove"])
    options = inspect.signature(members["add"]).parameters
    assert [name for name, option in options.items() if option.kind is option.KEYWORD_ONLY][:4] == [
        "select", "paused", "sequential", "overwrite",
    ]  # fmt: skip


def test_every_name_of_a_reader_is_in_its_table():
    rows = [line for line in (SOURCE.parent / "docs" / "reading.md").read_text().splitlines() if line.startswith("| `")]
    told = set(re.findall(r"`(?:await )?(\w+)", "".join(row.split("|")[1] for row in rows)))
    assert {name for name, _ in public(tl.Reader)} <= told


def values_of(module):
    own = [cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__]
    return [cls for cls in own if not issubclass(cls, enum.Enum)]


@pytest.mark.parametrize("module", [stats, events])
def test_snapshots_and_events_are_frozen_values(module):
    found = values_of(module)
    assert len(found) >= 7
    for cls in found:
        value = cls._make(range(len(cls._fields)))
        with pytest.raises(AttributeError):
            setattr(value, cls._fields[0], 1)
        with pytest.raises(AttributeError):
            value.anything = 1
        assert getattr(tl, cls.__name__) is cls
        for name, kind in cls.__annotations__.items():
            assert "dict" not in str(kind), f"{cls.__name__}.{name} can be changed"
            assert "list" not in str(kind), f"{cls.__name__}.{name} can be changed"


def test_the_event_type_names_all_events():
    assert set(typing.get_args(tl.Event)) == set(values_of(events))


def test_states_and_reasons_are_words_for_people():
    for kind in (tl.State, tl.Reason):
        assert issubclass(kind, enum.Enum)
        values = [member.value for member in kind]
        assert len(values) == len(set(values))
        assert all(value == value.lower() and value.replace(" ", "").isalpha() for value in values)


def test_every_error_is_a_torrent_error_with_room_for_a_hint():
    kinds = [cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, Exception)]
    assert len(kinds) >= 15
    for kind in kinds:
        assert issubclass(kind, tl.TorrentError)
        error = kind("what happened", hint="what to do")
        assert (str(error), error.hint, kind("x").hint) == ("what happened", "what to do", "")
    assert issubclass(tl.DiskFullError, tl.DiskTroubleError)
    assert issubclass(tl.DiskTroubleError, tl.StorageError)
    assert issubclass(tl.UnsupportedTorrentError, tl.MetainfoError)
    full = tl.DiskFullError("full", errno=28, path="/x")
    assert (full.errno, full.path) == (28, pathlib.Path("/x"))
    assert tl.StorageError("of no file").path is None


def test_settings_are_frozen_described_and_checked():
    chosen = tl.Settings(port=6881, upload_limit=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        chosen.port = 1  # type: ignore[misc]
    assert dataclasses.replace(chosen, port=7).upload_limit == 5
    with pytest.raises(TypeError):
        tl.Settings("127.0.0.1")  # type: ignore[misc]
    for field in dataclasses.fields(tl.Settings):
        if field.type == "int":
            with pytest.raises(ValueError, match=field.name):
                tl.Settings(**{field.name: -1})
    with pytest.raises(ValueError, match="port"):
        tl.Settings(port=65536)
    body = next(n for n in ast.parse(inspect.getsource(settings)).body if isinstance(n, ast.ClassDef)).body
    for statement, after in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign):
            assert isinstance(after, ast.Expr), f"{ast.unparse(statement)} is not described"


def test_the_version_is_one():
    assert tl.__version__.count(".") == 2
    assert all(part.isdigit() for part in tl.__version__.split("."))


@pytest.mark.parametrize("what", ["torrentlite.session", "torrentlite.storage.hashcache", "torrentlite.dht.node"])
def test_nothing_is_printed_where_no_logging_is_set_up(what):
    """Python's handler of last resort would print warnings, and whole tracebacks, to a program's stderr."""
    program = f"import {what}; {what}.log.error('x', exc_info=ValueError('y'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
