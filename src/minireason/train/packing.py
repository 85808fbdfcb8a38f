"""Rows of several examples, kept apart exactly, and the micro-batches made of them.

A *unit* is what may not be torn apart (an example, or a pair's two sequences). Units are packed
into rows by best-fit decreasing (D. S. Johnson, Near-optimal bin packing algorithms, 1973: at
most 11/9 of the fewest rows), or else laid end to end and cut, where parts of examples may train.
Attention is limited to a sequence by an explicit mask and positions start at 0 in each, so a
packed row computes what separate rows would.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Token ids of one sequence; the last `num_targets` of them are scored by the objective.

    `values` are numbers per target token (old log-probabilities) or per sequence (an advantage).
    """

    ids: Sequence[int] | np.ndarray
    num_targets: int
    values: Mapping[str, Sequence[float] | float] = field(default_factory=dict)


Unit = Sequence[TokenSequence]

_NONE = np.zeros(0, dtype=np.int64)


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

    @property
    def num_padding(self) -> int:
        return self.ids_BT.numel() - self.num_tokens

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
    """Indices of the units of each row, best-fit decreasing; raises if one exceeds `capacity`.

    Of the rows that fit equally well the first is taken. Free sizes are looked up in a bit set, so
    a unit takes time in `capacity` / 64, whatever the number of rows.
    """
    lengths = [int(length) for length in lengths]  # a NumPy integer would overflow the bit set
    too_long = [i for i, length in enumerate(lengths) if length > capacity]
    if too_long:
        raise ValueError(
            f"unit {too_long[0]} has {lengths[too_long[0]]} tokens, a row holds {capacity}"
        )
    rows: list[list[int]] = []
    rows_with_free: defaultdict[int, list[int]] = defaultdict(list)  # tokens: heap of rows
    free_sizes = 0  # bit n is set where some row has n tokens free
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[index]
        fitting = free_sizes >> length
        if fitting:
            free = length + (fitting & -fitting).bit_length() - 1
            row = heapq.heappop(rows_with_free[free])
            if not rows_with_free[free]:
                free_sizes ^= 1 << free
        else:
            free, row = capacity, len(rows)
            rows.append([])
        rows[row].append(index)
        heapq.heappush(rows_with_free[free - length], row)
        free_sizes |= 1 << (free - length)
    return rows


class Piece(NamedTuple):
    """Tokens `start` to `end` (exclusive) of a unit."""

    unit: int
    start: int
    end: int


def concatenate(lengths: Sequence[int], capacity: int) -> list[list[Piece]]:
    """Units laid end to end in the order given and cut every `capacity` tokens: no padding.

    What a cut parts becomes two pieces, in two rows, and neither sees the other: the second is a
    sequence of its own, from position 0 (`cut`). A piece of one token would be neither a target nor
    context and is left out, so a row may be a token or two short.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.union1d(ends, np.arange(0, total + capacity, capacity).clip(max=total))
    starts, stops = cuts[:-1], cuts[1:]
    units = np.searchsorted(ends, starts, side="right")
    firsts = ends[units] - np.asarray(lengths, dtype=np.int64)[units]
    rows: dict[int, list[Piece]] = defaultdict(list)
    for row, unit, start, end in zip(
        *(x.tolist() for x in (starts // capacity, units, starts - firsts, stops - firsts)),
        strict=True,
    ):
        if end - start > 1:
            rows[row].append(Piece(unit, start, end))
    return list(rows.values())


def cut(sequence: TokenSequence, piece: Piece) -> TokenSequence:
    """The piece as a sequence of its own; every token but its first is a target."""
    if sequence.values:
        raise ValueError(
            f"a sequence with values ({', '.join(sequence.values)}) cannot be cut; pack it whole"
        )
    return TokenSequence(sequence.ids[piece.start : piece.end], piece.end - piece.start - 1)


def unit_length(unit: Unit) -> int:
    return sum(len(sequence.ids) for sequence in unit)


def collate(rows: Sequence[Sequence[Unit]], names: Iterable[str] = ()) -> MicroBatch:
    """Lay units out in rows, padded to the longest row; no rows give one token of padding.

    `names` are of values that are wanted even where no sequence is there to have them. Raises
    ValueError for a sequence without a target or without a token before its targets, and for
    values that are neither one a target token nor one a sequence.
    """
    sequences = [s for row in rows for unit in row for s in unit]
    for sequence in sequences:
        if not 0 < sequence.num_targets < len(sequence.ids):
            raise ValueError(
                f"{sequence.num_targets} targets in a sequence of {len(sequence.ids)} tokens"
            )
    length_S = np.array([len(s.ids) for s in sequences], dtype=np.int64)
    targets_S = np.array([s.num_targets for s in sequences], dtype=np.int64)
    row_S = np.repeat(np.arange(len(rows)), [sum(map(len, row)) for row in rows])
    length_B = np.zeros(max(1, len(rows)), dtype=np.int64)
    np.add.at(length_B, row_S, length_S)
    column_S = _starts(length_S) - _starts(length_B)[row_S]  # of a sequence's first token

    # A row's tokens stand together, so the tokens of all sequences fill it from left to right.
    is_token_BT = np.arange(max(1, length_B.max())) < length_B[:, None]
    ids_BT, positions_BT, segments_BT = np.zeros((3, *is_token_BT.shape), dtype=np.int64)
    ids_BT[is_token_BT] = np.concatenate([_NONE, *(s.ids for s in sequences)])
    positions_BT[is_token_BT] = _counted(length_S)
    segments_BT[is_token_BT] = np.repeat(np.arange(len(sequences)) + 1, length_S)
    names = dict.fromkeys([*names, *(name for s in sequences for name in s.values)])
    columns_N = np.repeat(column_S + length_S - targets_S, targets_S) + _counted(targets_S)
    return MicroBatch(
        ids_BT=torch.from_numpy(ids_BT),
        positions_BT=torch.from_numpy(positions_BT),
        segments_BT=torch.from_numpy(segments_BT),
        target_rows_N=torch.from_numpy(np.repeat(row_S, targets_S)),
        target_columns_N=torch.from_numpy(columns_N),
        sequence_N=torch.from_numpy(np.repeat(np.arange(len(sequences)), targets_S)),
        num_sequences=len(sequences),
        values={name: _laid_out(name, sequences) for name in names},
    )


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes) - sizes


def _counted(sizes: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... for each size: [2, 3] gives [0, 1, 0, 1, 2]."""
    return np.arange(sizes.sum()) - np.repeat(_starts(sizes), sizes)


def _laid_out(name: str, sequences: Sequence[TokenSequence]) -> torch.Tensor:
    """The named value of every target token."""
    parts = [np.empty(0, dtype=np.float32)]
    for sequence in sequences:
        num_targets, value = sequence.num_targets, sequence.values.get(name, ())
        part = np.asarray(value, dtype=np.float32)
        if part.shape not in ((), (num_targets,)):
            raise ValueError(f"{name} is not given for each of {num_targets} target tokens")
        parts.append(np.broadcast_to(part, num_targets))
    return torch.from_numpy(np.concatenate(parts))
