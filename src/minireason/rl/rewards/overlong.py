"""DAPO's soft overlong punishment (arXiv 2503.14476, equation 13).

The paper's buffer is 4,096 tokens of 20,480; here it is the same share of `max_tokens`.
"""

from __future__ import annotations

from minireason.rl.rewards.response import JudgedResponse

BUFFER = 4_096 / 20_480


def overlong(response: JudgedResponse) -> float:
    """0 up to the buffer before `max_tokens`, then linearly down to -1 at its end."""
    buffer = BUFFER * response.max_tokens
    left = response.max_tokens - response.num_tokens
    return max(-1.0, min(0.0, left / buffer - 1.0))
