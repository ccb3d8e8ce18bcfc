"""uTP (BEP 29): connections over UDP, for peers that TCP does not reach. Pure but for ``port.py`` and ``stream.py``."""
