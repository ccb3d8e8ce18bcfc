"""What a process has at a moment, and what may be said of many such moments."""

from __future__ import annotations

import collections
import gc
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

SLOPE = 1.0
"""MiB an hour that the resident memory may grow by."""
LONG_ENOUGH = 20 * 60
"""Seconds: over less than that a slope by the hour says nothing."""
Points = Sequence[tuple[float, float]]
"""Seconds since the beginning and resident MiB, in order. Whole samples are not kept: they would grow by themselves."""
COUNTED = ("fds", "sockets", "tasks")
PER_TORRENT = frozenset(
    {"Torrent", "Life", "Swarm", "Content", "Discovery", "Disk", "Journal", "FileStorage", "Pieces", "Picker", "Peer", "Sender",
     "PeerWire", "TcpStream", "Reader", "EventStream", "Info", "Metainfo", "Layout", "WebSeed", "WebSeeds", "DhtSearch"}
)  # fmt: skip
"""Classes of which a session without torrents has no more objects than before it had any."""


@dataclass
class Sample:
    """One moment.

    Attributes:
        moment: seconds since the beginning.
        rss: resident memory, MiB.
        fds: open file descriptors.
        sockets: of those.
        tasks: Trio's, by name.
        threads: of Python's.
        objects: that the garbage collector knows, by type.
        ours: live objects of ``PER_TORRENT``, by name.
    """

    moment: float
    rss: float
    fds: int = 0
    sockets: int = 0
    tasks: int = 0
    threads: int = 0
    names: collections.Counter[str] = field(default_factory=collections.Counter)
    objects: collections.Counter[str] = field(default_factory=collections.Counter)
    ours: collections.Counter[str] = field(default_factory=collections.Counter)

    def growth(self, since: Sample, most: int = 4) -> str:
        """The types that have grown most."""
        grown = collections.Counter(self.objects)
        grown.subtract(since.objects)
        return ", ".join(f"{name} {count:+}" for name, count in grown.most_common(most) if count > 0)


def take(began: float) -> Sample:
    """Now, in the task that calls (Trio's loop has to run); garbage is collected before."""
    gc.collect()
    links = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{entry}"))
        except FileNotFoundError:  # that with which the folder was read
            continue
    names: collections.Counter[str] = collections.Counter()
    root = trio.lowlevel.current_root_task()
    waiting = [root] if root is not None else []
    while waiting:
        task = waiting.pop()
        names[task.name] += 1
        waiting.extend(child for nursery in task.child_nurseries for child in nursery.child_tasks)
    objects: collections.Counter[str] = collections.Counter()
    ours: collections.Counter[str] = collections.Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        objects[kind.__qualname__] += 1
        if kind.__name__ in PER_TORRENT and kind.__module__.startswith("torrentlite."):
            ours[kind.__name__] += 1
    with open("/proc/self/statm") as file:
        rss = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return Sample(
        trio.current_time() - began,
        rss,
        len(links),
        sum(link.startswith("socket:") for link in links),
        sum(names.values()),
        threading.active_count(),
        names,
        objects,
        ours,
    )


def slope(points: Points) -> tuple[float, float]:
    """MiB an hour by least squares, and its standard error."""
    count = len(points)
    hours, sizes = [moment / 3600 for moment, _ in points], [size for _, size in points]
    middle, mean = sum(hours) / count, sum(sizes) / count
    spread = sum((hour - middle) ** 2 for hour in hours)
    rise = sum((hour - middle) * (size - mean) for hour, size in zip(hours, sizes, strict=True)) / spread
    rest = sum((size - mean - rise * (hour - middle)) ** 2 for hour, size in zip(hours, sizes, strict=True))
    return rise, math.sqrt(rest / max(1, count - 2) / spread)


def growing(points: Points) -> list[str]:
    """What is wrong with the memory after the warm-up: a line, or none. Too short a run has no slope."""
    if len(points) < 3 or points[-1][0] - points[0][0] < LONG_ENOUGH:
        return []
    rise, _ = slope(points)
    return [f"memory grows by {rise:.2f} MiB an hour, {SLOPE:.0f} is allowed"] if rise > SLOPE else []


def left_over(before: Sample, after: Sample, what: str) -> list[str]:
    """What there is more of than before: a line for each, none where all is well."""
    found = []
    for name in COUNTED:
        was, now = getattr(before, name), getattr(after, name)
        if now > was:
            found.append(f"{what}: {now} {name}, there were {was}")
            if name == "tasks":
                found[-1] += f" ({', '.join(sorted((after.names - before.names).elements()))})"
    more = after.ours - before.ours
    if more:
        found.append(
            f"{what}: objects left over: {', '.join(f'{count} {name}' for name, count in sorted(more.items()))}"
        )
    return found
