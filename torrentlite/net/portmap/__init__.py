"""Asking the gateway to let others in: PCP, NAT-PMP and UPnP, the best that it speaks. ``mapper.py`` is the door."""
