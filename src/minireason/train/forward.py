"""The forward pass of training: from packed rows to the target tokens' log-probabilities, or to a
critic's values of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from minireason.model.head import declared_form
from minireason.model.logprobs import token_logprobs
from minireason.model.packed import hidden_states
from minireason.model.precision import precision_of
from minireason.train.objectives import Scores
from minireason.train.packing import MicroBatch, Unit, collate, pack, unit_lengths


class Scorer(torch.nn.Module):
    """A causal language model that returns log-probabilities of the target tokens, not logits.

    Where the weights are sharded this module is the root, so that the head's matrix is whole
    while it is used.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: MicroBatch, temperature: float, with_entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Log-probabilities and entropies of the N target tokens, as `Scores` names them."""
        scores = score(self.model, batch, temperature, with_entropy=with_entropy)
        return scores.logprobs_N, scores.entropy_N


class ValueScorer(torch.nn.Module):
    """A causal language model whose head becomes one linear to a scalar: the value of being about
    to give each target token.

    The head has zeros at first, so that every value is 0. It has no bias, since the hidden states
    before it are normalised: their weights raise all values together, and sooner.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        # only now: the new head must stay trainable whatever adapters have frozen
        width = model.get_output_embeddings().weight.shape[1]
        head = torch.nn.Linear(width, 1, bias=False, device=model.device)
        torch.nn.init.zeros_(head.weight)
        model.set_output_embeddings(head)
        self.model = model

    def forward(
        self, batch: MicroBatch, temperature: float, with_entropy: bool
    ) -> tuple[torch.Tensor, None, torch.Tensor]:
        """Values of the N target tokens, as `Scores` names them; there is no temperature."""
        hidden_ND = target_states(self.model, batch).float()
        values_N = self.model.get_output_embeddings()(hidden_ND)[:, 0]
        return values_N.new_zeros(0), None, values_N


def score(
    model: Any, batch: MicroBatch, temperature: float = 1.0, *, with_entropy: bool = False
) -> Scores:
    """Log-probability of every target token given the tokens before it in its own sequence."""
    hidden_ND = target_states(model, batch)
    with precision_of(model):
        return Scores(
            *token_logprobs(
                hidden_ND,
                model.get_output_embeddings().weight,
                batch.ids_BT[batch.target_rows_N, batch.target_columns_N],
                temperature,
                form=declared_form(model.config),
                with_entropy=with_entropy,
            )
        )


def target_states(model: Any, batch: MicroBatch) -> torch.Tensor:
    """Last hidden states [N, D] of the tokens before the targets, which those come from."""
    # A process without work still takes part in the pass over sharded weights, with one token.
    segments_BT = batch.segments_BT if batch.num_sequences else batch.segments_BT + 1
    rows_N, columns_N = batch.target_rows_N, batch.target_columns_N
    return hidden_states(
        model, batch.ids_BT, batch.positions_BT, segments_BT, rows_N, columns_N - 1
    )


@torch.no_grad()
def score_units(
    model: Any,
    units: Sequence[Unit],
    seq_length: int,
    micro_batch_size: int,
    temperature: float = 1.0,
) -> list[list[np.ndarray]]:
    """Log-probabilities of each unit's sequences, without gradients: a reference model's view."""
    rows = pack(unit_lengths(units), seq_length)
    scored: list[list[np.ndarray]] = [[] for _ in units]
    for start in range(0, len(rows), micro_batch_size):
        part = rows[start : start + micro_batch_size]
        batch = collate([[units[i] for i in row] for row in part]).to(model.device)
        logprobs_N = score(model, batch, temperature).logprobs_N
        order = [i for row in part for i in row]
        for i, logprobs in zip(order, apart(logprobs_N, [units[i] for i in order]), strict=True):
            scored[i] = logprobs
    return scored


def apart(numbers_N: torch.Tensor, units: Sequence[Unit]) -> list[list[np.ndarray]]:
    """Numbers of a micro-batch's target tokens as float32 arrays, one a sequence of each unit."""
    counts = [s.num_targets for unit in units for s in unit]
    arrays = iter(np.split(numbers_N.detach().float().cpu().numpy(), np.cumsum(counts)[:-1]))
    return [[next(arrays) for _ in unit] for unit in units]
