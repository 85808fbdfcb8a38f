"""The random numbers of a seed: splitmix64 (Steele, Lea, Flood 2014), stateless.

The samplers hash (seed, step, draw) with it, in torch (`logits`) and in numpy (`edge/draw.py`), so
that a seed draws the same whatever runs the model.
"""

from __future__ import annotations

WORD = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def mix(word: int) -> int:
    """A 64-bit word from another, one to one."""
    word = ((word ^ (word >> 30)) * MIX_1) & WORD
    word = ((word ^ (word >> 27)) * MIX_2) & WORD
    return word ^ (word >> 31)
