"""A few of the faults of ``strace.py``, and that one is needed to see what it sees."""

from __future__ import annotations

import logging
import pathlib

import pytest

from tests.interop.clients import need_program
from tests.reliability import strace
from tests.reliability.strace import Fault

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    need_program("strace")
    caplog.set_level(logging.CRITICAL, logger="torrentlite")


async def test_calls_fail_and_it_goes_on(tmp_path: pathlib.Path) -> None:
    async with strace.rig(tmp_path) as rig:
        for fault in (
            Fault("pwrite64", "EINTR", 2),
            Fault("link", "EINTR", 1),
            Fault("recvfrom", "EINTR", 5),
            Fault("epoll_wait", "EINTR", 3),
            Fault("fdatasync", "EIO", 2),
            Fault("pwrite64", "ENOSPC", 4),
            Fault("openat", "EROFS", 3),
        ):
            outcome = await rig.round(fault)
            assert outcome.injected, fault
            assert outcome.runs == 1, fault


async def test_what_does_not_pass_ends_it_and_the_same_command_goes_on(tmp_path: pathlib.Path) -> None:
    async with strace.rig(tmp_path) as rig:
        outcome = await rig.round(Fault("pwrite64", "EACCES", 8))
        assert outcome.injected
        assert outcome.runs == 2


async def test_control_an_interruption_that_is_final(tmp_path: pathlib.Path) -> None:
    async with strace.rig(tmp_path, final="EINTR") as rig:
        with pytest.raises(AssertionError, match="Interrupted system call"):
            await rig.round(Fault("link", "EINTR", 1))
