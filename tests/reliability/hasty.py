"""``tl``, flushing often and asking a disk that refuses again soon: what a fault costs is then seen in a second.

Its first argument names an error that shall be final although it may pass (a control), or is empty.
"""

from __future__ import annotations

import errno
import sys

from torrentlite import session
from torrentlite.cli.main import main
from torrentlite.storage import faults
from torrentlite.swarm import opening, pieces

if __name__ == "__main__":
    opening.DISK_RETRY = pieces.DISK_RETRY = 0.2  # type: ignore[misc]
    session.TICK = pieces.COMMIT_INTERVAL = 0.04  # type: ignore[misc]
    faults.PASSING -= {getattr(errno, sys.argv[1], 0)}  # type: ignore[misc]
    sys.exit(main(sys.argv[2:]))
