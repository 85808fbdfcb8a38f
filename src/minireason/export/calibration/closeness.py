"""How near a model that is rounded comes to what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from minireason.export.calibration.distilled import divergence
from minireason.model.head import declared_form
from minireason.train.forward import target_states
from minireason.train.packing import MicroBatch, Unit, collate, pack, unit_lengths


@dataclass(frozen=True, slots=True)
class Closeness:
    """How near a rounded model is to the unrounded one over held-out response tokens.

    `divergence` is KL(unrounded || rounded) in nats a token; `agreement` the share of tokens for
    which both put the same one first.
    """

    divergence: float
    agreement: float


@torch.no_grad()
def closeness(original: Any, other: Any, batches: Sequence[MicroBatch]) -> Closeness:
    """How near a model is to the original over the target tokens."""
    form = declared_form(original.config)
    head, other_head = (model.get_output_embeddings().weight for model in (original, other))
    total = num_same = num_tokens = 0.0
    for batch in batches:
        batch = batch.to(original.device)
        states_ND, others_ND = (target_states(model, batch) for model in (original, other))
        total += float(divergence(states_ND, others_ND, head, other_head, form).sum())
        is_same_N = (states_ND @ head.T).argmax(1) == (others_ND @ other_head.T).argmax(1)
        num_same += int(is_same_N.sum())
        num_tokens += len(is_same_N)
    return Closeness(total / num_tokens, num_same / num_tokens)


def in_batches(units: Sequence[Unit], num_tokens: int = 2048) -> list[MicroBatch]:
    """The units in micro-batches of one row each, of `num_tokens` tokens or the longest unit's."""
    lengths = unit_lengths(units)
    rows = pack(lengths, max(num_tokens, int(lengths.max())))
    return [collate([[units[i] for i in row]]) for row in rows]
