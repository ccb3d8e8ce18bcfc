"""All targets, in one list."""

from __future__ import annotations

from tests.fuzz import connections, documents, encrypted, peers, services, sessions
from tests.fuzz.target import Target

TARGETS: list[Target] = [
    *documents.TARGETS,
    *peers.TARGETS,
    *encrypted.TARGETS,
    *services.TARGETS,
    *connections.TARGETS,
    *sessions.TARGETS,
]
