"""What the loop trains on: units laid out in rows, the same for every (seed, step)."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from minireason.errors import DataError
from minireason.seeding import derive_seed
from minireason.train.learner import Learner
from minireason.train.objectives import Totals
from minireason.train.packing import (
    MicroBatch,
    Packing,
    Rows,
    Unit,
    collate,
    lay_out,
    pack,
    unit_length,
    unit_lengths,
)
from minireason.world import ALONE, World

Row = Sequence[Unit]


@dataclass(frozen=True, slots=True)
class Update:
    """One optimizer update: this process's micro-batches, and the totals over all processes."""

    micro_batches: Sequence[MicroBatch]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Step:
    """One step's work: its optimizer updates, its own metrics and what depends on the clock.

    `temperature` divides the logits before the log-probabilities are taken.
    """

    updates: Sequence[Update]
    temperature: float = 1.0
    metrics: dict[str, float] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)


class StepSource:
    """Where steps come from. `step(n)` may depend on n, a seed, the weights (its companions' too)
    and what `state_dict` says, on nothing else.

    What it returns is the same whatever the number of processes, but for how it is dealt out.
    A source defines `num_steps`, `step` and `largest`, and the others where it has a use for them.
    """

    num_steps: int
    companions: Mapping[str, Learner] = MappingProxyType({})
    """Other models that the source itself trains (a critic), by name: saved and restored with the
    one that the loop trains, at learning rates of their own on the same schedule."""

    def step(self, number: int) -> Step:
        raise NotImplementedError

    def largest(self) -> MicroBatch:
        """A micro-batch as large as any will be, to try the memory with."""
        raise NotImplementedError

    def progress(self, done: int) -> float:
        """How far training is after `done` steps, the same in all processes; it is over at 1."""
        return done / self.num_steps

    def position(self, done: int) -> float:
        """The same in steps, for schedules: exactly `done` where progress is counted in them."""
        return round(self.progress(done) * self.num_steps, 6)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold besides, as plain JSON; the main process's is kept."""
        return {}

    def files(self) -> Mapping[str, Path]:
        """What it must hold besides in files, by name, once they are written."""
        return {}

    def load_state_dict(self, state: dict[str, Any], files: Mapping[str, Path]) -> None:
        """Go on from there; nothing is the beginning."""

    def close(self) -> None:
        """No more steps are wanted."""


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


def fill(costs: Sequence[int], num_ranks: int, budget: int) -> list[list[list[int]]]:
    """Rows to processes and micro-batches as `deal` does, but for `budget` tokens in each.

    The longest first, each to the micro-batch that holds least (Graham 1969, Bounds on
    multiprocessing timing anomalies): few micro-batches, about equally long.
    """
    longest_first = sorted(range(len(costs)), key=lambda row: -costs[row])
    num_turns = -(-sum(costs) // (num_ranks * budget))
    while True:
        parts: list[list[int]] = [[] for _ in range(num_turns * num_ranks)]
        loads = [(0, part) for part in range(len(parts))]
        for row in longest_first:
            load, part = loads[0]
            heapq.heapreplace(loads, (load + costs[row], part))
            parts[part].append(row)
        if max(loads)[0] <= max([budget, *costs]):
            break
        num_turns += 1
    parts.sort(key=lambda part: -sum(costs[row] for row in part))
    return [[sorted(part) for part in parts[rank::num_ranks]] for rank in range(num_ranks)]


def share(
    rows: Sequence[Row], size: int, world: World, seq_length: int | None = None
) -> list[list[Row]]:
    """This process's micro-batches: `size` rows each, or with a `seq_length`, as many as fit into
    `size * seq_length` tokens."""
    costs = [sum(map(unit_length, row)) for row in rows]
    dealt = (
        fill(costs, world.size, size * seq_length) if seq_length else deal(costs, world.size, size)
    )
    return [[rows[i] for i in part] for part in dealt[world.rank]]


def make_update(
    rows: Sequence[Row], size: int, world: World, seq_length: int | None = None
) -> Update:
    """The update on these rows, `size` of them in memory at once in each process (`share`)."""
    sequences = [sequence for row in rows for unit in row for sequence in unit]
    totals = Totals(sum(s.num_targets for s in sequences), len(sequences))
    names = sorted({name for sequence in sequences for name in sequence.values})
    mine = share(rows, size, world, seq_length)
    return Update([collate(part, names) for part in mine], totals)


def make_updates(units: Sequence[Unit], count: int, size: int, world: World) -> list[Update]:
    """Units dealt out to `count` updates, or to as many as there are units, each packed into rows
    as long as its longest two."""
    updates = []
    for dealt in (units[part::count] for part in range(min(count, len(units)))):
        lengths = [unit_length(unit) for unit in dealt]
        rows = [[dealt[i] for i in row] for row in pack(lengths, 2 * max(lengths))]
        updates.append(make_update(rows, size, world))
    return updates


@dataclass(frozen=True, slots=True)
class Layout:
    """How units become rows, micro-batches and steps."""

    seq_length: int
    batch_size: int
    micro_batch_size: int
    packing: Packing
    epochs: float
    max_steps: int = 0


class PackedData(StepSource):
    """Units in rows, laid out anew every epoch; a step takes the next `batch_size` rows.

    Rows of one unit (packing "none") differ in length: a micro-batch takes as many of them as have
    the tokens of `micro_batch_size` full rows.
    """

    def __init__(
        self, units: Sequence[Unit], layout: Layout, seed: int, world: World = ALONE
    ) -> None:
        if not len(units):
            raise DataError("there is nothing to train on: the data set is empty")
        self.units, self.layout, self.seed = units, layout, seed
        self.world = world
        self.lengths = unit_lengths(units)
        self._epoch = (0, self._rows_of_epoch(0))
        self.rows_per_epoch = len(self._epoch[1])
        # rounded first: 50 * 1.1 is a little over 55
        self.num_rows = math.ceil(round(self.rows_per_epoch * layout.epochs, 6))
        steps = math.ceil(self.num_rows / layout.batch_size)
        self.num_steps = min(steps, layout.max_steps) if layout.max_steps else steps

    def step(self, number: int) -> Step:
        """The work of one step: rows `number * batch_size` and on."""
        first, layout = number * self.layout.batch_size, self.layout
        rows = [self._row(i) for i in range(first, min(first + layout.batch_size, self.num_rows))]
        filled = layout.seq_length if layout.packing == "none" else None
        return Step([make_update(rows, layout.micro_batch_size, self.world, filled)])

    def largest(self) -> MicroBatch:
        """The longest rows of an epoch that fit a micro-batch together."""
        layout, rows = self.layout, self._epoch[1]
        sizes = rows.num_tokens(self.lengths)
        most = layout.batch_size if layout.packing == "none" else layout.micro_batch_size
        free = layout.micro_batch_size * layout.seq_length
        chosen: list[int] = []
        for row in np.argsort(-sizes, kind="stable").tolist():
            if sizes[row] <= free and len(chosen) < most:
                chosen.append(row)
                free -= sizes[row]
        return collate([rows.of(self.units, row) for row in chosen])

    def _row(self, number: int) -> Row:
        epoch, index = divmod(number, self.rows_per_epoch)
        if epoch != self._epoch[0]:
            self._epoch = (epoch, self._rows_of_epoch(epoch))
        return self._epoch[1].of(self.units, index)

    def _rows_of_epoch(self, epoch: int) -> Rows:
        rng = np.random.default_rng(derive_seed(self.seed, "epoch", epoch))
        return lay_out(self.lengths, self.layout.seq_length, self.layout.packing, rng)


def within_length(
    units: Sequence[Unit], names: Sequence[str], seq_length: int, overlong: str
) -> tuple[np.ndarray, int]:
    """Which units fit a row and how many do not; an error unless `overlong` is `drop`."""
    lengths = unit_lengths(units)
    kept, too_long = np.flatnonzero(lengths <= seq_length), np.flatnonzero(lengths > seq_length)
    if len(too_long) and overlong == "error":
        first = int(too_long[0])
        raise DataError(
            f"{len(too_long)} of {len(units)} examples are longer than seq_length {seq_length} "
            f"(the first is {names[first]} with {lengths[first]} tokens); raise seq_length "
            "or set overlong = 'drop' to leave them out"
        )
    if not len(kept):
        raise DataError(f"none of {len(units)} examples fits seq_length {seq_length}")
    return kept, len(too_long)
