"""From the logits of one position to a token: `rollout.logits` for one row, in numpy.

The order of the settings, the random numbers and the two draws are the same, so that the same seed
draws the same token from the same logits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minireason.edge.runtime import Logits
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.splitmix import GAMMA, WORD, mix


class Drawn(NamedTuple):
    """A token with its log-probability at the sampling temperature and at 1, in nats."""

    token: int
    logprob: float
    raw_logprob: float


def draw(
    logits_V: Logits,
    params: SamplingParams,
    step: int,
    adjusted_V: Logits | None = None,
    forced: int | None = None,
) -> Drawn:
    """The token of this step, from the adjusted logits where there are any.

    The log-probabilities are of the model's own logits, before top-k, top-p and min-p. A `forced`
    token is taken instead of a drawn one.
    """
    drawn_from = logits_V if adjusted_V is None else adjusted_V
    scale = np.float32(params.temperature or 1.0)
    if forced is not None:
        token = forced
    elif params.temperature == 0:
        token = int(drawn_from.argmax())
    else:
        token = _sampled(_softmax(drawn_from / scale), params, step)
    raw = _logprob(logits_V, token)
    return Drawn(token, raw if scale == 1 else _logprob(logits_V / scale, token), raw)


def uniform(seed: int, step: int, draw: int) -> np.float32:
    """A number strictly between 0 and 1, a pure function of its arguments."""
    word = (mix(seed & WORD) + (2 * step + draw + 1) * GAMMA) & WORD
    word = mix(word)
    return np.float32(((word >> 41) + 0.5) * 2.0**-23)


def _sampled(probs_V: NDArray[np.float32], params: SamplingParams, step: int) -> int:
    token = _inverted(probs_V, uniform(params.seed, step, 0))
    is_whole = params.top_k == 0 and params.top_p >= 1 and params.min_p == 0
    if is_whole or _is_kept(probs_V, token, params):
        return token
    return _sampled_sorted(probs_V, params, uniform(params.seed, step, 1))


def _inverted(probs_V: NDArray[np.float32], number: np.float32) -> int:
    """The first token whose cumulative probability exceeds the number."""
    cumulative = probs_V.cumsum(dtype=np.float32)
    place = int(cumulative.searchsorted(number * cumulative[-1], side="right"))
    return min(place, len(probs_V) - 1)


def _is_kept(probs_V: NDArray[np.float32], token: int, params: SamplingParams) -> bool:
    """Whether the token survives the truncation; False where only a sort would tell (top-k)."""
    own = probs_V[token]
    if params.top_k or own < params.min_p * probs_V.max():
        return False
    before = probs_V > own
    before[:token] |= probs_V[:token] == own
    return params.top_p >= 1 or float((probs_V * before).sum()) < params.top_p


def _sampled_sorted(
    probs_V: NDArray[np.float32], params: SamplingParams, number: np.float32
) -> int:
    """Draw from the truncated distribution: top-k, then top-p of what top-k left, then min-p."""
    order = np.argsort(-probs_V, kind="stable")[: params.top_k or None]
    ranked = probs_V[order]
    if params.top_p < 1:
        before = ranked.cumsum(dtype=np.float32) - ranked
        ranked = ranked * (before < np.float32(params.top_p) * ranked.sum())
    ranked = ranked * (ranked >= np.float32(params.min_p) * ranked[0])
    return int(order[_inverted(ranked, number)])


def _softmax(logits_V: Logits) -> NDArray[np.float32]:
    powers = np.exp(logits_V - logits_V.max())
    return powers / powers.sum()


def _logprob(logits_V: Logits, token: int) -> float:
    most = logits_V.max()
    return float(logits_V[token] - most - np.log(np.exp(logits_V - most).sum()))
