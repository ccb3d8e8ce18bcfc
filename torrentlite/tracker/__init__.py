"""Trackers over HTTP and UDP."""
