"""Programs that mount file systems, each in a mount namespace of its own: no mount outlives its program."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from tests.interop.clients import missing, need_program

ROOT = pathlib.Path(__file__).parents[2]
DEADLINE = 200
"""Seconds; only a hang takes so long."""


def command(module: str, *words: str) -> list[str]:
    """What runs a module of these tests in such a namespace."""
    return ["unshare", "--mount", sys.executable, "-m", f"tests.reliability.{module}", *words]


def need_mounts(*, loop: bool = False) -> None:
    """Look whether file systems can be mounted here (``loop``: in files). Missing is what ``missing`` says."""
    need_program("unshare")
    need_program("mount")
    probe = ["mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir()]
    if loop:
        need_program("mkfs.ext4")
        probe = ["losetup", "--find"]
    done = subprocess.run(["unshare", "--mount", *probe], capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"the right to mount, or a loop device ({' '.join(probe)}: {done.stderr.strip()})")


def told(module: str, *words: str) -> dict[str, Any]:
    """Run such a program; what it says last, which is JSON."""
    run = subprocess.run(command(module, *words), cwd=ROOT, capture_output=True, timeout=DEADLINE, check=False)
    assert not run.returncode, run.stdout.decode()[-2000:] + run.stderr.decode()[-3000:]
    said: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return said
