"""From the samples of a rung to its `summary.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypedDict

from minireason.errors import DataError
from minireason.evaluate.compare import compare
from minireason.evaluate.metrics import (
    length_histogram,
    mean_tokens,
    pass_rate,
    pass_rates_by,
    sample_grid,
    share,
)
from minireason.evaluate.schema import Summary
from minireason.records import EvalSample

SamplesByBenchmark = Mapping[str, Sequence[EvalSample]]


class Previous(TypedDict):
    """The rung before: its name and its samples, which the paired comparison needs."""

    rung: str
    samples: SamplesByBenchmark


def summarize(
    samples_by_benchmark: SamplesByBenchmark,
    rung: str,
    model: str,
    previous: Previous | None = None,
    sampling: Mapping[str, Any] | None = None,
    expected_ids: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, Any]:
    """The content of `summary.json`: what `rung` measured and how it changed since `previous`.

    `sampling` is passed through; `expected_ids` gives each benchmark's question ids, so that a
    question without any sample is found. A benchmark the previous rung did not run has no
    comparison. Raises DataError for missing samples and for differing question sets.
    """
    if not samples_by_benchmark:
        raise DataError(f"rung {rung!r} has no benchmark; evaluate at least one")
    benchmarks = {}
    for name, samples in samples_by_benchmark.items():
        ids = expected_ids.get(name) if expected_ids else None
        benchmarks[name] = _measure(samples, ids) | {
            "against_previous": _against(previous, name, samples)
        }
    content = {
        "rung": rung,
        "model": model,
        "sampling": dict(sampling or {}),
        "benchmarks": benchmarks,
    }
    return Summary.model_validate(content).model_dump()


def _measure(samples: Sequence[EvalSample], ids: Iterable[str] | None) -> dict[str, Any]:
    overall = pass_rate(sample_grid(samples, ids))
    right = [sample for sample in samples if sample.verdict == "correct"]
    wrong = [sample for sample in samples if sample.verdict != "correct"]
    return asdict(overall) | {
        "num_samples": len(samples),
        "mean_tokens": mean_tokens(samples),
        "truncation_rate": share(samples, "finish_reason", "length"),
        "unknown_rate": share(samples, "verdict", "unknown"),
        "by_domain": {k: asdict(v) for k, v in pass_rates_by(samples, "domain").items()},
        "by_level": {k: asdict(v) for k, v in pass_rates_by(samples, "level").items()},
        "lengths": {
            "correct_mean": mean_tokens(right),
            "incorrect_mean": mean_tokens(wrong),
            "histogram": asdict(length_histogram(samples)),
        },
    }


def _against(
    previous: Previous | None, name: str, samples: Sequence[EvalSample]
) -> dict[str, Any] | None:
    if previous is None or name not in previous["samples"]:
        return None
    return {"rung": previous["rung"]} | asdict(compare(previous["samples"][name], samples))
