"""One target under atheris, which sees what an input makes the code do: ``python -m tests.fuzz.guided NAME FOLDER ...``.

What follows the name are arguments of libFuzzer. Runs until that ends, and it ends the process.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["torrentlite"]):
    from tests.fuzz.all import TARGETS
from tests.fuzz.target import execute, quiet


def main() -> None:
    (target,) = [target for target in TARGETS if target.name == sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: execute(target, data) and None)
    with quiet():
        atheris.Fuzz()


if __name__ == "__main__":
    main()
