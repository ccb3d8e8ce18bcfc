"""A mainline DHT node (BEP 5), usable alone."""
