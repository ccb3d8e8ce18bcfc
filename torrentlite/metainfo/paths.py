"""Names from a torrent, made safe for the file system once and for all.

Nothing else turns a torrent's names into paths. The result depends on the torrent (and, for seven characters, on
whether this is Windows), never on what lies on the disk, so fetching, checking and seeding find the same files again.
Who only reads may look under the original names too (``original_path``). Before the system is asked for either they are
made its own (``system_path``), so that on the disk their bytes are UTF-8 under every locale.
Names that are merely unusual stay as they are.

A component never leaves its folder (separators, ``..``, drives), never tricks the eye (control, bidirectional and
invisible characters), is never a device of Windows, too long or what an unfinished file is called, and differs from its
neighbours even where case or Unicode normalization does not count.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final

from .. import limits
from ..errors import MetainfoError
from .text import HIDDEN

_UNSAFE: Final = re.compile(rf"[/\\{HIDDEN}" + ('<>:"|?*]' if sys.platform == "win32" else "]"))
_DRIVE: Final = re.compile("^([A-Za-z]):")
_DEVICE: Final = re.compile(r"^(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?= *(?:\.|$))", re.IGNORECASE)
"""Windows opens the device whatever extension or spaces follow."""
_ORDINARY: Final = re.compile(
    rb"(?!CON|PRN|AUX|NUL|COM|LPT)[\w-](?:[\w .,;+=@#%&'!()\[\]{}~-]{0,200}[\w)\]](?<!part|temp|arts))?",
    re.IGNORECASE | re.ASCII,
)
"""Most names, which can be told at one look to be safe: large torrents have a hundred thousand."""

_LONGEST_EXTENSION: Final = 16
"""Bytes of a file name extension with its dot; a longer one is part of the name and not kept when that is cut."""
_ENOUGH: Final = 4 * limits.MAX_NAME
"""Bytes at either end of a name that can matter: the longest hidden character has 4 and becomes one."""
_ENCODING: Final = "utf-8" if sys.platform == "win32" else sys.getfilesystemencoding()
"""How Python encodes a name for the system. Windows takes text as it is."""
_PROVISIONAL: Final = re.compile(r"(\.[0-9a-f]{8})\.(parts?|temp)\Z", re.IGNORECASE)
"""What a file's name ends in while it is not whole (``storage/survey.py``): one that did could be another file's."""


def safe_name(raw: bytes) -> str:
    """One file or folder name, 1 to ``limits.MAX_NAME`` bytes of UTF-8. A name that came from here stays as it is."""
    if _ORDINARY.fullmatch(raw):
        return raw.decode()
    if len(raw) > 2 * _ENOUGH:  # megabytes would take seconds, and their middle is cut out below anyway
        raw = raw[:_ENOUGH] + raw[-_ENOUGH:]
    name = raw.decode(errors="surrogateescape")  # what is not UTF-8 becomes surrogates, and those are hidden
    name = _UNSAFE.sub("_", name)
    name = _DRIVE.sub(r"\1_", name)
    name = _DEVICE.sub(r"\1_", name)
    name = _PROVISIONAL.sub(r"\1_\2", _shorten(name))
    stem = name.rstrip(". ")  # Windows drops them; "." and ".." go this way too, "foo... bar" does not
    return stem + "_" * (len(name) - len(stem)) or "_"


def safe_paths(raw: Sequence[Sequence[bytes]]) -> list[tuple[str, ...]]:
    """The safe paths of all files of a torrent, in order: folders first, the file name last.

    Where two names would meet, the later one gets a number: "a", "a (1)". Linear in the number of components.

    Raises:
        MetainfoError: too many folders, or too deep.
    """
    top = _Folder()
    folders = 1
    paths = []
    for components in raw:
        if len(components) - 1 > limits.MAX_FILE_DEPTH:
            raise MetainfoError(f"a file {len(components) - 1} folders deep; {limits.MAX_FILE_DEPTH} are allowed")
        folder = top
        path = []
        for component in components[:-1]:
            inside = folder.folders.get(component)
            if inside is None:
                folders += 1
                if folders > limits.MAX_FOLDERS:
                    raise MetainfoError(f"more than {limits.MAX_FOLDERS} folders")
                inside = folder.folders[component] = _Folder(folder.claim(component))
            path.append(inside.name)
            folder = inside
        path.append(folder.claim(components[-1]))
        paths.append(tuple(path))
    return paths


def original_path(raw: Sequence[bytes]) -> tuple[str, ...] | None:
    """The names as they are in the torrent, to look for files that are only read: where it was made they lie so.

    None where one of them leads elsewhere or is none here, and on Windows, which has no names that are not safe.
    """
    if sys.platform == "win32" or any(name in (b"", b".", b"..") or b"/" in name or b"\0" in name for name in raw):
        return None
    return tuple(name.decode(_ENCODING, "surrogateescape") for name in raw)


def is_provisional(name: str) -> bool:
    """Whether a file is called so only while it is not whole."""
    return _PROVISIONAL.search(name) is not None


def system_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """Safe names as this system is to be asked for them, and as people may hand them to ``open``.

    Nearly everywhere that is what they are. Under a locale of another encoding Python would write that, or could not
    write them at all: there they are what it writes as their UTF-8 bytes, whatever that looks like.
    """
    if _ENCODING == "utf-8":
        return path
    return tuple(name.encode().decode(_ENCODING, "surrogateescape") for name in path)


class _Folder:
    """The names in one folder: which are taken, and which subfolder each raw name stands for."""

    __slots__ = ("_number", "_taken", "folders", "name")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.folders: dict[bytes, _Folder] = {}
        self._taken: set[str] = set()
        self._number = 0

    def claim(self, raw: bytes) -> str:
        """A name nobody has here; from now on it is taken.

        The number only ever grows, and a name that is in the way is so for one number: hence linear, whatever the
        names are.
        """
        wish = name = safe_name(raw)
        while (key := _fold(name)) in self._taken:
            self._number += 1
            name = _shorten(wish, f" ({self._number})")
        self._taken.add(key)
        return name


def _fold(name: str) -> str:
    """What two names share that some file system takes for one (Unicode 3.13, D145: canonical caseless match)."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _shorten(name: str, insert: str = "") -> str:
    """The name with ``insert`` before its extension, and as much of its stem as there is room for."""
    if not insert and len(name) * 4 <= limits.MAX_NAME:  # 4 bytes make a character at most
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) >= _LONGEST_EXTENSION:
        stem, dot, extension = name, "", ""
    room = limits.MAX_NAME - len((insert + dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore") + insert + dot + extension
