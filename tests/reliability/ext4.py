"""An ext4 file system in a file, of which the power can be cut."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import struct
import subprocess
import time

SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN, ``_IOR('X', 125, __u32)`` of the kernel's fs/ext4/ext4.h: from then on all writing is EIO."""
FLUSH_ALL, FLUSH_LOG, FLUSH_NOTHING = 0, 1, 2
"""What is saved at the last moment: everything, ext4's own journal, or nothing, as when the power fails."""


def cut(mount: pathlib.Path, flag: int) -> None:
    """Cut the power: what was not flushed is gone.

    A flush that is under way may succeed although ext4 throws away what belongs to it: of 480 files that were appended to
    and flushed meanwhile, 46 were shorter afterwards than the last flush had promised, and none than the last one before
    this was called. So only that counts.
    """
    folder = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", flag))
    finally:
        os.close(folder)


def refuses(mount: pathlib.Path) -> bool:
    """Whether it really is without power: nothing can be written."""
    try:
        os.close(os.open(mount / "proof", os.O_RDWR | os.O_CREAT))
    except OSError as error:
        return error.errno in (errno.EIO, errno.EROFS)
    return False


class Ext4:
    """A file system of 64 MiB. Its loop device goes with the mount.

    Args:
        folder: gets the image, and the folder to mount it on.
        block: bytes.
        options: for ``mount -o``.

    Attributes:
        mount: where it is mounted.
        options: how.
    """

    def __init__(self, folder: pathlib.Path, *, block: int = 4096, options: str = "") -> None:
        self._image = folder / "image"
        self.options = ",".join(filter(None, ["loop", options]))
        self.mount = folder / "mount"
        self.mount.mkdir()
        with self._image.open("wb") as image:
            image.truncate(64 << 20)
        _run("mkfs.ext4", "-q", "-b", str(block), str(self._image))

    def begin(self) -> None:
        """Mount it; after a cut ext4 replays its own journal."""
        _run("mount", "-t", "ext4", "-o", self.options, str(self._image), str(self.mount))

    def end(self) -> None:
        """Unmount it."""
        for attempt in range(100):
            try:
                _run("umount", str(self.mount))
                return
            except RuntimeError:  # the kernel may still be letting go of what the dead had open
                if attempt == 99:
                    raise
                time.sleep(0.02)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
