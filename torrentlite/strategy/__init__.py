"""Judgement: what to do next. Pure and sync; ``now`` and ``rng`` are arguments."""
