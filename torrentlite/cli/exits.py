"""From an error to what a person reads, and to the code a script reads."""

from __future__ import annotations

import enum
import importlib.util
import itertools
import os
import re
from collections.abc import Iterable
from typing import Final

from .. import errors
from ..metainfo.text import display

_LONGEST_LINE: Final = 600
_MOST_NAMES: Final = 10_000
"""Names of a folder that are compared for a "did you mean"; more would be felt as a delay."""


class Exit(enum.IntEnum):
    """The exit codes; an interrupted fetch leaves with 128 + the signal's number instead."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NO_PEERS = 3
    BAD_SOURCE = 4
    DISK = 5
    MISMATCH = 6
    NETWORK = 7


class UsageError(errors.TorrentError):
    """The command line makes no sense."""


# The first class that fits decides, so kinds stand before what they are kinds of.
_CODES: Final[tuple[tuple[type[BaseException], Exit], ...]] = (
    (UsageError, Exit.USAGE),
    (errors.NoSuchFileError, Exit.USAGE),
    (errors.NoPeersError, Exit.NO_PEERS),
    (errors.StorageError, Exit.DISK),
    (errors.VerifyError, Exit.MISMATCH),
    (errors.NetworkError, Exit.NETWORK),
    (errors.DhtError, Exit.NETWORK),
    (errors.TrackerError, Exit.NETWORK),
    (errors.MetainfoError, Exit.BAD_SOURCE),
    (errors.MagnetError, Exit.BAD_SOURCE),
    (errors.BencodeError, Exit.BAD_SOURCE),
    (errors.SourceError, Exit.BAD_SOURCE),
    (errors.TorrentError, Exit.UNEXPECTED),
    (ConnectionError, Exit.NETWORK),
    (OSError, Exit.DISK),
)


def require_extra(what: str, package: str, extra: str) -> None:
    """Look whether a package of one of our extras is installed, before work is done for it.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{what} needs the package {package}", hint=f"pip install 'torrentlite[{extra}]'")


def unwrap(error: BaseException) -> BaseException:
    """The first error of a group: the library raises none, but a bug may come in one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def code_of(error: BaseException) -> Exit:
    """The exit code of an error."""
    error = unwrap(error)
    # "Not allowed to read it" is the disk's answer, whatever was to be read.
    if isinstance(error, errors.SourceError) and isinstance(error.__cause__, PermissionError):
        return Exit.DISK
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.UNEXPECTED)


def lacks_threads(error: BaseException) -> bool:
    """Whether the system refused a thread: Python has no kind of its own for that."""
    return isinstance(error, RuntimeError) and "start new thread" in str(error)


def _is_nowhere(error: BaseException) -> bool:
    """Whether there is no working folder any more: what asks for it gets an error that names nothing."""
    if not isinstance(error, FileNotFoundError) or error.filename is not None:
        return False
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def kind_of(error: BaseException) -> str:
    """A stable word for scripts: ``no_peers`` for NoPeersError, ``unexpected`` for what is a bug of ours."""
    if type(error) is errors.DiskTroubleError:
        return "disk"  # as where the system says it itself
    if not isinstance(error, errors.TorrentError):
        return "disk" if isinstance(error, OSError) else "unexpected"
    # Classes of the house itself are nothing to others: what they are kinds of counts.
    public = next(kind for kind in type(error).__mro__ if kind is UsageError or hasattr(errors, kind.__name__))
    name = public.__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() or "unexpected"


def message_of(error: BaseException) -> str:
    """What happened, in one line that is safe to show."""
    if _is_nowhere(error):
        return "the working folder was removed"
    if isinstance(error, OSError) and error.strerror:
        name = f" '{os.fsdecode(error.filename)}'" if isinstance(error.filename, str | bytes) else ""
        return display(f"cannot use{name}: {error.strerror.lower()}" if name else error.strerror, limit=_LONGEST_LINE)
    if isinstance(error, errors.TorrentError):
        return display(str(error), limit=_LONGEST_LINE)
    if lacks_threads(error):
        return "the system lets tl start no more threads"
    return display(f"unexpected {type(error).__name__}: {error}", limit=_LONGEST_LINE)


def hint_of(error: BaseException) -> str:
    """What to do about it; may be empty, and may have two lines."""
    if isinstance(error, errors.TorrentError):
        return "\n".join(display(line, limit=_LONGEST_LINE) for line in error.hint.splitlines()[:2])
    if _is_nowhere(error):
        return "cd to a folder that is there"
    if isinstance(error, OSError):
        return ""
    if lacks_threads(error):
        return "end other programs, or raise ulimit -u or -v, or the container's pids limit"
    return "this is a bug in tl; -vv shows where, please report it"


def explain(error: BaseException) -> list[str]:
    """At most three lines: what and why, then what to do."""
    return [f"tl: {message_of(error)}", *(f"    {line}" for line in hint_of(error).splitlines())]


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or an empty string."""
    import difflib

    matches = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    # Who has typed the beginning of one meant that: --outp is --output and not --utp.
    return next((match for match in matches if match.startswith(word)), matches[0] if matches else "")


def closest_path(path: str, *, suffix: str = "") -> str:
    """The existing path that was probably meant, looked for in the folder that was named, or an empty string.

    Args:
        path: what was typed.
        suffix: what files end in that can be meant, where no folder can.
    """
    folder, name = os.path.split(path.rstrip(os.sep))
    try:
        with os.scandir(folder or ".") as entries:
            first = itertools.islice(entries, _MOST_NAMES)
            names = [each.name for each in first if each.name.endswith(suffix) and not (suffix and each.is_dir())]
    except OSError:
        return ""
    found = closest(name, sorted(names))
    return os.path.join(folder, found) if found else ""
