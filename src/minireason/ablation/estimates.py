"""Values with 95 % intervals that know of both questions and seeds.

Accuracies lie in a table of seeds x questions, in which both vary at random and every seed answers
the same questions. The variance of the mean of such a table is that over questions plus that over
seeds minus what both count, the variance of what is left of a cell without its row and its column
(crossed random effects; Cameron, Gelbach and Miller 2011, Robust Inference With Multiway
Clustering, section 2.1). It is taken for at least the larger of the first two, with Student's t at
Satterthwaite's degrees of freedom, so that three seeds give the wide interval that they deserve.

Over questions alone the interval is that of `evaluate/intervals.py`, which stays honest near 0 and
1. What the seeds add to half the width is added to either side of it in squares (Zou and Donner
2008, Construction of confidence limits about effect measures). With one seed nothing is added: the
interval knows nothing of other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minireason.evaluate.intervals import (
    FloatArray,
    clustered_interval,
    paired_interval,
    t_quantile,
)

ANY = (-math.inf, math.inf)
SHARE, CHANGE = (0.0, 1.0), (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval, which is None where nothing is known of the spread."""

    value: float
    low: float | None = None
    high: float | None = None

    def is_beyond(self, null: float = 0.0) -> bool:
        """Whether what would be no difference lies outside the interval."""
        return self.low is not None and self.high is not None and not self.low <= null <= self.high


def accuracy(rates_SQ: FloatArray, num_samples: int) -> Estimate:
    """The mean pass rate over seeds and questions, each rate over so many samples."""
    rates_Q = rates_SQ.mean(axis=0)
    by_question = clustered_interval(rates_Q, num_samples * len(rates_SQ))
    return _widened(rates_SQ, by_question, SHARE)


def difference(differences_UQ: FloatArray, num_samples: int) -> Estimate:
    """The mean difference over questions and units: pairs of runs that differ in one thing."""
    differences_Q = differences_UQ.mean(axis=0)
    by_question = paired_interval(differences_Q, num_samples * len(differences_UQ))
    return _widened(differences_UQ, by_question, CHANGE)


def mean_of(values: Sequence[float], bounds: tuple[float, float] = ANY) -> Estimate:
    """The mean over runs, with Student's t; the interval ends at the bounds of such values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean)
    half = t_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """The ratio of two means over runs (Cochran 1977, Sampling Techniques, section 6.4).

    None where the mean below is not positive: then it cannot be told from 0.
    """
    base = float(np.mean(below))
    if base <= 0:
        return None
    ratio = float(np.mean(above)) / base
    if len(above) < 2:
        return Estimate(ratio)
    off = mean_of([(a - ratio * b) / base for a, b in zip(above, below, strict=True)])
    assert off.low is not None and off.high is not None
    return Estimate(ratio, max(0.0, ratio + off.low), ratio + off.high)


def factor_of(factors: Sequence[float]) -> Estimate:
    """The geometric mean of positive factors, with Student's t on their logarithms."""
    log = mean_of([math.log(factor) for factor in factors])
    if log.low is None or log.high is None:
        return Estimate(math.exp(log.value))
    return Estimate(math.exp(log.value), math.exp(log.low), math.exp(log.high))


def two_way_variance(table_UQ: FloatArray) -> tuple[float, float]:
    """Variance of the mean of a table whose rows and columns both vary, and degrees of freedom.

    At least 2 rows and 2 columns.
    """
    num_rows, num_columns = table_UQ.shape
    rows_U, columns_Q = table_UQ.mean(axis=1), table_UQ.mean(axis=0)
    rest_UQ = table_UQ - rows_U[:, None] - columns_Q[None, :] + table_UQ.mean()
    degrees = (num_columns - 1, num_rows - 1, (num_columns - 1) * (num_rows - 1))
    over_columns = float(columns_Q.var(ddof=1)) / num_columns
    over_rows = float(rows_U.var(ddof=1)) / num_rows
    of_both = float((rest_UQ**2).sum()) / degrees[2] / table_UQ.size
    variance = max(over_columns + over_rows - of_both, over_columns, over_rows)
    parts = zip((over_columns, over_rows, of_both), degrees, strict=True)
    spread = sum(part**2 / degree for part, degree in parts)
    return variance, variance**2 / spread if spread > 0 else float(degrees[1])


def _widened(
    table_UQ: FloatArray, by_question: tuple[float, float], bounds: tuple[float, float]
) -> Estimate:
    """The mean of the table, with what the rows add to the interval over questions."""
    value = float(table_UQ.mean())
    low, high = by_question
    if min(table_UQ.shape) > 1:
        added = _added_by_rows(table_UQ)
        low, high = value - math.hypot(value - low, added), value + math.hypot(high - value, added)
    return Estimate(value, max(bounds[0], low), min(bounds[1], high))


def _added_by_rows(table_UQ: FloatArray) -> float:
    """By how much, in squares, half the interval over both exceeds that over columns alone."""
    num_columns = table_UQ.shape[1]
    alone = t_quantile(num_columns - 1) ** 2 * table_UQ.mean(axis=0).var(ddof=1) / num_columns
    variance, degrees = two_way_variance(table_UQ)
    both = t_quantile(max(1, int(degrees))) ** 2 * variance
    return math.sqrt(max(0.0, both - float(alone)))
