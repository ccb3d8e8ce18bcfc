"""What goes into the package besides its files.

What shells and man are told of ``tl``, under ``share/`` (see ``torrentlite/cli/shells``); and the README, for a page
that knows nothing of the files beside it.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import sys
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class SharedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Made from the command line itself, which needs nothing but Python."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them to a folder of their own, and name them as data of the wheel."""
        sys.path.insert(0, self.root)
        try:
            from torrentlite.cli.shells import SHARED
        finally:
            sys.path.remove(self.root)
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="torrentlite-share-"))
        for place, make in SHARED.items():
            file = self._folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(make(), encoding="utf-8")
            build_data["shared_data"][str(file)] = f"share/{place}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is written."""
        shutil.rmtree(self._folder)


class Readme(MetadataHookInterface):
    """The README as an index of packages shows it."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Name it."""
        text = (pathlib.Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": alone(text)}


def alone(text: str) -> str:
    """This Markdown without the files beside it: links to them become their names, and pictures are left out."""

    def name(link: re.Match[str]) -> str:
        words, path = link[1], link[2]
        return f"`{path}`" if path.endswith(words.strip("`")) else f"{words} (`{path}`)"

    text = re.sub(r"!\[[^]]*\]\((?!\w+:)[^)]*\)\n*", "", text)
    return re.sub(r"\[([^]]*)\]\((?!\w+:|#)([^)]*)\)", name, text)
