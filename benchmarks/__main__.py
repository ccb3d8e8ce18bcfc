"""``python -m benchmarks`` lists what can be measured, ``python -m benchmarks NAME`` measures it.

Each is a module of this package with a ``main(arguments)``; nothing of it ever decides whether a test passes.
``python -m benchmarks --quick`` runs each once, small, to see that it still works, and prints no figure worth keeping.
``python -m benchmarks all FILE`` takes all figures of docs/benchmarks.md (hours, on a quiet machine) into FILE and a
chart of them into images/ beside it; with ``--only TITLE`` it replaces the parts whose titles hold that, and no others.
"""

from __future__ import annotations

import importlib
import sys

from .results import everything, quickly

NAMES = (
    "transfer",
    "command",
    "start",
    "crowd",
    "cold",
    "slow",
    "swarm",
    "memory",
    "idle",
    "hashing",
    "picking",
    "codec",
    "webseed",
    "reading",
    "aio",
    "dash",
    "dht",
    "dht_flood",
    "dht_trials",
)


def main() -> None:
    """Run the one that is named, or say what there is."""
    name, *arguments = sys.argv[1:] or [""]
    if name in NAMES:
        importlib.import_module(f".{name}", __package__).main(arguments)
    elif name == "--quick":
        quickly()
    elif name == "all":
        everything(arguments)
    else:
        for each in NAMES:
            about = (importlib.import_module(f".{each}", __package__).__doc__ or "").split("\n")[0]
            print(f"python -m benchmarks {each:<10} {about}")
        sys.exit(0 if name in ("", "-h", "--help") else 2)


if __name__ == "__main__":
    main()
