"""What shells and ``man`` are told of ``tl``: made from its own command line, so that it is never out of date.

``SHARED`` is written into the wheel when it is built (``hatch_build.py``), so that installing puts it in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from . import bash, fish, manpage, zsh

SCRIPTS: Final[dict[str, Callable[[], str]]] = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}
"""The completion script of each shell."""

SHARED: Final[dict[str, Callable[[], str]]] = {
    "bash-completion/completions/tl": bash.script,
    "bash-completion/completions/torrentlite": bash.script,
    "zsh/site-functions/_tl": zsh.script,
    "fish/vendor_completions.d/tl.fish": lambda: fish.script(["tl"]),
    "fish/vendor_completions.d/torrentlite.fish": lambda: fish.script(["torrentlite"]),
    "man/man1/tl.1": manpage.page,
    "man/man1/torrentlite.1": lambda: ".so man1/tl.1\n",
}
"""The files below ``share/`` of whatever is installed into."""
