"""Two-staged history-resampling policy optimisation, SRPO (Zhang et al. 2025, arXiv 2504.14286).

GRPO's advantage, every token counting the same and no KL penalty, with history resampling: a
question whose responses were all correct gives no gradient and is left out of the next epoch, one
with mixed or only wrong responses stays, since the policy may come to solve it (`rl/history.py`).

1. The paper filters at the end of each epoch. Steps here draw questions without epochs, so a
   question is left out from the moment its responses were all correct.
2. The paper's first meaning of "two-staged", mathematics before code, is a choice of data.
3. The clip range is GRPO's; we found none in the paper.
"""

from __future__ import annotations

from minireason.rl.algorithm import Algorithm
from minireason.rl.algorithms.grpo import standardised

SRPO = Algorithm(standardised, average="tokens", keeps_history=True)
