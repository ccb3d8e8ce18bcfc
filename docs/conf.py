"""How Sphinx builds these pages: ``python -m sphinx -W docs build/docs``."""

from __future__ import annotations

import importlib
import inspect
import pathlib
import sys
from types import ModuleType
from typing import Any

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import torrentlite  # noqa: E402

project = "torrentlite"
author = "The torrentlite authors"
project_copyright = author
release = version = torrentlite.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"torrentlite {release}"
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
html_show_sphinx = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "separated"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Attributes", "params_style")]
highlight_language = "none"

REFERENCE = {
    "torrentlite": "Everything that a program on Trio needs.",
    "torrentlite.aio": "The same names for asyncio programs.",
    "torrentlite.blocking": "The same names for scripts, threads and notebooks.",
    "torrentlite.dht": "A node of the mainline DHT, usable alone.",
    "torrentlite.testing": "A simulated world, for the tests of programs that share files.",
}
"""The public modules. Every name in their ``__all__`` is documented."""


def kind_of(name: str, value: Any) -> str:
    """Under which heading a name stands."""
    if inspect.isclass(value) and issubclass(value, BaseException):
        return "Errors"
    if inspect.isclass(value):
        home = value.__module__
        if home.endswith(".events"):
            return "Events"
        return "Snapshots" if home.endswith(".stats") else "Classes"
    return "Functions" if callable(value) else "Values"


def public(module: ModuleType) -> list[str]:
    """The names that a module offers."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [name for name, value in vars(module).items() if name[0] != "_" and not inspect.ismodule(value)]


def page_of(module_name: str, words: str) -> str:
    """The reference page of a module. What it shares with ``torrentlite`` is described there."""
    module = importlib.import_module(module_name)
    groups: dict[str, list[str]] = {
        kind: [] for kind in ("Functions", "Classes", "Snapshots", "Events", "Errors", "Values")
    }
    shared = []
    for name in public(module):
        value = getattr(module, name)
        if module is not torrentlite and getattr(torrentlite, name, None) is value:
            shared.append(f":py:obj:`~torrentlite.{name}`")
        elif name != "annotations":
            groups[kind_of(name, value)].append(name)
    lines = [f"``{module_name}``", "=" * (len(module_name) + 4), "", words, ""]
    for kind, names in groups.items():
        if names:
            lines += [kind, "-" * len(kind), ""]
        for name in names:
            is_class = inspect.isclass(getattr(module, name))
            directive = "autofunction" if kind == "Functions" else "autoclass" if is_class else "autodata"
            lines.append(f".. {directive}:: {module_name}.{name}")
            if is_class:
                lines.append("   :members:")
            if kind == "Errors":
                lines.append("   :show-inheritance:")
            lines.append("")
    if shared:
        lines += ["The same as in ``torrentlite``", "-" * 30, "", ", ".join(shared) + ".", ""]
    return "\n".join(lines)


def write_reference(app: Any) -> None:
    """Write the reference pages: ``docs/reference/torrentlite.rst`` and its like, which git does not keep."""
    for module_name, words in REFERENCE.items():
        try:
            text = page_of(module_name, words)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith(module_name):
                raise
            continue
        path = HERE / "reference" / f"{module_name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def say_nothing_of_numbers(_app: Any, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """A named tuple's field that has no words of its own has Python's: "Alias for field number 3"."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", say_nothing_of_numbers)
    app.connect("builder-inited", write_reference)
