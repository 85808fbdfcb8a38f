"""What the loop trains on: units laid out in rows, the same for every (seed, step)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from minireason.errors import DataError
from minireason.seeding import derive_seed
from minireason.train.objectives import Totals
from minireason.train.packing import MicroBatch, Unit, collate, pack, unit_length
from minireason.world import ALONE, World

Row = Sequence[Unit]


@dataclass(frozen=True, slots=True)
class Update:
    """One optimizer update: this process's micro-batches, and the totals over all processes."""

    micro_batches: Sequence[MicroBatch]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Step:
    """One step's work: its optimizer updates and its own metrics.

    `temperature` divides the logits before the log-probabilities are taken.
    """

    updates: Sequence[Update]
    temperature: float = 1.0
    metrics: dict[str, float] = field(default_factory=dict)


class StepSource(Protocol):
    """Where steps come from. `step(n)` may depend on n, a seed and the weights, on nothing else.

    What it returns is the same whatever the number of processes, but for how it is dealt out.
    """

    num_steps: int

    def step(self, number: int) -> Step: ...

    def largest(self) -> MicroBatch:
        """A micro-batch as large as any will be, to try the memory with."""


def deal(costs: Sequence[int], num_ranks: int, size: int) -> list[list[list[int]]]:
    """Rows to processes and micro-batches: `dealt[rank][i]` are the rows of micro-batch i.

    Each process gets equally many micro-batches of at most `size` rows (some may be empty), since
    all must take part in every pass over a sharded model. Rows of like cost run at the same time,
    so that none waits long for another. One process keeps the given order.
    """
    order = list(range(len(costs)))
    if num_ranks > 1:
        order.sort(key=lambda row: -costs[row])
    width = num_ranks * size
    there_and_back = [*range(num_ranks), *reversed(range(num_ranks))]
    dealt: list[list[list[int]]] = [[] for _ in range(num_ranks)]
    for start in range(0, len(order), width):
        together = order[start : start + width]
        for rank in range(num_ranks):
            turns = zip(together, itertools.cycle(there_and_back), strict=False)
            dealt[rank].append([row for row, turn in turns if turn == rank])
    return dealt


def make_update(rows: Sequence[Row], size: int, world: World) -> Update:
    """The update on these rows, `size` of them in memory at once in each process."""
    sequences = [sequence for row in rows for unit in row for sequence in unit]
    totals = Totals(sum(s.num_targets for s in sequences), len(sequences))
    costs = [sum(map(unit_length, row)) for row in rows]
    mine = deal(costs, world.size, size)[world.rank]
    names = {name for sequence in sequences for name in sequence.values}
    return Update([collate([rows[i] for i in part], sorted(names)) for part in mine], totals)


@dataclass(frozen=True, slots=True)
class Layout:
    """How units become rows, micro-batches and steps."""

    seq_length: int
    batch_size: int
    micro_batch_size: int
    packing: bool
    epochs: float
    max_steps: int = 0


class PackedData:
    """Units in rows, reshuffled every epoch; a step takes the next `batch_size` rows."""

    def __init__(
        self, units: Sequence[Unit], layout: Layout, seed: int, world: World = ALONE
    ) -> None:
        if not units:
            raise DataError("there is nothing to train on: the data set is empty")
        self.units, self.layout, self.seed = units, layout, seed
        self.world = world
        self.lengths = [unit_length(unit) for unit in units]
        self.rows_per_epoch = len(self._rows_of_epoch(0))
        # rounded first: 50 * 1.1 is a little over 55
        self.num_rows = math.ceil(round(self.rows_per_epoch * layout.epochs, 6))
        steps = math.ceil(self.num_rows / layout.batch_size)
        self.num_steps = min(steps, layout.max_steps) if layout.max_steps else steps
        self._epoch: tuple[int, list[list[int]]] = (0, self._rows_of_epoch(0))

    def step(self, number: int) -> Step:
        """The work of one step: rows `number * batch_size` and on."""
        first = number * self.layout.batch_size
        rows = [
            self._row(i) for i in range(first, min(first + self.layout.batch_size, self.num_rows))
        ]
        return Step([make_update(rows, self.layout.micro_batch_size, self.world)])

    def largest(self) -> MicroBatch:
        """The longest rows of the first epoch."""
        rows = sorted(self._rows_of_epoch(0), key=lambda row: -sum(self.lengths[i] for i in row))
        longest = rows[: self.layout.micro_batch_size]
        return collate([[self.units[i] for i in row] for row in longest])

    def _row(self, number: int) -> list[Unit]:
        epoch, index = divmod(number, self.rows_per_epoch)
        if epoch != self._epoch[0]:
            self._epoch = (epoch, self._rows_of_epoch(epoch))
        return [self.units[i] for i in self._epoch[1][index]]

    def _rows_of_epoch(self, epoch: int) -> list[list[int]]:
        # Packing sees only the sorted lengths, so the number of rows is the same in every epoch;
        # the order before it decides which of the units of one length share a row.
        rng = np.random.default_rng(derive_seed(self.seed, "epoch", epoch))
        order = rng.permutation(len(self.units)).tolist()
        if self.layout.packing:
            packed = pack([self.lengths[i] for i in order], self.layout.seq_length)
            rows = [[order[i] for i in row] for row in packed]
        else:
            rows = [[i] for i in order]
        return [rows[i] for i in rng.permutation(len(rows))]


def within_length(
    units: Sequence[Unit], names: Sequence[str], seq_length: int, overlong: str
) -> tuple[list[int], int]:
    """Which units fit a row and how many do not; an error unless `overlong` is `drop`."""
    kept = [index for index, unit in enumerate(units) if unit_length(unit) <= seq_length]
    dropped = len(units) - len(kept)
    if dropped and overlong == "error":
        index = next(i for i, unit in enumerate(units) if unit_length(unit) > seq_length)
        raise DataError(
            f"{dropped} of {len(units)} examples are longer than seq_length {seq_length} (the "
            f"first is {names[index]} with {unit_length(units[index])} tokens); raise seq_length "
            "or set overlong = 'drop' to leave them out"
        )
    if not kept:
        raise DataError(f"none of {len(units)} examples fits seq_length {seq_length}")
    return kept, dropped
