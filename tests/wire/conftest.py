from hypothesis import settings

# The same examples in every run, and no time limit for one: machines are slow at times.
settings.register_profile("torrentlite", deadline=None, derandomize=True)
settings.load_profile("torrentlite")
