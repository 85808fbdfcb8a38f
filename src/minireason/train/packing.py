"""Rows of several examples, kept apart exactly, and the micro-batches made of them.

A *unit* is what may not be torn apart (an example, or a pair's two sequences). Units are packed
into rows by best-fit decreasing (D. S. Johnson, Near-optimal bin packing algorithms, 1973: at
most 11/9 of the fewest rows), or else laid end to end and cut, where parts of examples may train.
Each sequence attends to itself alone and its positions start at 0 (`model/packed.py`), so a packed
row computes what separate rows would.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Token ids of one sequence; the last `num_targets` of them are scored by the objective.

    `values` are numbers per target token (old log-probabilities) or per sequence (an advantage).
    """

    ids: Sequence[int] | np.ndarray
    num_targets: int
    values: Mapping[str, Sequence[float] | np.ndarray | float] = field(default_factory=dict)

    def on_all_tokens(self) -> TokenSequence:
        """The same with every token but the first, which nothing comes before, as a target."""
        return dataclasses.replace(self, num_targets=len(self.ids) - 1)


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


class Piece(NamedTuple):
    """Tokens `start` to `end` (exclusive) of a unit; without an `end`, all of it."""

    unit: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of pieces as flat arrays: an epoch may have ten million.

    Row r holds the pieces `bounds[r]` to `bounds[r + 1]`. `units` says of which unit each is, and
    `spans` [pieces, 2] which of its tokens it has, where units are cut.
    """

    units: np.ndarray
    bounds: np.ndarray
    spans: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, number: int) -> list[Piece]:
        part = slice(self.bounds[number], self.bounds[number + 1])
        units = self.units[part].tolist()
        if self.spans is None:
            return [Piece(unit) for unit in units]
        spans = self.spans[part].tolist()
        return [Piece(unit, *span) for unit, span in zip(units, spans, strict=True)]

    def __iter__(self) -> Iterator[list[Piece]]:
        return map(self.__getitem__, range(len(self)))

    def of(self, units: Sequence[Unit], number: int) -> list[Unit]:
        """What row `number` holds of these units."""
        return [
            units[piece.unit] if piece.end is None else cut(units[piece.unit], piece)
            for piece in self[number]
        ]

    def num_tokens(self, lengths: np.ndarray) -> np.ndarray:
        """Tokens of each row, of units of these lengths."""
        sizes = lengths[self.units] if self.spans is None else self.spans[:, 1] - self.spans[:, 0]
        return np.diff(np.concatenate([[0], np.cumsum(sizes)])[self.bounds])

    def reordered(self, order: np.ndarray) -> Rows:
        """These rows in another order."""
        counts = np.diff(self.bounds)[order]
        index = np.repeat(self.bounds[:-1][order], counts) + _counted(counts)
        spans = None if self.spans is None else self.spans[index]
        return Rows(self.units[index], np.concatenate([[0], np.cumsum(counts)]), spans)


Packing = Literal["best-fit", "split", "none"]


def lay_out(
    lengths: np.ndarray, capacity: int, packing: Packing, rng: np.random.Generator | None = None
) -> Rows:
    """Rows of units of these lengths; with a generator, drawn from all such rows in any order.

    Packing sees only the sorted lengths and splitting only their sum, so the number of rows does
    not depend on what is drawn; the order before it decides which units share a row.
    """
    order = rng.permutation(len(lengths)) if rng else np.arange(len(lengths))
    if packing == "best-fit":
        rows = best_fit(lengths[order], capacity)
    elif packing == "split":
        rows = concatenate(lengths[order], capacity)
    else:
        rows = Rows(np.arange(len(order)), np.arange(len(order) + 1))
    rows = dataclasses.replace(rows, units=order[rows.units])
    return rows.reordered(rng.permutation(len(rows))) if rng else rows


def pack(lengths: Sequence[int] | np.ndarray, capacity: int) -> list[list[int]]:
    """Indices of the units of each row, best-fit decreasing; raises if one exceeds `capacity`."""
    rows = best_fit(lengths, capacity)
    units = rows.units.tolist()
    return [units[first:end] for first, end in itertools.pairwise(rows.bounds.tolist())]


def best_fit(lengths: Sequence[int] | np.ndarray, capacity: int) -> Rows:
    """Whole units in rows, the longest first, each into the fullest row that it fits.

    Of the rows that fit equally well the first is taken. Free sizes are looked up in a bit set, so
    a unit takes time in `capacity` / 64, whatever the number of rows. Raises ValueError if a unit
    exceeds `capacity`.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if len(lengths) and lengths.max() > capacity:
        first = int(np.argmax(lengths > capacity))
        raise ValueError(f"unit {first} has {lengths[first]} tokens, a row holds {capacity}")
    placed = np.argsort(-lengths, kind="stable")
    row_of = np.fromiter(_placed(lengths[placed].tolist(), capacity), np.int64, len(placed))
    sizes = np.bincount(row_of)
    units = placed[np.argsort(row_of, kind="stable")]
    return Rows(units, np.concatenate([[0], np.cumsum(sizes)]))


def _placed(lengths: Iterable[int], capacity: int) -> Iterator[int]:
    """The row of each of the units, which come longest first."""
    rows_with_free: defaultdict[int, list[int]] = defaultdict(list)  # tokens: heap of rows
    free_sizes = num_rows = 0  # bit n of free_sizes is set where some row has n tokens free
    for length in lengths:
        fitting = free_sizes >> length
        if fitting:
            free = length + (fitting & -fitting).bit_length() - 1
            row = heapq.heappop(rows_with_free[free])
            if not rows_with_free[free]:
                free_sizes ^= 1 << free
        else:
            free, row = capacity, num_rows
            num_rows += 1
        heapq.heappush(rows_with_free[free - length], row)
        free_sizes |= 1 << (free - length)
        yield row


def concatenate(lengths: Sequence[int] | np.ndarray, capacity: int) -> Rows:
    """Units laid end to end in the order given and cut every `capacity` tokens: no padding.

    What a cut parts becomes two pieces, in two rows, and neither sees the other: the second is a
    sequence of its own, from position 0 (`cut`). A piece of one token would be neither a target nor
    context and is left out, so a row may be a token or two short.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.union1d(ends, np.arange(0, total + capacity, capacity).clip(max=total))
    is_kept = np.diff(cuts) > 1
    starts, stops = cuts[:-1][is_kept], cuts[1:][is_kept]
    units = np.searchsorted(ends, starts, side="right")
    spans = np.stack([starts, stops], axis=1) - (ends - lengths)[units, None]
    sizes = np.unique(starts // capacity, return_counts=True)[1]
    return Rows(units, np.concatenate([[0], np.cumsum(sizes)]), spans)


def cut(unit: Unit, piece: Piece) -> Unit:
    """The piece as a sequence of its own; every token but its first is a target.

    Raises ValueError for what cannot be cut without a change of meaning: a pair, a sequence with
    values, and one whose loss is not on all its tokens.
    """
    (sequence,) = unit if len(unit) == 1 else (None,)
    if sequence is None or sequence.values or sequence.num_targets != len(sequence.ids) - 1:
        raise ValueError(
            f"a unit of {len(unit)} sequences, {[s.num_targets for s in unit]} targets and "
            f"values {[list(s.values) for s in unit]} cannot be cut; pack it whole"
        )
    ids = sequence.ids[piece.start : piece.end]
    return [TokenSequence(ids, len(ids) - 1)]


def unit_lengths(units: Sequence[Unit]) -> np.ndarray:
    """Tokens of each unit; who knows them without its tokens (`TokenStore`) is asked."""
    known = getattr(units, "lengths", None)
    return np.fromiter(map(unit_length, units), np.int64) if known is None else known


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
