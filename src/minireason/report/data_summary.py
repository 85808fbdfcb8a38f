"""What the curated data looks like, counted from the annotations, a row group at a time."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minireason.records import (
    DOMAINS,
    LEVELS,
    Annotation,
    iter_records,
    parquet_files,
)
from minireason.seeding import derive_seed

KEPT = "kept"
_SAMPLES = 2
_LENGTH_BINS = [0, *(round(2 ** (k / 2)) for k in range(8, 37))]  # from 16 to 262,144 tokens
_SHARE_BINS = [k / 20 for k in range(21)]


@dataclass(slots=True)
class Histogram:
    """Counts between edges, of all rows and of those that stage 1 keeps."""

    edges: list[float]
    all: np.ndarray = field(init=False)
    kept: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.all = np.zeros(len(self.edges) - 1, dtype=np.int64)
        self.kept = self.all.copy()

    def add(self, values: list[float], is_kept: list[bool]) -> None:
        places = np.searchsorted(self.edges, values, side="right") - 1
        places = places.clip(0, len(self.all) - 1)
        self.all += np.bincount(places, minlength=len(self.all))
        self.kept += np.bincount(places[np.array(is_kept, dtype=bool)], minlength=len(self.all))


@dataclass(frozen=True, slots=True)
class DataSample:
    """A rollout to look at: why it was dropped (or KEPT), its question and its response."""

    reason: str
    question_id: str
    question: str
    answer: str
    response: str
    num_tokens: int


@dataclass(slots=True)
class DataSummary:
    """Counts over all rollouts; groups map a name to its (rollouts, mid-training, SFT) rows."""

    num_rollouts: int = 0
    num_truncated: int = 0
    domains: dict[str, list[int]] = field(default_factory=dict)
    levels: dict[str, list[int]] = field(default_factory=dict)
    sources: dict[str, list[int]] = field(default_factory=dict)
    lengths: Histogram = field(default_factory=lambda: Histogram(list(map(float, _LENGTH_BINS))))
    repetition: Histogram = field(default_factory=lambda: Histogram(_SHARE_BINS))
    pass_rates: Histogram = field(default_factory=lambda: Histogram(_SHARE_BINS))
    samples: dict[str, list[DataSample]] = field(default_factory=dict)


Drawn = dict[str, list[tuple[int, Annotation]]]


def data_summary(run_dir: Path) -> DataSummary | None:
    """The summary of a run's curated data; None where nothing was curated."""
    folder = run_dir / "curate"
    if not (folder / "manifest.json").is_file():
        return None
    found = DataSummary()
    drawn: Drawn = defaultdict(list)
    for shard in parquet_files(folder / "annotations"):
        for rows in _chunks(shard):
            _count(found, rows)
            _draw(drawn, rows)
    for name in ("domain", "level"):
        _count_sft(getattr(found, f"{name}s"), folder / "sft", name)
    found.domains = _sorted(found.domains, DOMAINS)
    found.levels = _sorted(found.levels, LEVELS)
    found.samples = _with_texts(drawn, run_dir)
    return found


def _chunks(shard: Path) -> Iterator[list[Annotation]]:
    numbered = enumerate(iter_records(shard, Annotation))
    for _, chunk in groupby(numbered, lambda item: item[0] // 10_000):
        yield [annotation for _, annotation in chunk]


def _count(found: DataSummary, rows: list[Annotation]) -> None:
    is_kept = [not row.dropped for row in rows]
    found.num_rollouts += len(rows)
    found.num_truncated += sum(row.is_truncated for row in rows)
    for groups, name in (
        (found.domains, "domain"),
        (found.levels, "level"),
        (found.sources, "source"),
    ):
        for row in rows:
            counts = groups.setdefault(getattr(row, name) or "not known", [0, 0, 0])
            counts[0] += 1
            counts[1] += not row.dropped
    found.lengths.add([row.num_tokens for row in rows], is_kept)
    found.repetition.add([row.repetition for row in rows], is_kept)
    asked = [row for row in rows if row.index == 0]  # the pass rate is the question's
    found.pass_rates.add([row.pass_rate for row in asked], [row.pass_rate > 0 for row in asked])


def _draw(drawn: Drawn, rows: list[Annotation]) -> None:
    """Keep for every reason the few rows with the smallest seeds: a fixed random sample."""
    for row in rows:
        heap = drawn[row.dropped or KEPT]
        item = (-derive_seed("data page", row.question_id, row.index), row)
        if len(heap) < _SAMPLES:
            heapq.heappush(heap, item)
        elif item[0] > heap[0][0]:
            heapq.heapreplace(heap, item)


def _count_sft(groups: dict[str, list[int]], folder: Path, column: str) -> None:
    for shard in parquet_files(folder):
        values = pq.read_table(shard, columns=[column])[column].to_pylist()
        for name, count in Counter(values).items():
            groups[name or "not known"][2] += count


def _sorted(groups: dict[str, list[int]], order: tuple[str, ...]) -> dict[str, list[int]]:
    places = {name: place for place, name in enumerate(order)}
    return dict(sorted(groups.items(), key=lambda g: (places.get(g[0], len(order)), g[0])))


def _rows_of(folder: Path, column: str, wanted: set[str]) -> Iterator[dict[str, Any]]:
    """The rows with one of these values, found by their column before the texts are built."""
    for shard in parquet_files(folder):
        chosen = pc.field(column).isin(sorted(wanted))
        yield from pq.read_table(shard, filters=chosen).to_pylist()


def _with_texts(drawn: Drawn, run_dir: Path) -> dict[str, list[DataSample]]:
    """The drawn rows with their questions and responses, read from where these lie."""
    wanted = {row.question_id for rows in drawn.values() for _, row in rows}
    questions = {row["id"]: row for row in _rows_of(run_dir / "questions", "id", wanted)}
    responses = {
        (row["question_id"], row["index"]): row["response"]
        for row in _rows_of(run_dir / "rollout", "question_id", wanted)
    }
    return {
        reason: [
            DataSample(
                reason,
                row.question_id,
                questions[row.question_id]["text"],
                questions[row.question_id]["answer"],
                responses[row.question_id, row.index],
                row.num_tokens,
            )
            for _, row in sorted(rows, key=lambda item: -item[0])
        ]
        for reason, rows in drawn.items()
    }
