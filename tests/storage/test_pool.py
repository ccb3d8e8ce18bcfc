from __future__ import annotations

import errno
import os
import pathlib
import threading
from collections.abc import Callable

import pytest

from torrentlite import limits
from torrentlite.storage.pool import FilePool, Key


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def opener(path: pathlib.Path, opened: list[int]) -> Callable[[], int]:
    def call() -> int:
        opened.append(1)
        return os.open(path, os.O_RDONLY)

    return call


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def key(number: int) -> Key:
    return Key("owner", number, write=False)


def test_opened_once(file: pathlib.Path) -> None:
    pool, opened = FilePool(4), []  # type: ignore[var-annotated]
    for _ in range(3):
        with pool.borrow(key(1), opener(file, opened)) as fd:
            assert is_open(fd)
    assert len(opened) == 1
    pool.discard("owner", 1)
    assert not is_open(fd)


def test_the_oldest_goes(file: pathlib.Path) -> None:
    pool, opened = FilePool(2), []  # type: ignore[var-annotated]
    descriptors = []
    for number in (1, 2, 1, 3):
        with pool.borrow(key(number), opener(file, opened)) as fd:
            descriptors.append(fd)
    assert len(pool) == 2
    assert is_open(descriptors[0])
    with pool.borrow(key(1), opener(file, opened)):
        assert len(opened) == 3
    with pool.borrow(key(2), opener(file, opened)):
        assert len(opened) == 4
    pool.trim()
    assert len(pool) == 0


def test_lent_descriptors_stay_open(file: pathlib.Path) -> None:
    pool, opened = FilePool(1), []  # type: ignore[var-annotated]
    with pool.borrow(key(1), opener(file, opened)) as first:
        with pool.borrow(key(2), opener(file, opened)) as second:
            pool.discard("owner", 1)
            pool.trim()
            assert is_open(first)
            assert is_open(second)
        assert os.pread(first, 7, 0) == b"content"
        with pool.borrow(key(1), opener(file, opened)) as third:
            assert third != first
    assert not is_open(first)
    pool.discard_all("owner")
    assert len(pool) == 0


def test_looking_without_waiting(file: pathlib.Path) -> None:
    pool, opened = FilePool(1), []  # type: ignore[var-annotated]
    assert pool.peek(key(1)) is None
    with pool.borrow(key(1), opener(file, opened)) as fd:
        pass
    seen = pool.peek(key(1))
    assert seen is not None
    assert seen.fd == fd
    assert seen.device == os.stat(file).st_dev
    pool.discard("owner", 1)
    assert is_open(fd)
    pool.give_back(seen)
    assert not is_open(fd)


def test_failure_is_raised_and_forgotten(file: pathlib.Path) -> None:
    pool, opened = FilePool(1), []  # type: ignore[var-annotated]
    for _ in range(2):
        with pytest.raises(FileNotFoundError), pool.borrow(key(1), opener(file.with_name("none"), opened)):
            pass
    assert len(pool) == 0
    with pool.borrow(key(1), opener(file, opened)) as fd:
        assert is_open(fd)


def test_out_of_descriptors(file: pathlib.Path) -> None:
    """Idle ones are closed, and then there is one."""
    pool, opened = FilePool(10), []  # type: ignore[var-annotated]
    for number in range(5):
        with pool.borrow(key(number), opener(file, opened)):
            pass

    def scarce() -> int:
        if len(pool) > 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return os.open(file, os.O_RDONLY)

    with pool.borrow(key(9), scarce) as fd:
        assert is_open(fd)
    pool.trim()


def test_others_wait_while_one_opens(file: pathlib.Path) -> None:
    pool, opened = FilePool(2), []  # type: ignore[var-annotated]
    opening, go = threading.Event(), threading.Event()

    def slow() -> int:
        opening.set()
        go.wait()
        return opener(file, opened)()

    seen: list[int] = []

    def use(how: Callable[[], int]) -> None:
        with pool.borrow(key(1), how) as fd:
            seen.append(fd)

    threads = [threading.Thread(target=use, args=(slow,))]
    threads[0].start()
    opening.wait()
    assert pool.peek(key(1)) is None
    with pool.borrow(key(2), opener(file, opened)):
        pass  # others are not held up
    threads.append(threading.Thread(target=use, args=(opener(file, opened),)))
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1
    assert len(opened) == 2
    pool.trim()


def test_claims(file: pathlib.Path) -> None:
    pool = FilePool(1)
    one, other = object(), object()
    pool.claim("/a", one)
    pool.claim("/a", one)
    with pytest.raises(FileExistsError):
        pool.claim("/a", other)
    pool.release(one)
    pool.claim("/a", other)


@pytest.mark.parametrize("more", [0, 1])
def test_so_many_descriptors_are_kept(tmp_path, monkeypatch, more):
    monkeypatch.setattr("torrentlite.storage.platform.open_files_limit", lambda: 1 << 20)
    (tmp_path / "file").write_bytes(b"x")
    pool = FilePool()
    for number in range(limits.MAX_OPEN_FILES + more):
        with pool.borrow(("key", number), lambda: os.open(tmp_path / "file", os.O_RDONLY)):
            pass
    assert len(pool) == limits.MAX_OPEN_FILES
    pool.trim()
