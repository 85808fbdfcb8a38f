"""The ladder: one row a rung, one column a benchmark, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from minireason.evaluate.schema import (
    RUNGS,
    BenchmarkSummary,
    Change,
    Summary,
    read_summary,
    rung_rank,
)


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One rung; `cells` has every benchmark of the ladder, None where the rung did not run it."""

    rung: str
    model: str
    cells: dict[str, BenchmarkSummary | None]


def read_summaries(run_dir: Path) -> list[Summary]:
    """The summaries of the rungs that a run folder has evaluated, in the recipe's order."""
    paths = [run_dir / f"evaluate-{rung}" / "summary.json" for rung in RUNGS]
    return [read_summary(path) for path in paths if path.exists()]


def ladder_rows(summaries: Sequence[Summary | Mapping[str, Any]]) -> list[LadderRow]:
    """The rungs in the recipe's order, with the benchmarks in order of first appearance."""
    rungs = sorted((Summary.model_validate(s) for s in summaries), key=lambda s: rung_rank(s.rung))
    names = list(dict.fromkeys(name for rung in rungs for name in rung.benchmarks))
    return [
        LadderRow(rung.rung, rung.model, {name: rung.benchmarks.get(name) for name in names})
        for rung in rungs
    ]


def percent(share: float) -> str:
    """A share of 1 as a percentage with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def interval_text(low: float, high: float) -> str:
    """A 95 % interval of shares, as percentages: `[48.4, 56.1]`."""
    return f"[{percent(low)}, {percent(high)}]"


def change_text(change: Change) -> str:
    """The change in points; ▲ or ▼ when it lies beyond its interval, ≈ when it does not."""
    mark = ("▲" if change.difference > 0 else "▼") if change.is_beyond else "≈"
    return f"{mark} {points(change.difference)}"


def ladder_table(summaries: Sequence[Summary | Mapping[str, Any]]) -> Table:
    """The ladder for a terminal. Intervals are 95 %, clustered by question."""
    rows = ladder_rows(summaries)
    table = Table(
        title="pass@1 (%) with 95 % interval, mean tokens, truncated, change since the rung before",
        caption="▲ ▼ the change is beyond its paired 95 % interval; ≈ it is not",
        show_lines=True,
    )
    table.add_column("rung", style="bold")
    for name in rows[0].cells if rows else ():
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.rung, *(_terminal_cell(cell) for cell in row.cells.values()))
    return table


def _terminal_cell(cell: BenchmarkSummary | None) -> str:
    if cell is None:
        return "not run"
    # rich reads [..] as markup unless the bracket is escaped
    interval = interval_text(cell.ci_low, cell.ci_high).replace("[", r"\[")
    lines = [f"{percent(cell.pass_at_1)} {interval}"]
    lines.append(f"{cell.mean_tokens:,.0f} tokens, {percent(cell.truncation_rate)} % cut")
    if cell.against_previous is not None:
        lines.append(change_text(cell.against_previous))
    return "\n".join(lines)
