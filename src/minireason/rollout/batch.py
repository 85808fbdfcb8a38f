"""The live sequences of the sampler: which row is whose, and what the next step needs of each.

Row i of everything here belongs to slot i of the cache. What the model and the draw need lies on
the model's device; what decides who is finished lies on the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from minireason.rollout.forward import padded_rows
from minireason.rollout.logits import Sampled, Settings, sample
from minireason.rollout.penalties import Penalties
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.sequence import LiveSequence


class LiveBatch:
    """Up to `capacity` sequences, one a row, without gaps."""

    def __init__(self, capacity: int, vocabulary: int, device: torch.device) -> None:
        num_rows = padded_rows(capacity, device)
        self.sequences: list[LiveSequence] = []
        self.last = torch.zeros(num_rows, dtype=torch.int64, device=device)  # the token to feed
        self.position = torch.zeros_like(self.last)  # and where it stands
        self._filled = np.zeros(num_rows, dtype=np.int64)  # the same on the host
        self._settings = Settings.of([SamplingParams()] * num_rows, device)
        self._penalties = Penalties(num_rows, vocabulary, device)

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def longest(self) -> int:
        """How many positions the longest live sequence will fill once its last token is fed."""
        return int(self._filled[: len(self)].max(initial=-1)) + 1

    def add(self, sequences: Sequence[LiveSequence]) -> slice:
        """Append rows for sequences whose tokens so far are in the cache; return where they are."""
        new = slice(len(self), len(self) + len(sequences))
        device = self.last.device
        theirs = Settings.of([one.request.params for one in sequences], device)
        theirs.step += torch.tensor([len(one.token_ids) for one in sequences], device=device)
        for mine, other in zip(self._settings.tensors(), theirs.tensors(), strict=True):
            mine[new] = other
        lengths = [one.length for one in sequences]
        self.position[new] = torch.tensor(lengths, device=device)
        self._filled[new] = lengths
        self._penalties.add(new, sequences)
        self.sequences += sequences
        self._settings.note([one.request.params for one in self.sequences])
        return new

    def advance(self) -> None:
        """Note that the last token of every row was fed."""
        self.position[: len(self)] += 1
        self._filled[: len(self)] += 1

    def sample(self, rows: slice, logits_BV: torch.Tensor) -> Sampled:
        """Draw the next token of each of the rows, which becomes the one to feed."""
        sequences = self.sequences[rows]
        forced = {
            row: one.next_forced for row, one in enumerate(sequences) if one.next_forced is not None
        }
        adjusted_BV = self._penalties.adjusted(logits_BV, rows, sequences)
        drawn = sample(logits_BV, self._settings.rows(rows), adjusted_BV, forced)
        self.last[rows] = drawn.tokens_B
        self._settings.step[rows] += 1
        self._penalties.append(rows, drawn.tokens_B)
        return drawn

    def remove(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Close the gaps by moving rows from the end; return which moved, and to where."""
        left = len(self) - len(rows)
        gone = set(rows)
        source = [row for row in range(left, len(self)) if row not in gone]
        target = [row for row in rows if row < left]
        for here, there in zip(source, target, strict=True):
            self.sequences[there] = self.sequences[here]
        del self.sequences[left:]
        self._filled[target] = self._filled[source]
        device = self.last.device
        moved, to = torch.tensor([source, target], dtype=torch.int64, device=device)
        for tensor in (self.last, self.position, *self._settings.tensors()):
            tensor[to] = tensor[moved]
        self._penalties.move(moved, to)
        self._settings.note([one.request.params for one in self.sequences])
        return moved, to
