"""The live sequences of the sampler: what was sampled so far and where each one stands.

Row i of everything here belongs to slot i of the cache. What the model and the draw need lies on
the model's device; what decides who is finished lies on the host, in numpy, without a loop a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from minireason.rollout.logits import Settings
from minireason.rollout.sampling import SamplingParams


class LiveBatch:
    """Up to `capacity` sequences, of which the first `num_rows` are alive."""

    def __init__(
        self, params: Sequence[SamplingParams], capacity: int, device: torch.device
    ) -> None:
        self._all = Settings.of(params, device)  # by request
        none = torch.zeros(capacity, dtype=torch.int64, device=device)
        self.num_rows = 0
        self.last = none.clone()  # the token to feed next
        self.position = none.clone()  # and where it stands
        self.settings = self._all.rows(none)
        longest = max(p.max_tokens for p in params)
        self._max_tokens = np.array([p.max_tokens for p in params])
        self._tokens = np.zeros((capacity, longest), dtype=np.int64)
        self._logprobs = np.zeros((capacity, longest), dtype=np.float32)
        self._request, self._count, self._limit, self._end = np.zeros((4, capacity), dtype=np.int64)

    def add(self, requests: Sequence[int], prompt_lengths: Sequence[int]) -> slice:
        """Append rows for these requests; return where they are."""
        new = slice(self.num_rows, self.num_rows + len(requests))
        self.num_rows = new.stop
        chosen = torch.tensor(requests, device=self.last.device)
        for mine, theirs in zip(self.settings.tensors(), self._all.tensors(), strict=True):
            mine[new] = theirs[chosen]
        self.position[new] = torch.tensor(prompt_lengths, device=self.last.device)
        self._request[new], self._end[new] = requests, prompt_lengths
        self._count[new], self._limit[new] = 0, self._max_tokens[np.asarray(requests)]
        return new

    @property
    def longest(self) -> int:
        """How many positions the longest live sequence will fill once its last token is fed."""
        return int(self._end[: self.num_rows].max()) + 1

    def advance(self) -> None:
        """Note that the last token of every row was fed."""
        self.position[: self.num_rows] += 1
        self._end[: self.num_rows] += 1

    def append(
        self, rows: slice, tokens_B: torch.Tensor, logprobs_B: torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add a token to each of the rows; return host copies of both."""
        self.last[rows] = tokens_B
        self.settings.step[rows] += 1
        tokens, logprobs = tokens_B.cpu().numpy(), logprobs_B.cpu().numpy()
        at = np.arange(rows.start, rows.stop), self._count[rows]
        self._tokens[at], self._logprobs[at] = tokens, logprobs
        self._count[rows] += 1
        return tokens, logprobs

    def is_full(self, rows: slice) -> np.ndarray:
        """Which of the rows have all the tokens they may have."""
        return self._count[rows] == self._limit[rows]

    def result(self, row: int) -> tuple[int, list[int], list[float]]:
        """The request a row belongs to, its tokens and their log-probabilities."""
        count = self._count[row]
        tokens, logprobs = self._tokens[row, :count], self._logprobs[row, :count]
        return int(self._request[row]), tokens.tolist(), logprobs.tolist()

    def remove(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Close the gaps by moving rows from the end; return which moved, and to where."""
        left = self.num_rows - len(rows)
        source = np.setdiff1d(np.arange(left, self.num_rows), rows)
        target = rows[rows < left]
        self.num_rows = left
        for array in (self._tokens, self._logprobs, self._request, self._count, self._limit):
            array[target] = array[source]
        self._end[target] = self._end[source]
        device = self.last.device
        here, there = torch.from_numpy(source).to(device), torch.from_numpy(target).to(device)
        for tensor in (self.last, self.position, *self.settings.tensors()):
            tensor[there] = tensor[here]
        return here, there
