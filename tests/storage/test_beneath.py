from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import threading

import pytest

from torrentlite import limits
from torrentlite.storage import platform
from torrentlite.storage.beneath import Beneath
from torrentlite.storage.platform import flush_all

pytestmark = pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="needs openat")


class Counted:
    """Counts the openings of folders, and of what is open the most at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = self.open = self.most = 0
        for name in ("open_root", "open_folder", "close_folder"):
            monkeypatch.setattr(platform, name, self._shim(name, getattr(platform, name)))

    def _shim(self, name: str, real):  # type: ignore[no-untyped-def]
        def call(*args: object) -> object:
            result = real(*args)
            self.opened += name != "close_folder"
            self.open += 1 if name != "close_folder" else -1
            self.most = max(self.most, self.open)
            return result

        return call


def make(beneath: Beneath, *path: str) -> None:
    fd = beneath.create(path)
    os.write(fd, b"ours")
    os.close(fd)


def test_each_folder_is_opened_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beneath = Beneath(str(tmp_path / "save"))
    make(beneath, "a", "b", "first")
    counted = Counted(monkeypatch)
    for n in range(10):
        make(beneath, "a", "b", f"{n}.part")
    assert counted.opened == 30
    with beneath.holding():
        for n in range(10):
            assert beneath.stat(("a", "b", f"{n}.part")) is not None
            beneath.rename(("a", "b", f"{n}.part"), ("a", "b", str(n)), replace=False)
    assert counted.opened == 33
    assert counted.open == 0
    assert sorted(os.listdir(tmp_path / "save" / "a" / "b")) == [*map(str, range(10)), "first"]


def test_no_more_are_held_than_may_be(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_FOLDERS", 5)
    beneath = Beneath(str(tmp_path / "save"))
    counted = Counted(monkeypatch)
    with beneath.holding():
        for n in range(40):
            make(beneath, f"{n % 20}", f"{n % 3}", f"{n}")
        beneath.rename(("0", "0", "0"), ("1", "2", "new", "0"), replace=False)  # two at a time, while it is full
    assert counted.open == 0
    assert counted.most <= 8
    assert (tmp_path / "save" / "1" / "2" / "new" / "0").read_bytes() == b"ours"


@pytest.mark.parametrize("what", ["another folder", "a link to outside", "nothing", "a file"])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("checked", [True, False], ids=["checked", "control"])
def test_a_folder_that_is_replaced_meanwhile(
    tmp_path: pathlib.Path, what: str, depth: int, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written then goes nowhere else, and whoever wrote it is told that it is not here."""
    if not checked:
        monkeypatch.setattr(Beneath, "_check_held", lambda self, held: None)
    save, outside = tmp_path / "save", tmp_path / "outside"
    outside.mkdir()
    beneath = Beneath(str(save))
    make(beneath, "a", "b", "first")
    meddled = [save, save / "a", save / "a" / "b"][depth]
    with pytest.raises(OSError) if checked else contextlib.nullcontext() as caught, beneath.holding():
        make(beneath, "a", "b", "second")
        meddled.rename(tmp_path / "moved")
        if what == "another folder":
            (meddled / "b").mkdir(parents=True)
        elif what == "a link to outside":
            meddled.symlink_to(outside)
        elif what == "a file":
            meddled.write_bytes(b"")
        make(beneath, "a", "b", "third")
    if checked:
        assert caught.value.errno in (errno.ESTALE, errno.ENOENT, errno.ENOTDIR)
    assert os.listdir(outside) == []
    assert (tmp_path / "moved").joinpath(*("a", "b")[depth:], "third").read_bytes() == b"ours"
    with pytest.raises(OSError):
        os.close(beneath.open(("a", "b", "third"), os.O_RDONLY).fd)


def test_a_thread_holds_for_itself(tmp_path: pathlib.Path) -> None:
    beneath = Beneath(str(tmp_path))
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for n in range(50):
                with beneath.holding():
                    make(beneath, "a", name, str(n))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[str(n % 3) + "x" * n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sum(len(files) for _, _, files in os.walk(tmp_path)) == 300


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_flushing_many_says_of_each_what_went_wrong(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []

    def flush(fd: int) -> None:
        flushed.append(fd)
        if fd % 7 == 0:
            raise OSError(errno.EIO, f"{fd}")

    monkeypatch.setattr(platform, "flush", flush)
    errors = flush_all(range(100, 140), threads)
    assert sorted(flushed) == list(range(100, 140))
    assert [str(error.strerror) if error else "" for error in errors] == [
        str(fd) if fd % 7 == 0 else "" for fd in range(100, 140)
    ]
    assert flush_all([], threads) == []
    before = threading.stack_size(1 << 46)  # larger than all memory there is: none can be started
    try:
        assert [error is None for error in flush_all(range(100, 140), threads)] == [
            fd % 7 != 0 for fd in range(100, 140)
        ]
    finally:
        threading.stack_size(before)
