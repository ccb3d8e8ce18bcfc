"""Measurements, never tests: ``python -m benchmarks --help``."""
