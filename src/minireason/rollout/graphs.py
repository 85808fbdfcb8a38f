"""Decoding steps as CUDA graphs: what the host launches kernel by kernel is replayed in one go.

A graph repeats the kernels of one step on the addresses they had. So tokens and positions lie in
buffers that stay, and everything that changes from step to step is computed from these two, on the
device: where keys are written, how far a row reads, the mask. Fixed in a graph are how many rows
there are and the bound on their lengths, each rounded up to a power of two; it is captured when
such a step is first met. Rows that fill up write to the start of their own free slot, which is
cleared before it gets an owner.

Weights that are updated in place, as an optimizer does and `Engine.load_weights`, are read anew by
every replay. Where the storage of a weight or of the cache has moved, the graphs are dropped. What
else the forward pass is made of must stay while sequences are alive: its modules, the adapters that
are active, the autocast. Nothing here has been run on a GPU; the tests record a step's operators on
a CPU and repeat them, as a graph does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from minireason.rollout.cache import SlotCache
from minireason.rollout.capture import Capture, Replay, cuda_capture
from minireason.rollout.forward import decode, padded_rows
from minireason.rollout.memory import SHORTEST

Forward = Callable[[PreTrainedModel, torch.Tensor, torch.Tensor, SlotCache], torch.Tensor]
"""`forward.decode`, or the same compiled."""


class DecodeGraphs:
    """The decoding steps of a model over one cache at a time, of up to `max_batch` rows."""

    def __init__(
        self,
        model: PreTrainedModel,
        max_batch: int,
        new_capture: Callable[[torch.device], Capture] = cuda_capture,
        forward: Forward = decode,
    ) -> None:
        self._model, self._new_capture, self._forward = model, new_capture, forward
        rows = _power_of_two(padded_rows(max_batch, model.device))
        self._tokens = torch.zeros(rows, dtype=torch.int64, device=model.device)
        self._positions = torch.zeros_like(self._tokens)
        self._logits: torch.Tensor | None = None
        self._graphs: dict[tuple[int, int], Replay] = {}
        self._capture: Capture | None = None
        self._is_given_up = False
        self._addresses: tuple[int, ...] = ()
        # Walking the modules takes longer than a step may.
        self._weights: list[tuple[dict[str, Any], str]] = [
            (tensors, name)
            for module in model.modules()
            for tensors in (module._parameters, module._buffers)
            for name, tensor in tensors.items()
            if tensor is not None
        ]

    def __len__(self) -> int:
        return len(self._graphs)

    def decode(
        self, tokens_B: torch.Tensor, positions_B: torch.Tensor, longest: int, cache: SlotCache
    ) -> torch.Tensor:
        """The logits [B, V] after one more token of each of the first slots, until the next call.

        `longest` is how many positions the longest fills with it. Where a step cannot be captured,
        a warning says so once, and decoding goes on without graphs.
        """
        num_rows = len(tokens_B)
        rows = min(_power_of_two(padded_rows(num_rows, tokens_B.device)), cache.num_slots)
        span = min(max(_power_of_two(longest), SHORTEST), cache.length)
        self._tokens[:num_rows] = tokens_B
        self._positions[:num_rows] = positions_B
        self._positions[num_rows:rows] = 0
        self._drop_if_moved(cache)
        replay = self._graphs.get((rows, span))
        if replay is None and not self._is_given_up:
            replay = self._captured(rows, span, cache)
        if replay is None:
            return self._step(rows, span, cache)[:num_rows]
        replay()
        assert self._logits is not None
        return self._logits[:num_rows]

    def _step(self, rows: int, span: int, cache: SlotCache) -> torch.Tensor:
        """What is captured: the eager step on the buffers, with every row alive."""
        positions_B = self._positions[:rows]
        cache.step(positions_B, ((0, rows, span),))
        return self._forward(self._model, self._tokens[:rows], positions_B, cache)

    def _captured(self, rows: int, span: int, cache: SlotCache) -> Replay | None:
        # A step may be run again: it writes the same keys to the same places.
        if self._logits is None:
            like = self._step(rows, span, cache)
            self._logits = like.new_empty(len(self._tokens), like.shape[-1])
        if self._capture is None:
            self._capture = self._new_capture(self._model.device)
        logits_BV = self._logits[:rows]
        try:
            replay = self._capture(lambda: logits_BV.copy_(self._step(rows, span, cache)))
        except RuntimeError as error:
            self._is_given_up = True
            warnings.warn(
                f"a decoding step of {rows} rows could not be captured as a CUDA graph ({error}); "
                "decoding goes on without graphs",
                stacklevel=2,
            )
            return None
        self._graphs[rows, span] = replay
        return replay

    def _drop_if_moved(self, cache: SlotCache) -> None:
        """Forget the graphs whose addresses are no longer those of the weights and the cache."""
        weights = [tensors[name].data_ptr() for tensors, name in self._weights]
        states = [states.data_ptr() for states in cache.keys + cache.values]
        addresses = (cache.num_slots, cache.length, *weights, *states)
        if addresses != self._addresses:
            self._graphs.clear()
            # The memory of graphs that are all gone cannot be shared any more.
            self._capture, self._logits, self._addresses = None, None, addresses


def _power_of_two(number: int) -> int:
    """The smallest one that is not less."""
    return 1 << (number - 1).bit_length()
