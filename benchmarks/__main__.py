"""``python -m benchmarks`` lists what can be measured, ``python -m benchmarks NAME`` measures it.

Each is a module of this package with a ``main(arguments)``; nothing of it ever decides whether a test passes.
"""

from __future__ import annotations

import importlib
import sys

NAMES = ("transfer", "webseed", "reading", "aio", "dash", "dht", "dht_flood", "dht_trials")


def main() -> None:
    """Run the one that is named, or say what there is."""
    name, *arguments = sys.argv[1:] or [""]
    if name in NAMES:
        importlib.import_module(f".{name}", __package__).main(arguments)
        return
    for each in NAMES:
        about = (importlib.import_module(f".{each}", __package__).__doc__ or "").split("\n")[0]
        print(f"python -m benchmarks {each:<10} {about}")
    sys.exit(0 if name in ("", "-h", "--help") else 2)


if __name__ == "__main__":
    main()
