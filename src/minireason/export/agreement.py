"""How closely an export follows its original, position by position and response by response.

Arrays are of one response: T positions, each with the logits before a token that the original took.
Sums run in float64, a block of positions at a time, so that float32 logits lose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minireason.errors import MinireasonError

Floats = NDArray[np.float64]
LOGITS_PER_BLOCK = 1 << 22
"""Logits held at once in float64 (32 MiB): 20 positions of a vocabulary of 200,064."""


class BrokenError(MinireasonError, RuntimeError):
    """A model does not load, or what it says is no distribution over the original's tokens."""


@dataclass(frozen=True, slots=True)
class Positions:
    """What is compared, each of shape [T].

    Whether the likeliest token is the same; how far the log-probabilities of the token taken lie
    apart; KL(original || export). Both in nats.
    """

    is_agreed: NDArray[np.bool_]
    distance: Floats
    kl: Floats


def rows_per_block(vocab_size: int) -> int:
    """How many positions are compared at once."""
    return max(1, LOGITS_PER_BLOCK // vocab_size)


def compare_positions(
    original: NDArray[np.float32], exported: NDArray[np.float32], taken: Sequence[int]
) -> Positions:
    """Compare logits [T, V] of the same positions, before the tokens `taken` [T].

    Raises BrokenError where the export has another vocabulary or a number is not finite.
    """
    if original.shape != exported.shape:
        raise BrokenError(
            f"the export's logits are {exported.shape[0]} x {exported.shape[1]} where the "
            f"original's are {original.shape[0]} x {original.shape[1]}"
        )
    if not np.isfinite(exported).all():
        num = int((~np.isfinite(exported)).sum())
        raise BrokenError(f"{num:,} of {exported.size:,} logits of the export are not finite")
    ours, theirs = _logprobs(original), _logprobs(exported)
    places = np.arange(len(taken)), np.asarray(taken, dtype=np.int64)
    return Positions(
        is_agreed=original.argmax(axis=1) == exported.argmax(axis=1),
        distance=np.abs(ours[places] - theirs[places]),
        kl=np.maximum((np.exp(ours) * (ours - theirs)).sum(axis=1), 0.0),
    )


def joined(parts: Sequence[Positions]) -> Positions:
    """One behind the other."""
    return Positions(
        np.concatenate([part.is_agreed for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.kl for part in parts]),
    )


def num_same(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens stand before the first difference."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _logprobs(logits: NDArray[np.float32]) -> Floats:
    """log softmax over the vocabulary, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
