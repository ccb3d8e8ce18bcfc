"""The files and folders of a torrent, as fsspec speaks of them."""

from __future__ import annotations

from typing import Any

from ..metainfo.metainfo import Metainfo


class Tree:
    """What is where in one torrent. An entry is a dict: the name, which is the path, the size and the type.

    Args:
        metainfo: the torrent.
    """

    def __init__(self, metainfo: Metainfo) -> None:
        self._name = metainfo.name
        self._entries: dict[str, dict[str, Any]] = {"": {"name": "", "size": 0, "type": "directory"}}
        self._inside: dict[str, dict[str, None]] = {"": {}}  # the paths of what is in each folder
        for index in metainfo.info.wanted_files:
            file = metainfo.files[index]
            for depth in range(1, len(file.path)):
                folder = "/".join(file.path[:depth])
                self._entries.setdefault(folder, {"name": folder, "size": 0, "type": "directory"})
                self._inside.setdefault(folder, {})
                self._inside["/".join(file.path[: depth - 1])][folder] = None
            name = "/".join(file.path)
            self._entries[name] = {"name": name, "size": file.length, "type": "file", "index": index}
            self._inside["/".join(file.path[:-1])][name] = None

    def find(self, path: str) -> dict[str, Any] | None:
        """What lies there, if anything does. The path may leave out the torrent's name; "" is the root."""
        return self._entries.get(path) or self._entries.get(f"{self._name}/{path}" if path else "")

    def inside(self, folder: dict[str, Any]) -> list[dict[str, Any]]:
        """What is in a folder."""
        return [self._entries[name] for name in self._inside[folder["name"]]]
