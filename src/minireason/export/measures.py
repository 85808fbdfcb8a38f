"""From the answers of an original and its export to the gate's figures."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minireason.evaluate.compare import compare
from minireason.evaluate.intervals import clustered_interval, t_quantile
from minireason.evaluate.metrics import sample_grid
from minireason.evaluate.sample import ScoredSample
from minireason.export.agreement import (
    BrokenError,
    Positions,
    compare_positions,
    joined,
    num_same,
)
from minireason.export.asking import Answer
from minireason.export.gate_result import Agreement, Estimate, Following, Loss, Responses
from minireason.export.logits import LogitSource
from minireason.progress import Advance

OVERALL = "all questions"


def following(
    original: LogitSource, exported: LogitSource, answers: Sequence[Answer], advance: Advance
) -> Following:
    """The export fed the original's responses. Raises BrokenError as `compare_positions`.

    A response is followed as far as the shorter of the two contexts reaches; BrokenError too where
    that is before all of them.
    """
    limit = min(original.max_length, exported.max_length)
    parts: list[Positions] = []
    for number, answer in enumerate(answers):
        ids = [*answer.prompt_ids, *answer.token_ids][: limit + 1]
        begin = len(answer.prompt_ids)
        if begin < len(ids):
            parts.append(_along(original, exported, ids, begin))
        advance(number + 1, len(answers), f"{sum(len(part.kl) for part in parts):,} tokens")
    if not parts:
        raise BrokenError(f"no response fits the {exported.max_length} tokens of the export")
    sizes = [len(part.kl) for part in parts]
    every = joined(parts)
    return Following(
        num_responses=len(parts),
        num_tokens=sum(sizes),
        num_agreed=int(every.is_agreed.sum()),
        argmax=_bounded(ratio_interval([int(part.is_agreed.sum()) for part in parts], sizes), 1.0),
        distance=_bounded(ratio_interval([float(part.distance.sum()) for part in parts], sizes)),
        distance_p95=float(np.quantile(every.distance, 0.95)),
        kl=_bounded(ratio_interval([float(part.kl.sum()) for part in parts], sizes)),
    )


def _along(
    original: LogitSource, exported: LogitSource, ids: Sequence[int], begin: int
) -> Positions:
    """Both fed ids[:-1], compared in what they say of ids[begin:]."""
    parts, taken = [], list(ids[begin:])
    pairs = zip(
        original.blocks(ids[:-1], begin - 1), exported.blocks(ids[:-1], begin - 1), strict=True
    )
    for ours, theirs in pairs:
        parts.append(compare_positions(ours, theirs, taken[: len(ours)]))
        taken = taken[len(ours) :]
    return joined(parts)


def agreement(original: Sequence[Answer], exported: Sequence[Answer]) -> Agreement:
    """How far the export's own greedy responses go along with the original's, of all both gave."""
    pairs = [(a, b) for a, b in zip(original, exported, strict=True) if a.token_ids and b.token_ids]
    is_same = [list(a.token_ids) == list(b.token_ids) for a, b in pairs]
    shares = [num_same(a.token_ids, b.token_ids) / len(a.token_ids) for a, b in pairs]
    return Agreement(
        num_responses=len(pairs),
        num_identical=sum(is_same),
        num_other_prompts=sum(list(a.prompt_ids) != list(b.prompt_ids) for a, b in pairs),
        identical=_rate([[same] for same in is_same]),
        before_difference=_bounded(ratio_interval(shares, [1] * len(pairs)), 1.0),
    )


def ratio_interval(sums: Sequence[float], sizes: Sequence[int]) -> Estimate:
    """sum(sums) / sum(sizes) with an interval that takes the response, not the token, as the unit.

    The linearised ratio estimator (Cochran 1977, Sampling Techniques, section 6.4): the tokens of
    one response resemble each other. Without width where all responses have the same ratio, and for
    a single response, of which no spread is known.
    """
    total = sum(sizes)
    value = float(sum(sums)) / total
    num = len(sizes)
    if num < 2:
        return Estimate(value=value, low=value, high=value)
    residuals = np.asarray(sums, dtype=np.float64) - value * np.asarray(sizes, dtype=np.float64)
    error = math.sqrt(float((residuals**2).sum()) * num / (num - 1)) / total
    half = t_quantile(num - 1) * error
    return Estimate(value=value, low=value - half, high=value + half)


def losses(original: Sequence[ScoredSample], exported: Sequence[ScoredSample]) -> dict[str, Loss]:
    """The loss of each benchmark, and of all questions together under `OVERALL`."""
    before, after = _by_benchmark(original), _by_benchmark(exported)
    return {name: _loss(before[name], after[name]) for name in (OVERALL, *before) if name in after}


def responses(samples: Sequence[ScoredSample]) -> Responses:
    """How these responses end."""
    by_question: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for sample in samples:
        by_question[sample.benchmark, sample.question_id].append(sample.is_loop)
    return Responses(
        num_responses=len(samples),
        num_loops=sum(sample.is_loop for sample in samples),
        num_cut=sum(sample.finish_reason == "length" for sample in samples),
        mean_tokens=sum(sample.num_tokens for sample in samples) / len(samples),
        loop_rate=_rate(list(by_question.values())),
    )


def _by_benchmark(samples: Sequence[ScoredSample]) -> dict[str, list[ScoredSample]]:
    found: dict[str, list[ScoredSample]] = defaultdict(list)
    for one in samples:
        found[one.benchmark].append(one)
        whole = f"{one.benchmark}/{one.question_id}"
        found[OVERALL].append(replace(one, benchmark=OVERALL, question_id=whole))
    return found


def _loss(before: Sequence[ScoredSample], after: Sequence[ScoredSample]) -> Loss:
    found = compare(before, after)
    grids = [sample_grid(samples) for samples in (before, after)]
    num_questions, num_samples = grids[0].is_correct.shape
    return Loss(
        num_questions=num_questions,
        num_samples=num_samples,
        original=float(grids[0].rates.mean()),
        exported=float(grids[1].rates.mean()),
        loss=Estimate(
            value=0.0 - found.difference, low=0.0 - found.ci_high, high=0.0 - found.ci_low
        ),
        p_value=found.p_value,
    )


def _rate(outcomes: Sequence[Sequence[bool]]) -> Estimate:
    """The share that is true, of the samples of each question."""
    rates = np.asarray(outcomes, dtype=np.float64).mean(axis=1)
    low, high = clustered_interval(rates, len(outcomes[0]))
    return Estimate(value=float(rates.mean()), low=low, high=high)


def _bounded(found: Estimate, high: float = math.inf) -> Estimate:
    return Estimate(value=found.value, low=max(found.low, 0.0), high=min(found.high, high))
