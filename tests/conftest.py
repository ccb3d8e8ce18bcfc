"""Settings of all tests."""

from hypothesis import settings

# The same examples every time, and no time limit of an example: machines are noisy, and a red test must mean a bug.
settings.register_profile("torrentlite", deadline=None, derandomize=True)
settings.load_profile("torrentlite")
