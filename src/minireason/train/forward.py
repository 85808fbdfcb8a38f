"""The forward pass of training: from packed rows to the target tokens' log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from minireason.model.logprobs import token_logprobs
from minireason.train.objectives import Scores
from minireason.train.packing import MicroBatch, Unit, collate, pack, packed_mask, unit_length


def score(model: Any, batch: MicroBatch, temperature: float = 1.0) -> Scores:
    """Log-probability of every target token given the tokens before it in its own sequence."""
    hidden_BTD = model.base_model(
        input_ids=batch.ids_BT,
        position_ids=batch.positions_BT,
        attention_mask=packed_mask(batch.segments_BT),
        use_cache=False,
    ).last_hidden_state
    rows_N, columns_N = batch.target_rows_N, batch.target_columns_N
    logprobs_N, entropy_N = token_logprobs(
        hidden_BTD[rows_N, columns_N - 1],
        model.get_output_embeddings().weight,
        batch.ids_BT[rows_N, columns_N],
        temperature,
        with_entropy=True,
    )
    assert entropy_N is not None  # asked for
    return Scores(logprobs_N, entropy_N)


@torch.no_grad()
def score_units(
    model: Any,
    units: Sequence[Unit],
    seq_length: int,
    micro_batch_size: int,
    temperature: float = 1.0,
) -> list[list[np.ndarray]]:
    """Log-probabilities of each unit's sequences, without gradients: a reference model's view."""
    rows = pack([unit_length(unit) for unit in units], seq_length)
    scored: list[list[np.ndarray]] = [[] for _ in units]
    for start in range(0, len(rows), micro_batch_size):
        part = rows[start : start + micro_batch_size]
        batch = collate([[units[i] for i in row] for row in part]).to(model.device)
        logprobs_N = score(model, batch, temperature).logprobs_N.float().cpu().numpy()
        order = [i for row in part for i in row]
        counts = [s.num_targets for i in order for s in units[i]]
        pieces = iter(np.split(logprobs_N, np.cumsum(counts)[:-1]))
        for i in order:
            scored[i] = [next(pieces) for _ in units[i]]
    return scored
