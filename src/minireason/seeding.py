"""One seed per (step, question, sample): randomness is derived from names, never from order."""

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed from the parts, the same on every machine and Python version."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
