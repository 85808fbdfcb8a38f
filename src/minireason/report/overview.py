"""The ladder on the page: headline, charts, table, breakdowns by domain and level, lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from minireason.errors import DataError
from minireason.evaluate.compare import compare
from minireason.evaluate.ladder import LadderRow, interval_text, ladder_rows, percent, points
from minireason.evaluate.schema import RUNGS, BenchmarkSummary, Rate
from minireason.report.charts import (
    Distribution,
    Estimate,
    interval_chart,
    ridge_chart,
)
from minireason.report.run_data import RunData

LABELS = {
    "pretrain": "Pretrain",
    "base": "Base",
    "midtrain": "Mid-train",
    "sft": "SFT",
    "dpo": "DPO",
    "rlvr": "RLVR",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """From the first rung to the last on one benchmark, as texts in percent and points."""

    benchmark: str
    first: str
    last: str
    gain: str
    interval: str
    is_beyond: bool
    size: str


def rung_label(rung: str) -> str:
    """The name of a rung as people read it."""
    return LABELS.get(rung, rung)


def rows_of(run: RunData) -> list[LadderRow]:
    """The ladder of the run."""
    return ladder_rows([rung.summary for rung in run.rungs.values()])


def missing_rungs(run: RunData) -> list[str]:
    """The labels of the rungs that were not evaluated; a pretrained rung stands for the base."""
    start = "pretrain" if "pretrain" in run.rungs else "base"
    wanted = [start, *(name for name in RUNGS if name not in ("pretrain", "base"))]
    return [rung_label(name) for name in wanted if name not in run.rungs]


def benchmark_names(run: RunData) -> list[str]:
    """The benchmarks of the run, in order of first appearance."""
    rows = rows_of(run)
    return list(rows[0].cells) if rows else []


def headlines(run: RunData) -> list[Headline]:
    """For each benchmark the first and last rung that ran it, with the paired gain."""
    return [_headline(run, name) for name in benchmark_names(run)]


def _headline(run: RunData, name: str) -> Headline:
    ran = [(row.rung, cell) for row in rows_of(run) if (cell := row.cells[name])]
    (first, before), (last, after) = ran[0], ran[-1]
    size = f"{after.num_questions:,} questions, {after.num_samples:,} samples"
    if len(ran) == 1:
        interval = f"95 % interval {interval_text(after.ci_low, after.ci_high)}"
        return Headline(name, "", percent(after.pass_at_1), "", interval, False, size)
    gain, interval, is_beyond = points(after.pass_at_1 - before.pass_at_1), "", False
    earlier, later = run.rungs[first].samples.get(name), run.rungs[last].samples.get(name)
    if not earlier or not later:
        interval = "no interval: the samples were not kept"
    else:
        try:
            change = compare(earlier, later)
            interval = f"[{points(change.ci_low)}, {points(change.ci_high)}]"
            is_beyond = change.ci_low > 0 or change.ci_high < 0
        except DataError as error:
            interval = f"no interval: {error}"
    texts = percent(before.pass_at_1), percent(after.pass_at_1)
    return Headline(name, *texts, gain, interval, is_beyond, size)


def ladder_charts(run: RunData) -> list[tuple[str, Markup]]:
    """For each benchmark the rungs with their error bars."""
    charts = []
    for name in benchmark_names(run):
        ran = [(row.rung, cell) for row in rows_of(run) if (cell := row.cells[name])]
        estimates = [_estimate(rung, cell) for rung, cell in ran]
        charts.append((name, interval_chart(estimates, f"pass@1 on {name} by rung")))
    return charts


def _estimate(rung: str, cell: BenchmarkSummary) -> Estimate:
    interval = interval_text(cell.ci_low, cell.ci_high)
    title = f"{rung_label(rung)}: {percent(cell.pass_at_1)} % {interval}"
    change = cell.against_previous
    if change is not None:
        span = f"[{points(change.ci_low)}, {points(change.ci_high)}]"
        title += f"; {points(change.difference)} points {span} since {rung_label(change.rung)}"
        title += f", p = {change.p_value:.2g}"
    is_firm = change is None or change.is_beyond
    return Estimate(rung_label(rung), cell.pass_at_1, cell.ci_low, cell.ci_high, is_firm, title)


def breakdowns(run: RunData) -> list[dict[str, Any]]:
    """For each benchmark, tables by level and by domain: a row a group, a column a rung."""
    tables = []
    for name in benchmark_names(run):
        for kind in ("level", "domain"):
            cells = [row.cells[name] for row in rows_of(run)]
            per_rung: list[dict[str, Rate]] = [
                getattr(cell, f"by_{kind}") if cell else {} for cell in cells
            ]
            groups = list(dict.fromkeys(group for rates in per_rung for group in rates))
            if groups:
                lines = [(group, [rates.get(group) for rates in per_rung]) for group in groups]
                tables.append({"benchmark": name, "kind": kind, "lines": lines})
    return tables


def length_charts(run: RunData) -> list[tuple[str, Markup]]:
    """For each benchmark the response lengths of every rung, with the mean of right and wrong."""
    charts = []
    for name in benchmark_names(run):
        rows = []
        for row in rows_of(run):
            if cell := row.cells[name]:
                lengths = cell.lengths
                means = {"right": lengths.correct_mean, "wrong": lengths.incorrect_mean}
                marks = {style: mean for style, mean in means.items() if mean is not None}
                histogram = lengths.histogram
                label = rung_label(row.rung)
                rows.append(Distribution(label, histogram.edges, histogram.counts, marks))
        charts.append((name, ridge_chart(rows, f"response lengths on {name} by rung")))
    return charts
