"""The peer wire, sans-I/O: what the bytes between peers mean."""
