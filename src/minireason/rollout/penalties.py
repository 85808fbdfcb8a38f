"""What changes the logits before the draw: the repetition penalty and forbidden stop tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from minireason.rollout.sequence import LiveSequence


class Penalties:
    """Row i belongs to the i-th live sequence; the tokens it has seen are kept once one asks."""

    def __init__(self, num_rows: int, vocabulary: int, device: torch.device) -> None:
        self._shape = num_rows, vocabulary
        self._factor = torch.ones(num_rows, device=device)
        self._is_seen_BV: torch.Tensor | None = None

    def add(self, rows: slice, sequences: Sequence[LiveSequence]) -> None:
        """Take in the prompts and responses of new rows."""
        factors = [one.request.params.repetition_penalty for one in sequences]
        if self._is_seen_BV is None:
            if all(factor == 1 for factor in factors):
                return
            self._is_seen_BV = torch.zeros(
                self._shape, dtype=torch.bool, device=self._factor.device
            )
        device = self._factor.device
        self._factor[rows] = torch.tensor(factors, device=device)
        self._is_seen_BV[rows] = False
        for row, sequence in enumerate(sequences, rows.start):
            self._is_seen_BV[row, torch.tensor(sequence.context, device=device)] = True

    def append(self, rows: slice, tokens_B: torch.Tensor) -> None:
        """Note the tokens that the rows got."""
        if self._is_seen_BV is not None:
            self._is_seen_BV[rows].scatter_(1, tokens_B[:, None], True)

    def move(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Copy rows, here to there."""
        if self._is_seen_BV is not None:
            self._factor[target] = self._factor[source]
            self._is_seen_BV[target] = self._is_seen_BV[source]

    def adjusted(
        self, logits_BV: torch.Tensor, rows: slice, sequences: Sequence[LiveSequence]
    ) -> torch.Tensor | None:
        """The logits to draw from, or None where they are the model's own."""
        adjusted_BV = None
        if self._is_seen_BV is not None:
            logits_BV = logits_BV.float()
            factor_B1 = self._factor[rows, None]
            by_factor = torch.where(logits_BV < 0, logits_BV * factor_B1, logits_BV / factor_B1)
            adjusted_BV = torch.where(self._is_seen_BV[rows], by_factor, logits_BV)
        forbidden = [
            (row, token)
            for row, one in enumerate(sequences)
            if one.forbids_stops
            for token in one.stop_ids
        ]
        if forbidden:
            if adjusted_BV is None:
                adjusted_BV = logits_BV.float().clone()
            where = torch.tensor(forbidden, device=logits_BV.device)
            adjusted_BV[where[:, 0], where[:, 1]] = -torch.inf
        return adjusted_BV
