"""How a metric's parts, from micro-batches, processes and updates, become one number.

By its name: `_max` and `_min` are the extremes, all else adds up within an update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

EXTREMES: dict[str, Callable[[Sequence[float]], float]] = {"_max": max, "_min": min}


def total(name: str, parts: Sequence[float]) -> float:
    """A metric of an update, from its micro-batches in all processes."""
    return EXTREMES.get(name[-4:], sum)(parts)


def mean(name: str, parts: Sequence[float]) -> float:
    """A metric of a step, from its updates."""
    return EXTREMES.get(name[-4:], lambda values: sum(values) / len(values))(parts)
