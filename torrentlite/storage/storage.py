"""What a torrent's bytes lie in: a small synchronous protocol, called in threads.

Offsets are into the torrent's bytes (see ``metainfo/layout.py``), so nobody above knows of files. Pad files read as
zeros and are never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

Buffer = bytes | bytearray | memoryview
"""Something to be written."""
Room = bytearray | memoryview
"""Something to be read into."""


class Stamp(NamedTuple):
    """By what a file is known again: whoever changes it leaves another stamp."""

    size: int
    mtime_ns: int
    inode: int


NO_STAMP: Final = Stamp((1 << 64) - 1, 0, 0)
"""No file looks like that."""


class Found(NamedTuple):
    """What lies there before anything is done.

    Attributes:
        maybe: pieces (bit ``i`` is piece ``i``) all of whose bytes may be there. The others need no hashing.
        vouched: pieces that the storage knows to be right without hashing (what ``create`` hashed, unchanged since).
        stamps: the files that exist, by number; one number more than there are files stands for what is kept aside.
        finished: files that lie under their final names.
        needed: bytes that the wanted files will still take.
        free: bytes that are free where they go; None where nobody knows.
    """

    maybe: int = 0
    vouched: int = 0
    stamps: Mapping[int, Stamp] = MappingProxyType({})
    finished: frozenset[int] = frozenset()
    needed: int = 0
    free: int | None = None


NOTHING: Final = Found()
"""Nothing lies there."""


class InTheWay(Exception):  # noqa: N818  (a signal from storage to disk, which no caller sees)
    """These bytes belong into a finished file that has others there; see ``Storage.displace``."""

    def __init__(self, file: int) -> None:
        super().__init__(file)
        self.file = file


class SyncFailure(Exception):  # noqa: N818
    """These files could not be flushed: what was written to them since the last ``sync`` may be lost.

    The cause is the first OSError.
    """

    def __init__(self, files: frozenset[int]) -> None:
        super().__init__(sorted(files))
        self.files = files


class Storage(Protocol):
    """Bytes of one torrent. Calls come from several threads at once; ``select``, ``displace``, ``discard`` and
    ``close`` alone.

    Who makes their own inherits from this class and has to write ``pread_into`` and ``pwrite``; the rest has defaults
    that are right for a store without files of its own. All methods raise StorageError (DiskTroubleError, or its kind
    DiskFullError, where the fault may pass) unless they say otherwise.
    """

    read_only: bool = False
    """Whether nothing is ever written here (seeding from the original files)."""

    capacity: int | None = None
    """Bytes that it holds; None for all. One that holds less than the torrent has fetches only what is read from it
    (``Torrent.open``), and is told what to let go (``discard``); it has to hold a few pieces."""

    def prepare(self, wanted: frozenset[int]) -> Found:
        """Look at what lies there, for these files being wanted. Writes nothing. Called again after ``close``.

        Raises:
            FileInTheWayError: a different finished file, and no leave to overwrite.
        """
        return NOTHING

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """Fill the buffers, end to end, from here on if that is possible without waiting for a disk.

        Called in the loop. False means that a thread has to do it (``pread_into``), also where there is an error.
        """
        return False

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """Fill the buffers, end to end, from here on. What is asked for was written, or vouched for.

        Args:
            offset: of the first byte.
            buffers: where to.
            aside: read what was written with ``aside``.
        """
        ...

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """Write all of it.

        Args:
            offset: of the first byte.
            data: what to write; it is used again afterwards, so copy what is to be kept.
            aside: not to where it belongs, but to a place beside the files, which keeps it until the torrent is
                complete. For bytes that nobody has verified and that would go into a finished file (``final``).

        Raises:
            InTheWay: see ``displace``. Something may have been written; the call can be repeated.
        """
        ...

    def discard(self, pieces: Sequence[int]) -> None:
        """These pieces are not needed any more, and never asked for again before they are written again."""
        return

    def sync(self, files: Iterable[int] = ()) -> dict[int, Stamp]:
        """Put on the disk what was written since the last sync, and everything of these files; returns their stamps.

        Raises:
            SyncFailure: the operating system could not; it is not asked again, since it might say yes.
        """
        return {}

    def finish(self, files: Iterable[int]) -> list[int]:
        """All bytes of these files are there and synced: give them their final names, for good.

        Returns those that have them now; files that are not wanted may stay in the place beside the others.

        Raises:
            FileInTheWayError: another file has taken the name meanwhile, and no leave to overwrite it.
        """
        return list(files)

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """From now on these files are wanted. What has to move is flushed by the next ``sync``.

        Args:
            wanted: numbers of files.
            have: verified pieces; they are still there afterwards.
            wrong: pieces that were hashed and found wrong.

        Raises:
            FileInTheWayError: a wrong piece shows that a finished file is a different one, and no leave to overwrite.
        """
        return

    def displace(self, file: int, have: int) -> None:
        """Make way for other bytes than those in this finished file; verified pieces are still there afterwards.

        Raises:
            FileInTheWayError: no leave to overwrite it.
        """
        return

    def final(self, file: int) -> bool:
        """Whether a file has its final name, so that its bytes are only compared and never written."""
        return False

    def path(self, file: int) -> str:
        """The final path of a file, for people."""
        return f"{self.top()}#{file}"

    def top(self) -> str:
        """The path of the file, or of the folder, that is the torrent, for people."""
        return f"{type(self).__name__}:"

    def close(self) -> None:
        """Let go of everything. Does not raise."""
        return
