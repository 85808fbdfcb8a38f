"""What the loop trains on: units laid out in rows, the same for every (seed, step)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from minireason.errors import DataError
from minireason.seeding import derive_seed
from minireason.train.packing import MicroBatch, Unit, collate, pack, unit_length


@dataclass(frozen=True, slots=True)
class Step:
    """One step's work: its optimizer updates, each a list of micro-batches, and its own metrics.

    `temperature` divides the logits before the log-probabilities are taken.
    """

    updates: Sequence[Sequence[MicroBatch]]
    temperature: float = 1.0
    metrics: dict[str, float] = field(default_factory=dict)


class StepSource(Protocol):
    """Where steps come from. `step(n)` may depend on n, a seed and the weights, on nothing else."""

    num_steps: int

    def step(self, number: int) -> Step: ...


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

    def __init__(self, units: Sequence[Unit], layout: Layout, seed: int) -> None:
        if not units:
            raise DataError("there is nothing to train on: the data set is empty")
        self.units, self.layout, self.seed = units, layout, seed
        self.lengths = [unit_length(unit) for unit in units]
        self.rows_per_epoch = len(self._rows_of_epoch(0))
        # rounded first: 50 * 1.1 is a little over 55
        self.num_rows = math.ceil(round(self.rows_per_epoch * layout.epochs, 6))
        steps = math.ceil(self.num_rows / layout.batch_size)
        self.num_steps = min(steps, layout.max_steps) if layout.max_steps else steps
        self._epoch: tuple[int, list[list[int]]] = (0, self._rows_of_epoch(0))

    def step(self, number: int) -> Step:
        """The micro-batches of one step: rows `number * batch_size` and on."""
        first = number * self.layout.batch_size
        rows = [
            self._row(i) for i in range(first, min(first + self.layout.batch_size, self.num_rows))
        ]
        size = self.layout.micro_batch_size
        return Step([[collate(rows[i : i + size]) for i in range(0, len(rows), size)]])

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
) -> tuple[list[Unit], int]:
    """The units that fit a row and how many did not; an error unless `overlong` is `drop`."""
    kept = [unit for unit in units if unit_length(unit) <= seq_length]
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
