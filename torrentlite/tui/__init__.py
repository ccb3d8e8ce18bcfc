"""The full-screen dashboard: snapshots in, rows of a terminal out. All is pure but ``dashboard`` and ``keyboard``."""
