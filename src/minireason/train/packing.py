"""Rows of several examples, kept apart exactly, and the micro-batches made of them.

A *unit* is what may not be torn apart (an example, or a pair's two sequences). Units are packed
into rows by best-fit decreasing (D. S. Johnson, Near-optimal bin packing algorithms, 1973: at
most 11/9 of the fewest rows). Attention is limited to a sequence by an explicit mask and positions
start at 0 in each, so a packed row computes what separate rows would.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Token ids of one sequence; the last `num_targets` of them are scored by the objective.

    `values` are numbers per target token (old log-probabilities) or per sequence (an advantage).
    """

    ids: Sequence[int]
    num_targets: int
    values: Mapping[str, Sequence[float] | float] = field(default_factory=dict)


Unit = Sequence[TokenSequence]


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Packed rows. `segments_BT` numbers the sequence a token belongs to, 0 is padding.

    The N target tokens are in sequence order; `sequence_N` says which of the `num_sequences`
    sequences each belongs to and `values` holds what the objective needs for each of them.
    """

    ids_BT: torch.Tensor
    positions_BT: torch.Tensor
    segments_BT: torch.Tensor
    target_rows_N: torch.Tensor
    target_columns_N: torch.Tensor
    sequence_N: torch.Tensor
    num_sequences: int
    values: Mapping[str, torch.Tensor]

    @property
    def num_targets(self) -> int:
        return len(self.sequence_N)

    @property
    def num_tokens(self) -> int:
        return int((self.segments_BT > 0).sum())

    @property
    def lengths(self) -> list[int]:
        """Tokens of each of the sequences."""
        return torch.bincount(self.segments_BT.flatten())[1:].tolist()

    def to(self, device: torch.device | str) -> MicroBatch:
        """The same micro-batch on a device."""
        return dataclasses.replace(
            self,
            ids_BT=self.ids_BT.to(device),
            positions_BT=self.positions_BT.to(device),
            segments_BT=self.segments_BT.to(device),
            target_rows_N=self.target_rows_N.to(device),
            target_columns_N=self.target_columns_N.to(device),
            sequence_N=self.sequence_N.to(device),
            values={name: value.to(device) for name, value in self.values.items()},
        )


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of the units of each row, best-fit decreasing; raises if one exceeds `capacity`."""
    too_long = [i for i, length in enumerate(lengths) if length > capacity]
    if too_long:
        raise ValueError(
            f"unit {too_long[0]} has {lengths[too_long[0]]} tokens, a row holds {capacity}"
        )
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (free tokens, row), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        place = bisect.bisect_left(open_rows, (length, -1))
        free, row = open_rows.pop(place) if place < len(open_rows) else (capacity, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(index)
        bisect.insort(open_rows, (free - length, row))
    return rows


def unit_length(unit: Unit) -> int:
    return sum(len(sequence.ids) for sequence in unit)


def collate(rows: Sequence[Sequence[Unit]]) -> MicroBatch:
    """Lay units out in rows, padded to the longest row."""
    width = max(sum(unit_length(unit) for unit in row) for row in rows)
    ids_BT = torch.zeros(len(rows), width, dtype=torch.long)
    positions_BT = torch.zeros_like(ids_BT)
    segments_BT = torch.zeros_like(ids_BT)
    target_rows: list[int] = []
    target_columns: list[int] = []
    sequence_numbers: list[int] = []
    values: dict[str, list[float]] = {}
    number = 0
    for row_index, row in enumerate(rows):
        start = 0
        for sequence in (s for unit in row for s in unit):
            length, targets = len(sequence.ids), sequence.num_targets
            if not 0 < targets < length:
                raise ValueError(f"{targets} targets in a sequence of {length} tokens")
            end = start + length
            ids_BT[row_index, start:end] = torch.tensor(sequence.ids)
            positions_BT[row_index, start:end] = torch.arange(length)
            segments_BT[row_index, start:end] = number + 1
            target_rows += [row_index] * targets
            target_columns += range(end - targets, end)
            sequence_numbers += [number] * targets
            for name, value in sequence.values.items():
                per_token = [value] * targets if isinstance(value, int | float) else value
                values.setdefault(name, []).extend(per_token)
            for name, laid_out in values.items():
                if len(laid_out) != len(sequence_numbers):
                    raise ValueError(f"{name} is not given for each of {targets} target tokens")
            start, number = end, number + 1
    return MicroBatch(
        ids_BT=ids_BT,
        positions_BT=positions_BT,
        segments_BT=segments_BT,
        target_rows_N=torch.tensor(target_rows),
        target_columns_N=torch.tensor(target_columns),
        sequence_N=torch.tensor(sequence_numbers),
        num_sequences=number,
        values={name: torch.tensor(v, dtype=torch.float32) for name, v in values.items()},
    )


def packed_mask(segments_BT: torch.Tensor) -> torch.Tensor:
    """[B, 1, T, T], True where a token may look: at itself and earlier in its own sequence.

    Padding sees padding, so that no row of the mask is empty.
    """
    same_BTT = segments_BT[:, :, None] == segments_BT[:, None, :]
    return same_BTT.tril()[:, None]
