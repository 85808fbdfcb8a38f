"""The measured rungs of a model card: its tables, and what of them the hub may list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import EvalResult

from minireason.evaluate.benchmarks import benchmark_label
from minireason.evaluate.ladder import interval_text, ladder_rows, percent, read_summaries
from minireason.evaluate.schema import BenchmarkSummary, Summary
from minireason.report.lineage import Made

SAFETY = "safety"
"""A benchmark whose label begins so measures safety and stands in the card's section of it."""
SAMPLING = ("temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True, slots=True)
class Measured:
    """A table: `rows` has the cells of each rung, `counts` what was asked of each benchmark."""

    rows: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs up to a model. `results` are what was measured of it on data sets of the hub."""

    benchmarks: Measured = field(default_factory=Measured)
    safety: Measured = field(default_factory=Measured)
    sampling: list[str] = field(default_factory=list)
    results: list[EvalResult] = field(default_factory=list)


def ladder_of(run_dir: Path, steps: Mapping[str, Made], rungs: Sequence[str]) -> Ladder:
    """The measured rungs up to the last one; one measured on a model since made anew is not one."""
    summaries = [
        summary
        for summary in read_summaries(run_dir)
        if summary.rung in rungs and _is_current(steps, summary)
    ]
    own = [summary for summary in summaries if summary.rung == rungs[-1]]
    return Ladder(
        benchmarks=_table(summaries, is_safety=False),
        safety=_table(summaries, is_safety=True),
        sampling=[
            f"{key} {value}"
            for s in summaries[-1:]
            for key, value in s.sampling.items()
            if key in SAMPLING
        ],
        results=[result for summary in own for result in _results(summary)],
    )


def _table(summaries: Sequence[Summary], *, is_safety: bool) -> Measured:
    rows = ladder_rows(summaries)
    names = [
        name
        for name in (rows[0].cells if rows else ())
        if name.lower().startswith(SAFETY) == is_safety
    ]
    counts = {
        name: f"{cell.num_questions:,} questions, {cell.num_samples:,} samples"
        for name in names
        for row in rows
        if (cell := row.cells[name])
    }
    return Measured(
        {row.rung: [_cell(row.cells[name]) for name in names] for row in rows} if names else {},
        counts,
    )


def _cell(cell: BenchmarkSummary | None) -> str:
    if cell is None:
        return "not run"
    return f"{percent(cell.pass_at_1)} {interval_text(cell.ci_low, cell.ci_high)}"


def _results(summary: Summary) -> list[EvalResult]:
    """Of data sets of the hub that were asked whole: others have no name that anyone could look up.

    https://github.com/huggingface/hub-docs/blob/main/modelcard.md
    """
    if summary.sampling.get("limit"):
        return []
    found = []
    for name in summary.sampling.get("benchmarks", []):
        cell = summary.benchmarks.get(benchmark_label(name))
        if not name.startswith("hf:") or cell is None:
            continue
        dataset, _, config = name.removeprefix("hf:").partition(":")
        found.append(
            EvalResult(
                task_type="text-generation",
                dataset_type=dataset,
                dataset_name=dataset.partition("/")[2],
                dataset_config=config or None,
                dataset_split="test",
                metric_type="pass@1",
                metric_name=f"pass@1, mean of {cell.num_samples // cell.num_questions} samples",
                metric_value=round(100 * cell.pass_at_1, 1),
            )
        )
    return found


def _is_current(steps: Mapping[str, Made], summary: Summary) -> bool:
    measured = steps.get(f"evaluate-{summary.rung}")
    if measured is None:
        return False
    return summary.rung == "base" or (
        summary.rung in steps and measured.inputs.get("model") == steps[summary.rung].identity
    )
