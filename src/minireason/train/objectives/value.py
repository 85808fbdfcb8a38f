"""A critic's loss: how far its values are from the returns that came, clipped as PPO's policy is.

Not in the paper (Schulman et al. 2017, arXiv 1707.06347), but in its authors' code; described by
Engstrom et al. 2020, arXiv 2005.12729, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from minireason.train.objectives import Metrics, Scores, Totals
from minireason.train.packing import MicroBatch


@dataclass(frozen=True, slots=True)
class ValueLoss:
    """Needs `returns` and `old_values` a token. A `clip` of infinity is the plain squared error."""

    clip: float = 0.2
    needs_entropy: ClassVar[bool] = False

    def __call__(
        self, scores: Scores, batch: MicroBatch, totals: Totals
    ) -> tuple[torch.Tensor, Metrics]:
        """Half the squared error, of the value or of the one held near the old, the larger; a mean
        over tokens."""
        assert scores.values_N is not None, "the model has no value head"
        old_values_N, returns_N = batch.values["old_values"], batch.values["returns"]
        moved_N = (scores.values_N - old_values_N).clamp(-self.clip, self.clip)
        error_N = (scores.values_N - returns_N).square()
        clipped_error_N = (old_values_N + moved_N - returns_N).square()
        loss = 0.5 * torch.maximum(error_N, clipped_error_N).sum() / totals.num_targets
        metrics = {
            "value": scores.values_N.detach().sum() / totals.num_targets,
            "clip_fraction": (clipped_error_N > error_N).sum() / totals.num_targets,
        }
        return loss, metrics
