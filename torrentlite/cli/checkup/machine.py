"""What can be found out without the network: versions, choices, the disk."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ... import __version__
from .. import config, units
from . import Finding, Verdict

_PACKAGES: Final = ("trio", "bencode.py", "httpx2", "h11", "rich", "platformdirs")
_FREE: Final = 1 << 30
"""Bytes below which most torrents will not fit."""
_SLOW: Final = 1.0
"""Seconds for a synced MiB from which a fetch is slower than most lines."""
_LARGE: Final = (4 << 30) + 1
"""Bytes that FAT cannot hold in one file."""
_LARGE_ANYHOW: Final = ("exfat",)
"""File systems that hold such files, and have no holes: to try it out would take as long as to write it."""
_LONG_NAME: Final = 253
"""Bytes: the longest name that a torrent gets (metainfo/paths.py), with ``.<hash8>.part``."""
_OPEN_FILES: Final = 512
"""Descriptors: 200 peers, half-open connections and 128 files fit."""


def version() -> Finding:
    """What runs here."""
    system = f"{platform.system()} {platform.release()}"
    return Finding("version", Verdict.OK, f"tl {__version__} on Python {platform.python_version()}, {system}")


def packages() -> Finding:
    """Whether what tl stands on is installed."""
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        cure = "pip install --force-reinstall torrentlite"
        return Finding("packages", Verdict.BAD, f"missing: {', '.join(missing)}", cure)
    return Finding("packages", Verdict.OK, ", ".join(found))


def choices(environ: Mapping[str, str], names: Mapping[str, list[str]]) -> Finding:
    """Which flags come from the environment and the file. (One that makes no sense has been refused before.)"""
    strange = config.strangers(environ, lambda: names)
    ours = [name for name in sorted(environ) if name.startswith("TL_") and environ[name] and name not in strange]
    file = config.config_file()
    if file is None:
        parts = ["no config.toml: no home folder"]
    else:
        parts = [f"{file} is read" if file.is_file() else f"no {file}"]
    parts += [f"from the environment: {', '.join(ours)}"] if ours else []
    if strange:
        name, meant = next(iter(strange.items()))
        cure = f"did you mean {meant}?" if meant else "tl COMMAND --help lists the flags; TL_ and a flag's name sets it"
        return Finding("choices", Verdict.NOTE, f"{name} is set, and no flag is called so", cure)
    return Finding("choices", Verdict.OK, "; ".join(parts))


def disk(folder: pathlib.Path) -> Finding:
    """Whether torrents can be saved here: written, synced, of any size, with long names."""
    kind = _file_system(folder)
    try:
        free = shutil.disk_usage(folder).free
        with _scratch(folder, "tl-doctor") as path:
            seconds = _write(path)
            large = kind in _LARGE_ANYHOW or _holds_large_files(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Finding(
            "disk", Verdict.BAD, f"cannot write in {folder}: {why}", "-o names another folder; or mend its permissions"
        )
    where = f"{folder} ({kind})" if kind else str(folder)
    message = f"{units.size(free)} free in {where}; a MiB is written and synced in {seconds * 1000:.0f} ms"
    if not large:
        cure = "-o names a folder on another one; this one is perhaps formatted as FAT"
        return Finding("disk", Verdict.NOTE, f"the file system of {folder} holds no files above 4 GiB", cure)
    if not _holds_long_names(folder):
        cure = "-o names a folder on another one; torrents with long file names would fail here"
        return Finding("disk", Verdict.NOTE, f"the file system of {folder} takes no names of 244 bytes", cure)
    if free < _FREE:
        return Finding("disk", Verdict.NOTE, message, "make room, or name another folder with -o")
    if seconds > _SLOW:
        return Finding("disk", Verdict.NOTE, message, "a slow disk slows fetching down; -o names a folder on another")
    return Finding("disk", Verdict.OK, message)


def state(folder: pathlib.Path | None) -> Finding:
    """Whether something can be remembered from run to run."""
    cure = "--state-dir names another folder; without one every start hashes again, and the port changes"
    if folder is None:
        return Finding("state", Verdict.NOTE, "the state folder cannot be made or written", cure)
    try:
        with _scratch(folder, ".tl-doctor") as path:
            _write(path, size=1)
    except OSError as error:
        message = f"cannot write in {folder}: {(error.strerror or str(error)).lower()}"
        return Finding("state", Verdict.NOTE, message, cure)
    return Finding("state", Verdict.OK, f"kept in {folder}")


def open_files() -> Finding | None:
    """Whether there may be enough connections; None where the system does not say."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return None
    if soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES:
        return Finding("open files", Verdict.OK, f"{'any number' if soft < 0 else f'{soft:,}'} at once")
    wanted = _OPEN_FILES if hard < 0 else min(hard, _OPEN_FILES)
    return Finding("open files", Verdict.NOTE, f"only {soft:,} at once", f"ulimit -n {wanted}, before tl is started")


def local(environ: Mapping[str, str], names: Mapping[str, list[str]], folder: str) -> Iterable[Finding]:
    """All of them but the state, one after the other."""
    yield version()
    yield packages()
    yield choices(environ, names)
    yield disk(pathlib.Path(folder))
    if (found := open_files()) is not None:
        yield found


@contextlib.contextmanager
def _scratch(folder: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    path = folder / f"{name}-{secrets.token_hex(4)}"
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _write(path: pathlib.Path, *, size: int = 1 << 20) -> float:
    began = time.perf_counter()
    with open(path, "xb") as file:
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def _holds_large_files(path: pathlib.Path) -> bool:
    """A hole takes no room, where there are holes; where there are none, the file system says so by its limit too."""
    with contextlib.suppress(OSError):
        os.truncate(path, _LARGE)
        os.truncate(path, 0)
        return True
    return False


def _file_system(folder: pathlib.Path) -> str:
    """Its kind, where the system tells (Linux); else nothing."""
    try:
        device = folder.stat().st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                if before.split()[2] == f"{os.major(device)}:{os.minor(device)}":
                    return after.split()[0]
    except (OSError, IndexError):
        pass
    return ""


def _holds_long_names(folder: pathlib.Path) -> bool:
    path = folder / f"tl-doctor-{secrets.token_hex(4)}".ljust(_LONG_NAME, "-")
    try:
        path.touch()
        path.unlink()
    except OSError:
        return False
    return True
