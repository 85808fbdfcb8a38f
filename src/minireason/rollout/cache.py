"""Keys and values of the sampler: one cache for prompts, one with a slot for each live sequence.

Both are handed to the model as `past_key_values`; which entries a query may see is said by the
engine's explicit mask alone. Layout is [slots, positions, heads, head_dim] a layer, so a token is
one contiguous row and is written by one `index_copy_`.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache


class PromptCache(Cache):
    """Keeps what one forward pass over whole prompts computes: [B, T, Hkv, D] a layer."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if layer_idx != len(self.keys):
            raise RuntimeError(
                f"layer {layer_idx} stored its keys when layer {len(self.keys)} was due; "
                "the sampler serves models in which every layer attends"
            )
        self.keys.append(key_states.transpose(1, 2))
        self.values.append(value_states.transpose(1, 2))
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def get_mask_sizes(self, query_length: Any, layer_idx: int = 0) -> tuple[int, int]:
        return int(query_length), 0

    def row(self, row: int) -> PromptCache:
        """A copy of one row, so that the memory of the others can go."""
        kept = PromptCache()
        kept.keys = [keys[row : row + 1].clone() for keys in self.keys]
        kept.values = [values[row : row + 1].clone() for values in self.values]
        return kept


class SlotCache(Cache):
    """One slot a live sequence; the live ones are always the slots 0 to n - 1.

    A masked entry must still be a finite number (0 times NaN is NaN), so a slot is cleared before
    it gets an owner. `length` is how many positions a slot can hold now; `grow` makes it longer.
    """

    def __init__(self, like: PromptCache, num_slots: int, length: int) -> None:
        super().__init__(layers=[])
        self.length = length
        self.keys = [_allocate(keys, num_slots, length) for keys in like.keys]
        self.values = [_allocate(values, num_slots, length) for values in like.values]
        self._rows = self._span = 0
        self._index = torch.empty(0, dtype=torch.int64)

    def admit(
        self, first: int, prompts: PromptCache, source_B: torch.Tensor, lengths_B: torch.Tensor
    ) -> None:
        """Copy row `source_B[i]` of the prompts, `lengths_B[i]` long, to slot `first + i`."""
        width = prompts.keys[0].shape[1]
        position = torch.arange(width, device=source_B.device)
        is_token = position < lengths_B[:, None]
        slot = torch.arange(first, first + len(source_B), device=source_B.device)
        read = (source_B * width + width - lengths_B)[:, None] + position
        write = (slot * self.length)[:, None] + position
        read, write = read[is_token], write[is_token]
        for mine, theirs in zip(
            self.keys + self.values, prompts.keys + prompts.values, strict=True
        ):
            mine[first : first + len(source_B)] = 0
            mine.flatten(0, 1).index_copy_(0, write, theirs.flatten(0, 1).index_select(0, read))

    def step(self, positions_B: torch.Tensor, span: int) -> None:
        """Set where the next token of each live slot is written and how far attention reads."""
        self._rows, self._span = len(positions_B), span
        slots = torch.arange(self._rows, device=positions_B.device)
        self._index = slots * self.length + positions_B

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        keys.flatten(0, 1).index_copy_(0, self._index, key_states[:, :, 0])
        values.flatten(0, 1).index_copy_(0, self._index, value_states[:, :, 0])
        rows, span = self._rows, self._span
        return keys[:rows, :span].transpose(1, 2), values[:rows, :span].transpose(1, 2)

    def move(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Copy whole slots, here to there; the two sets are disjoint."""
        for states in self.keys + self.values:
            states.index_copy_(0, target, states.index_select(0, source))

    def grow(self, length: int) -> None:
        """Lengthen every slot, layer by layer, so that only one layer is held twice."""
        for states in (self.keys, self.values):
            for layer, old in enumerate(states):
                states[layer] = old.new_zeros(old.shape[0], length, *old.shape[2:])
                states[layer][:, : self.length] = old
        self.length = length

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._span - 1

    def get_mask_sizes(self, query_length: Any, layer_idx: int = 0) -> tuple[int, int]:
        return self._span, 0


def _allocate(like: torch.Tensor, num_slots: int, length: int) -> torch.Tensor:
    return like.new_empty(num_slots, length, *like.shape[2:])
