"""Settings of all tests."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The same examples every time, and no time limit of an example: machines are noisy, and a red test must mean a bug.
settings.register_profile("torrentlite", deadline=None, derandomize=True)
settings.load_profile("torrentlite")

# A signal that is ignored here (SIGHUP under nohup, SIGINT in the background of a script) would be ignored by every
# program that a test starts, too.
for _name, _usual in (("SIGHUP", signal.SIG_DFL), ("SIGINT", signal.default_int_handler)):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


# Nor do tests go through a proxy that this machine has.
for _name in [_name for _name in os.environ if _name.lower().endswith("_proxy")]:
    del os.environ[_name]


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    """Their stacks would be larger than all memory there is."""
    before = threading.stack_size(1 << 46)
    yield
    threading.stack_size(before)
