"""The command ``tl``, which ``python -m torrentlite`` is too."""

from __future__ import annotations

import gc
import sys


def run() -> int:
    """Run it with the process's own arguments and return its exit code."""
    # Before anything else is imported: to look for garbage among what argparse brings takes 2 ms of every start. The
    # command itself turns it on again (``cli.main``).
    gc.disable()
    from .cli.main import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
