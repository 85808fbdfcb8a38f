"""The length-aware accuracy reward of Phi-4-reasoning-plus (arXiv 2504.21318, section 4.1).

A right answer is worth more the shorter it is, a wrong one costs less the longer it was thought
about; both along half a cosine.

1. The paper's lengths belong to its limit of 31,744 tokens: a right answer loses from 25,600 on, a
   wrong one has its least punishment from 3,702 on. Here they are the same shares (25/31, 0.117)
   of `max_tokens`.
2. A response that is cut off in its thinking is incomplete, not malformed: it gets -0.5.
3. Thinking is malformed where marks of it are no pair. Without any mark there is nothing to punish:
   the prompt may have opened it, or the model may not mark it. The reward `format` asks for it.
"""

from __future__ import annotations

import math

from minireason.rl.rewards.format import is_thinking_broken
from minireason.rl.rewards.response import JudgedResponse

LONG = 25_600 / 31_744
SHORT = 3_702 / 31_744
INCOMPLETE = -0.5
MALFORMED = -1.0


def length(response: JudgedResponse) -> float | None:
    """From 1 down to 0.5 for a right answer, from -1 up to -0.5 for a wrong one.

    -0.5 for an incomplete response and -1 for malformed thinking, whatever the answer; None for an
    answer that cannot be read.
    """
    if response.decision.verdict == "unknown":
        return None
    if response.finish_reason == "length":
        return INCOMPLETE
    if is_thinking_broken(response.text):
        return MALFORMED
    used = response.num_tokens / response.max_tokens
    if response.decision.verdict == "correct":
        return half_cosine(1.0, 0.5, (used - LONG) / (1.0 - LONG))
    return half_cosine(-1.0, -0.5, used / SHORT)


def half_cosine(start: float, end: float, share: float) -> float:
    """From `start` at share 0 (and below) to `end` at 1 (and above)."""
    share = min(1.0, max(0.0, share))
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * share))
