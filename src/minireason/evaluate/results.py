"""From the samples of a model to its `summary.json`: the ladder's form, and more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.metrics import sample_grid
from minireason.evaluate.sample import NO_ROOM, ScoredSample
from minireason.evaluate.schema import BenchmarkSummary, Rate, Summary
from minireason.evaluate.scorer import Scorer
from minireason.evaluate.selection import SCORES, best_by, best_of_n, majority, pass_at_k
from minireason.evaluate.summary import summarize
from minireason.runfolder import read_json
from minireason.verify.verifier import Verifier


class BenchmarkResult(BenchmarkSummary):
    """One benchmark of a model. `pass_at_k` is by k, as text; `best_of_n` by the score's name."""

    num_samples_each: int
    pass_at_k: dict[str, Rate]
    majority: Rate
    best_of_n: dict[str, Rate]
    loop_rate: float
    num_unfit: int = 0
    """Questions whose prompt fills the context: they were not asked, and count as wrong."""


class Results(Summary):
    """What a model reached on each benchmark."""

    benchmarks: dict[str, BenchmarkResult]  # type: ignore[assignment]


def measure(
    samples: Mapping[str, Sequence[ScoredSample]],
    asked: Mapping[str, Asked],
    verifier: Verifier,
    settings: Mapping[str, Any],
    scorer: Scorer | None = None,
) -> Results:
    """Everything that is measured of the samples. Raises DataError where one is missing."""
    expected = {label: [q.id for q in one.questions] for label, one in asked.items()}
    model = str(settings["model"]["name"])
    summary = summarize(samples, model, model, sampling=settings["sampling"], expected_ids=expected)
    for label, found in samples.items():
        kinds = {q.id: q.answer_kind for q in asked[label].questions}
        summary["benchmarks"][label] |= _more(found, kinds, verifier)
        if scorer is not None and (rate := best_by(scorer, found, asked[label])) is not None:
            summary["benchmarks"][label]["best_of_n"][scorer.name] = asdict(rate)
    return Results.model_validate(summary)


def read_results(folder: Path) -> Results:
    """The results in the folder of an evaluation."""
    return Results.model_validate(read_json(folder / "summary.json"))


def _more(
    samples: Sequence[ScoredSample], kinds: dict[str, str], verifier: Verifier
) -> dict[str, Any]:
    grid = sample_grid(samples)
    num_samples = grid.is_correct.shape[1]
    num_correct = grid.is_correct.sum(axis=1)
    chosen = {name: best_of_n(samples, score) for name, score in SCORES.items()}
    return {
        "num_samples_each": num_samples,
        "pass_at_k": {
            str(k): asdict(pass_at_k(num_correct, num_samples, k)) for k in _ks(num_samples)
        },
        "majority": asdict(majority(samples, kinds, verifier)),
        "best_of_n": {name: asdict(rate) for name, rate in chosen.items() if rate is not None},
        "num_unfit": len({s.question_id for s in samples if s.finish_reason == NO_ROOM}),
        "loop_rate": sum(sample.is_loop for sample in samples) / len(samples),
    }


def _ks(num_samples: int) -> list[int]:
    """Powers of two up to the number of samples, and that number."""
    powers = [2**n for n in range(num_samples.bit_length()) if 2**n < num_samples]
    return [*powers, num_samples]
