"""Held-out loss, and when it no longer improves (paper: mid-training "until saturation")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from minireason.train.data import Row, share
from minireason.train.learner import Learner
from minireason.train.packing import Packing, Unit, collate, lay_out, unit_lengths


@dataclass(frozen=True, slots=True)
class Saturation:
    """Measured every `every` steps; saturated after `patience` measurements in a row that do not
    lower the best loss by `min_delta` nats a token."""

    every: int
    patience: int
    min_delta: float


@dataclass
class Validation:
    """The mean negative log-likelihood of held-out target tokens, in nats, as it develops.

    `rows` are laid out once; every process measures its share of them.
    """

    rows: Sequence[Row]
    micro_batch_size: int
    saturation: Saturation
    losses: list[tuple[int, float]] = field(default_factory=list)

    @staticmethod
    def of(
        units: Sequence[Unit],
        seq_length: int,
        micro_batch_size: int,
        saturation: Saturation,
        packing: Packing = "best-fit",
    ) -> Validation:
        """Held-out units in rows."""
        laid = lay_out(unit_lengths(units), seq_length, packing)
        rows = [laid.of(units, number) for number in range(len(laid))]
        return Validation(rows, micro_batch_size, saturation)

    def is_due(self, done: int, *, is_last: bool) -> bool:
        return is_last or done % self.saturation.every == 0

    def measure(self, done: int, learner: Learner) -> dict[str, float]:
        """The loss after `done` steps, as a metric."""
        num_targets = sum(s.num_targets for row in self.rows for unit in row for s in unit)
        learner.model.eval()
        with torch.no_grad():
            sums = [
                self._log_likelihood(part, learner)
                for part in share(self.rows, self.micro_batch_size, learner.world)
            ]
        learner.model.train()
        loss = -float(learner.gather(torch.stack(sums)).sum()) / num_targets
        self.losses.append((done, loss))
        return {"validation_loss": loss}

    def _log_likelihood(self, rows: Sequence[Row], learner: Learner) -> torch.Tensor:
        batch = collate(rows).to(learner.device)
        return learner.score(batch, 1.0, with_entropy=False).logprobs_N.double().sum()

    @property
    def best(self) -> tuple[int, float]:
        """The step and loss of the last improvement by `min_delta` or more."""
        best = (0, math.inf)
        for step, loss in self.losses:
            if loss <= best[1] - self.saturation.min_delta:
                best = (step, loss)
        return best

    @property
    def is_best(self) -> bool:
        return bool(self.losses) and self.best[0] == self.losses[-1][0]

    @property
    def is_saturated(self) -> bool:
        best_step, _ = self.best
        return sum(step > best_step for step, _ in self.losses) >= self.saturation.patience

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses = [(int(step), float(loss)) for step, loss in state.get("losses", [])]
