"""What the samples of one benchmark say: pass rates, lengths, truncation, unknown verdicts.

`pass@1` is the mean over questions of the share of a question's k samples that are correct. A
verdict of `unknown` is not correct, and is also reported by itself, because a verifier that could
not decide is a fact about the verifier. A missing sample is an error: leaving out the questions a
model choked on would flatter it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from minireason.errors import DataError
from minireason.evaluate.intervals import clustered_interval
from minireason.records import DOMAINS, LEVELS, EvalSample, VerdictLabel

MAX_BINS = 32
UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class Grid:
    """The samples of a benchmark as a full grid: `is_correct[q, k]` is sample k of `ids[q]`."""

    ids: tuple[str, ...]
    is_correct: npt.NDArray[np.bool_]

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """The share of each question's samples that are correct."""
        return self.is_correct.mean(axis=1)


@dataclass(frozen=True, slots=True)
class PassRate:
    """pass@1 of some questions with its 95 % interval, all shares of 1."""

    pass_at_1: float
    ci_low: float
    ci_high: float
    num_questions: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` values v with edges[i] <= v < edges[i + 1]."""

    edges: list[int]
    counts: list[int]


def sample_grid(samples: Sequence[EvalSample], expected_ids: Iterable[str] | None = None) -> Grid:
    """Arrange samples by question, in id order; refuse gaps, repeats and mixed benchmarks.

    `expected_ids` are the benchmark's question ids, where the caller knows them. Raises DataError
    naming the question.
    """
    if not samples:
        raise DataError("there are no samples to measure; run the evaluation first")
    benchmark = samples[0].benchmark
    by_question: dict[str, dict[int, bool]] = defaultdict(dict)
    for sample in samples:
        _check(sample, benchmark, by_question[sample.question_id])
        by_question[sample.question_id][sample.index] = sample.verdict == "correct"
    _check_ids(by_question, expected_ids, benchmark)
    num_samples = max(max(answers) for answers in by_question.values()) + 1
    for question_id, answers in by_question.items():
        if missing := sorted(set(range(num_samples)) - set(answers)):
            raise DataError(
                f"question {question_id!r} of {benchmark} lacks sample {missing[0]} of "
                f"{num_samples}; a rate over what is left would mislead, so sample it again"
            )
    ids = tuple(sorted(by_question))
    rows = [[by_question[i][k] for k in range(num_samples)] for i in ids]
    return Grid(ids, np.array(rows, dtype=np.bool_))


def _check(sample: EvalSample, benchmark: str, seen: Collection[int]) -> None:
    where = f"question {sample.question_id!r} of {benchmark}"
    if sample.benchmark != benchmark:
        raise DataError(
            f"{where} comes with samples of {sample.benchmark}; measure one benchmark at a time"
        )
    if sample.index < 0 or sample.index in seen:
        raise DataError(f"{where} has sample {sample.index} twice or below 0; indices are 0 .. k-1")
    if sample.verdict not in get_args(VerdictLabel):
        raise DataError(
            f"{where} has the verdict {sample.verdict!r}; "
            f"it must be one of {', '.join(get_args(VerdictLabel))}"
        )


def _check_ids(found: Collection[str], expected: Iterable[str] | None, benchmark: str) -> None:
    if expected is None:
        return
    wanted = set(expected)
    if missing := sorted(wanted - set(found)):
        raise DataError(
            f"question {missing[0]!r} of {benchmark} has no sample ({len(missing)} of "
            f"{len(wanted)} questions missing); sample them before measuring"
        )
    if extra := sorted(set(found) - wanted):
        raise DataError(f"question {extra[0]!r} is not in {benchmark}; remove its samples")


def pass_rate(grid: Grid) -> PassRate:
    """pass@1 of a grid with its interval clustered by question (see `intervals`)."""
    rates = grid.rates
    low, high = clustered_interval(rates, grid.is_correct.shape[1])
    return PassRate(float(rates.mean()), low, high, len(grid.ids))


def pass_rates_by(samples: Sequence[EvalSample], field: str) -> dict[str, PassRate]:
    """pass@1 for each value of `field` ("domain" or "level"), in the order of `records`.

    Questions without a value count as "unlabelled"; where no question has one the answer is empty.
    """
    groups: dict[str, list[EvalSample]] = defaultdict(list)
    for sample in samples:
        groups[getattr(sample, field) or UNLABELLED].append(sample)
    if set(groups) == {UNLABELLED}:
        return {}
    order = [*LEVELS, *DOMAINS]
    rank = {name: order.index(name) if name in order else len(order) for name in groups}
    names = sorted(groups, key=lambda name: (rank[name], name == UNLABELLED, name))
    return {name: pass_rate(sample_grid(groups[name])) for name in names}


def share(samples: Sequence[EvalSample], field: str, value: str) -> float:
    """The share of samples whose `field` equals `value`."""
    return sum(getattr(sample, field) == value for sample in samples) / len(samples)


def mean_tokens(samples: Iterable[EvalSample]) -> float | None:
    """The mean response length in tokens; None for no samples."""
    lengths = [sample.num_tokens for sample in samples]
    return sum(lengths) / len(lengths) if lengths else None


def length_histogram(samples: Sequence[EvalSample]) -> Histogram:
    """Response lengths in bins from 0, at most 32 of them.

    The width is the smallest power of two that suffices, so histograms of different rungs nest
    and can be shown on common bins without the samples.
    """
    lengths = np.array([sample.num_tokens for sample in samples], dtype=np.int64)
    longest = int(lengths.max())
    width = 2 ** max(0, math.ceil(math.log2((longest + 1) / MAX_BINS)))
    counts = np.bincount(lengths // width)
    return Histogram([i * width for i in range(len(counts) + 1)], [int(c) for c in counts])
