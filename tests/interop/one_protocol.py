"""``tl``, in a session whose port mapper knows one protocol only.

Usage: one_protocol.py pcp|natpmp|upnp WORD...
"""

import sys

import torrentlite.net.portmap.mapper as mapper
from tests.net.portmap.behind_gateway import METHODS, Mute
from torrentlite.cli.main import main

if __name__ == "__main__":
    for name, kind in METHODS.items():
        if name != sys.argv[1]:
            setattr(mapper, kind, lambda *arguments, name=name: Mute(name))
    sys.exit(main(sys.argv[2:]))
