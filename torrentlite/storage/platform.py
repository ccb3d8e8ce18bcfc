"""What differs between systems: positional reads and writes, flushing, holes, locks, folders that are not left.

Everything else in ``storage/`` is the same everywhere. All raise OSError; ``faults.py`` gives it words.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from .. import limits
from .storage import Buffer, Room, Stamp

T = TypeVar("T")

Handle = int | str
"""An open folder: a descriptor, or where the system has no ``openat`` its path."""

_DIR_FDS: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_OPEN_FLAGS: Final = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO without a writer would hold us up for ever
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_FOLDER_FLAGS: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_UINT64: Final = (1 << 64) - 1
_UNSUPPORTED: Final = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_position_lock = threading.Lock()  # for systems where a read at an offset has to move the file's position


# -- bytes ------------------------------------------------------------------------------------------------------------


def pwrite_all(fd: int, data: Buffer, offset: int) -> None:
    """Write all of it, however the system cuts it up."""
    left = len(data)
    while left:
        written = _pwrite(fd, data, offset)
        if written <= 0:
            raise OSError(errno.EIO, "nothing was written")
        left -= written
        if left:
            data = memoryview(data)[written:]
            offset += written


def pread_full(fd: int, buffers: Sequence[Room], offset: int) -> int:
    """Fill the buffers, end to end; returns how many bytes there were before the end of the file."""
    done = _preadv(fd, buffers, offset) if len(buffers) <= limits.MAX_VECTOR else 0
    if done == sum(map(len, buffers)):  # nearly always
        return done
    views = _after([memoryview(buffer) for buffer in buffers], done)
    while views:
        count = _preadv(fd, views[: limits.MAX_VECTOR], offset + done)
        if count == 0:
            break
        done += count
        views = _after(views, count)
    return done


def _after(views: list[memoryview], count: int) -> list[memoryview]:
    """What is left of these without their first bytes."""
    full = 0
    while full < len(views) and count >= len(views[full]):
        count -= len(views[full])
        full += 1
    return [views[full][count:], *views[full + 1 :]] if count else views[full:]


def copy_range(source: int, source_offset: int, target: int, target_offset: int, length: int) -> None:
    """Copy bytes between files, in the kernel where it can (which shares the blocks where the file system can)."""
    while length:
        try:
            count = os.copy_file_range(source, target, length, source_offset, target_offset)
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (*_UNSUPPORTED, errno.EXDEV, errno.EPERM):
                raise
            break
        if count == 0:
            break
        source_offset, target_offset, length = source_offset + count, target_offset + count, length - count
    buffer = bytearray(min(length, limits.READ_CHUNK))
    while length:
        view = memoryview(buffer)[: min(length, len(buffer))]
        count = pread_full(source, [view], source_offset)
        if count == 0:
            raise OSError(errno.EIO, "the file is shorter than it was")
        pwrite_all(target, view[:count], target_offset)
        source_offset, target_offset, length = source_offset + count, target_offset + count, length - count


def _pwrite(fd: int, data: Buffer, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    with _position_lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)


def _preadv(fd: int, buffers: Sequence[Room], offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, buffers, offset)
    view = buffers[0]
    if hasattr(os, "pread"):
        data = os.pread(fd, len(view), offset)
    else:
        with _position_lock:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)


# -- what is known of a file ------------------------------------------------------------------------------------------


def stamp(status: os.stat_result) -> Stamp:
    """What ``Stamp`` keeps of a file's status."""
    return Stamp(status.st_size, status.st_mtime_ns & _UINT64, inode(status))


def inode(status: os.stat_result) -> int:
    """As in a ``Stamp``."""
    return status.st_ino & _UINT64


def allocated(status: os.stat_result) -> int:
    """Bytes that a file takes on the disk, which is less than its size where it has holes."""
    blocks: int | None = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512  # POSIX leaves the unit open; everybody uses 512


def data_extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file has data rather than holes, as (start, stop); all of it where the system does not say."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
            stop = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only holes from here on
                return
            if error.errno not in _UNSUPPORTED:
                raise
            start, stop = position, size
        yield start, min(stop, size)
        position = stop


def free_space(path: str) -> int | None:
    """Bytes that we may still write below this path, or None where nobody knows."""
    if not hasattr(os, "statvfs"):
        import shutil

        return _of_nearest(path, lambda there: shutil.disk_usage(there).free)
    status = _of_nearest(path, os.statvfs)
    # Some FUSE file systems say 0 of 0.
    return status.f_bavail * status.f_frsize if status is not None and status.f_blocks else None


def is_read_only(path: str) -> bool:
    """Whether the file system there, or where that will be made, is mounted so that nothing can be written."""
    status = _of_nearest(path, os.statvfs) if hasattr(os, "statvfs") else None
    return status is not None and bool(status.f_flag & os.ST_RDONLY)


def _of_nearest(path: str, ask: Callable[[str], T]) -> T | None:
    """What is said of this path, or of the nearest folder above it that is there."""
    path = os.path.abspath(path)
    while True:
        try:
            return ask(path)
        except FileNotFoundError:
            parent = os.path.dirname(path)
            if parent == path:
                return None
            path = parent


def in_memory(device: int) -> bool:
    """Whether this device (``st_dev``) is a file system in memory, so that reading it never waits for a disk.

    ``statvfs`` does not tell the type, but every mount is listed with its device in ``mountinfo``.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            lines = mounts.read().splitlines()
    except OSError:
        return False
    name = b"%d:%d" % (os.major(device), os.minor(device))
    for line in lines:
        fields, _, rest = line.partition(b" - ")
        if fields.split()[2:3] == [name]:
            return rest.split()[:1] in ([b"tmpfs"], [b"ramfs"])
    return False


def open_files_limit() -> int:
    """How many descriptors this process may have."""
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return 256
    return soft if soft >= 0 else 1 << 20


# -- flushing and locking ---------------------------------------------------------------------------------------------


def flush(fd: int) -> None:
    """Put a file's data, and what is needed to find it, on the disk."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync leaves the data in the drive's cache
            return
        except OSError as error:
            if error.errno not in (*_UNSUPPORTED, errno.ENOTTY):  # network file systems do not have it
                raise
    getattr(os, "fdatasync", os.fsync)(fd)


def flush_all(fds: Sequence[int], threads: int) -> list[OSError | None]:
    """Flush many files; says of each what went wrong.

    A file system that writes a log writes it once for all who wait for it: on ext4, a thread alone took 3.0 s for 1,000
    files of 100 KiB, and eight took 0.22 s.
    """
    errors: list[OSError | None] = [None] * len(fds)
    todo = list(enumerate(fds))

    def work() -> None:
        with contextlib.suppress(IndexError):  # that was the last one
            while True:
                index, fd = todo.pop()
                try:
                    flush(fd)
                except OSError as error:
                    errors[index] = error

    helpers: list[threading.Thread] = []
    with contextlib.suppress(RuntimeError):  # no more may be started: then it takes longer
        for _ in range(min(threads, len(fds)) - 1):
            helper = threading.Thread(target=work)
            helper.start()
            helpers.append(helper)
    work()
    for helper in helpers:
        helper.join()
    return errors


def forget_cached(fd: int) -> None:
    """Drop what the system holds of a file in memory, so that the next read shows what is on the disk."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def flush_folder(folder: Handle) -> None:
    """Put a folder's entries on the disk, where that is a thing."""
    if isinstance(folder, int):
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise


def may_use(path: str | os.PathLike[str], how: int) -> bool:
    """``os.access``, for who we are now."""
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def make_folders(path: str) -> None:
    """Create a folder and those above it, unless they are there, and put the way to it on the disk.

    A file is safe only if each name on the way to it is. ext4 sees to that by itself, POSIX does not ask for it.
    """
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folders(parent)
    with contextlib.suppress(FileExistsError):  # somebody else was faster
        os.mkdir(path)
    with contextlib.suppress(PermissionError):  # one may be allowed to make names in a folder, and not to read it
        folder = open_root(parent)
        try:
            flush_folder(folder)
        finally:
            close_folder(folder)


def lock(fd: int) -> bool:
    """Lock a file for as long as it is open; False when somebody else has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(fd, 1 << 30, os.SEEK_SET)  # locks there keep nobody from reading
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (*_UNSUPPORTED, errno.ENOLCK):  # some network file systems know no locks
            raise
    return True


# -- folders and names in them ----------------------------------------------------------------------------------------


def open_root(path: str) -> Handle:
    """Open a folder that the user named; links on the way are the user's."""
    return os.open(path, _FOLDER_FLAGS) if _DIR_FDS else path


def open_folder(parent: Handle, name: str) -> Handle:
    """Open a folder in a folder, unless it is a link."""
    if isinstance(parent, int):
        return os.open(name, _FOLDER_FLAGS | _OPEN_FLAGS, dir_fd=parent)
    path = os.path.join(parent, name)
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return path


def close_folder(folder: Handle) -> None:
    """Let go of a folder."""
    if isinstance(folder, int):
        os.close(folder)


def stat_folder(folder: Handle) -> os.stat_result:
    """The status of an open folder."""
    return os.fstat(folder) if isinstance(folder, int) else os.stat(folder)


def open_in(folder: Handle, name: str, flags: int, mode: int = 0o666) -> int:
    """Open a file in a folder, unless it is a link; never waits for the other end of a FIFO."""
    if isinstance(folder, int):
        return os.open(name, flags | _OPEN_FLAGS, mode, dir_fd=folder)
    path = os.path.join(folder, name)
    if os.path.islink(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return os.open(path, flags | _OPEN_FLAGS, mode)


def stat_in(folder: Handle, name: str) -> os.stat_result:
    """The status of a name in a folder; a link's own."""
    if isinstance(folder, int):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    return os.lstat(os.path.join(folder, name))


def make_folder(parent: Handle, name: str) -> None:
    """Create a folder in a folder."""
    if isinstance(parent, int):
        os.mkdir(name, dir_fd=parent)
    else:
        os.mkdir(os.path.join(parent, name))


def remove_in(folder: Handle, name: str) -> None:
    """Remove a file."""
    if isinstance(folder, int):
        os.unlink(name, dir_fd=folder)
    else:
        os.unlink(os.path.join(folder, name))


def rename_in(folder: Handle, old: str, new_folder: Handle, new: str, *, replace: bool) -> None:
    """Rename a file. Unless ``replace``, FileExistsError when the new name is taken."""
    if not isinstance(folder, int) or not isinstance(new_folder, int):
        old, new = os.path.join(str(folder), old), os.path.join(str(new_folder), new)
        (os.replace if replace else rename_if_free)(old, new)
        return
    if not replace:
        try:
            # A second name instead of another one: it fails if the name is taken, with no moment in between.
            os.link(old, new, src_dir_fd=folder, dst_dir_fd=new_folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in (*_UNSUPPORTED, errno.EPERM, errno.EMLINK):
                raise
            try:
                os.stat(new, dir_fd=new_folder, follow_symlinks=False)
            except FileNotFoundError:
                pass
            else:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        else:
            os.unlink(old, dir_fd=folder)
            return
    os.rename(old, new, src_dir_fd=folder, dst_dir_fd=new_folder)


def rename_if_free(old: str, new: str) -> None:
    """For Windows, whose rename refuses; elsewhere a check has to do."""
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.rename(old, new)
