"""Three faces, one API: what ``torrentlite`` offers, ``aio`` and ``blocking`` offer too, with the same arguments."""

import inspect
import io
import pkgutil
import pydoc

import pytest
from aiofiles.threadpool.binary import AsyncBufferedReader

import torrentlite as tl
from torrentlite import aio, blocking

FUNCTIONS = ("create", "fetch", "load", "open_session", "verify")
FACES = pytest.mark.parametrize("face", [aio, blocking], ids=["aio", "blocking"])
CLASSES = pytest.mark.parametrize("name", ["Session", "Torrent"])


def public(cls):
    """The public names of a class of the library, also of those that it builds on, and what stands behind them."""
    return {name: inspect.getattr_static(cls, name) for name in dir(cls) if not name.startswith("_")}


def parameters(function):
    return [
        (each.name, each.kind, each.default, str(each.annotation).replace("TorrentT", "Torrent"))
        for each in inspect.signature(function).parameters.values()
        if each.name not in ("self", "face", "session")
    ]


def is_wait(member):
    """Async, or what is used in ``async with``."""
    if member is tl.Torrent.open:
        return True
    return inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(inspect.unwrap(member))


@FACES
def test_the_same_public_names(face):
    own = {"EventStream"} if face is aio else {"Events"}
    parts = {module.name for module in pkgutil.iter_modules(face.__path__)}
    names = {name for name in vars(face) if not name.startswith("_")} - parts - {"annotations"}
    assert names == set(tl.__all__) - {"__version__"} | own
    changed = {*FUNCTIONS, "Session", "Torrent", "Reader"}
    for name in names - own:
        assert (getattr(face, name) is getattr(tl, name)) is (name not in changed), name


@FACES
def test_import_all_gives_these_names_and_no_module(face):
    got = {}
    exec(f"from {face.__name__} import *", got)
    del got["__builtins__"]
    own = {"EventStream"} if face is aio else {"Events"}
    assert got.keys() == set(tl.__all__) - {"__version__"} | own
    assert len(face.__all__) == len(got)
    assert [name for name, value in got.items() if inspect.ismodule(value)] == []


@FACES
def test_pydoc_shows_them(face):
    text = pydoc.plain(pydoc.render_doc(face))
    for name in FUNCTIONS:
        assert f"{name}(" in text
    assert "class Settings(" in text


@FACES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_same_arguments(face, name):
    ours, theirs = getattr(tl, name), getattr(face, name)
    assert parameters(theirs) == parameters(ours)
    assert inspect.getdoc(theirs)
    if face is aio:
        assert is_wait(theirs) or inspect.iscoroutinefunction(inspect.unwrap(theirs))
    else:
        assert not inspect.iscoroutinefunction(theirs)


@FACES
@CLASSES
def test_classes_have_the_same_members(face, name):
    ours, theirs = public(getattr(tl, name)), public(getattr(face, name))
    assert set(theirs) == set(ours)
    for member in theirs:
        assert inspect.getdoc(getattr(getattr(face, name), member)), f"{name}.{member}"


@CLASSES
def test_what_waits_is_made_for_asyncio_and_the_rest_is_the_librarys_own(name):
    ours, theirs = public(getattr(tl, name)), public(getattr(aio, name))
    for member, function in ours.items():
        assert (theirs[member] is not function) is is_wait(function), f"{name}.{member}"
        if is_wait(function):
            assert parameters(theirs[member]) == parameters(function)
            if name == "Torrent" and member != "open":
                assert inspect.getdoc(theirs[member]) == inspect.getdoc(function), f"{name}.{member}"


@FACES
def test_a_reader_reads_as_the_librarys_own(face):
    """Each is what its users expect of a file: aiofiles' handle, ``io.RawIOBase``; and no name means something else."""
    for member in ("read", "readinto", "seek", "tell", "size"):
        assert hasattr(face.Reader, member)
        assert hasattr(tl.Reader, member)
    assert issubclass(face.Reader, AsyncBufferedReader if face is aio else io.RawIOBase)
    if face is aio:
        for member in public(AsyncBufferedReader):
            function = getattr(face.Reader, member)
            if (member.startswith("read") and member != "readable") or member == "peek":
                assert function.__module__ == "torrentlite.aio.reader", f"{member} would not wait for what it reads"


@CLASSES
def test_what_waits_takes_a_timeout_without_a_loop_and_the_rest_is_as_it_was(name):
    ours, theirs = public(getattr(tl, name)), public(getattr(blocking, name))
    for member, function in theirs.items():
        original = ours[member]
        where = f"{name}.{member}"
        if isinstance(original, property):
            assert not callable(function), where
            assert inspect.getdoc(function) == inspect.getdoc(original), where
        elif member.startswith("wait_") or member in ("open", "publish"):
            added = [each for each in parameters(function) if each not in parameters(original)]
            assert [(each[0], each[2]) for each in added] == [("timeout", None)], where
            assert "TimeoutError" in inspect.getdoc(function), where
        else:
            assert parameters(function) == parameters(original), where
            assert not is_wait(function), where
        if callable(function):
            assert inspect.signature(function).return_annotation is not inspect.Signature.empty
