"""Decoupled clip and dynamic sampling policy optimisation, DAPO (Yu et al. 2025, arXiv 2503.14476).

GRPO's advantage (equation 9) with four changes: the upper clip range is wider, so that unlikely
tokens may still become likelier (section 3.1); groups that are all right or all wrong are sampled
anew (section 3.2, equation 11); every token counts the same, however long its response (section
3.3, equation 12); responses near the limit of length lose reward (section 3.4, equation 13). There
is no KL penalty (section 2.3).

1. Groups are replaced in at most `refill_rounds` rounds; the paper samples until the batch is full.
2. A group is without signal where all its rewards are equal; the paper looks at correctness alone,
   and would replace a group that only the overlong penalty tells apart.
"""

from __future__ import annotations

from minireason.rl.algorithm import Algorithm
from minireason.rl.algorithms.grpo import standardised

DAPO = Algorithm(standardised, average="tokens", clip_high=0.28, overlong_weight=1.0, refills=True)
