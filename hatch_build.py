"""Builds what shells and man are told of ``tl`` into the wheel, under ``share/``: see ``torrentlite/cli/shells``."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


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
