"""The data page: what came in, what was dropped and why, and what stages 1 and 2 imitate."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from minireason.account import Account, accounts
from minireason.report.charts import histogram_chart
from minireason.report.data_flow import flow_lines
from minireason.report.data_summary import KEPT, DataSample, DataSummary
from minireason.report.run_data import DATA_STEPS, RunData

_END = 900
_OVERLAPS = 6


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for which rollouts were dropped: how many, their share, and some of them."""

    name: str
    rows: int
    share: float
    tokens: int | None
    samples: list[DataSample]


def page_values(run: RunData, data: DataSummary, run_dir: Path) -> dict[str, Any]:
    """What `data.html` shows."""
    steps = {step.name: step for step in run.steps}
    sets = {account.name: account for account in accounts(steps["curate"].rows)[0]}
    return {
        "run": run,
        "cards": _cards(sets, data),
        "flow": [line for line in flow_lines(run) if line.step.split(":")[0] in DATA_STEPS],
        "groups": [
            ("domain", data.domains),
            ("level", data.levels),
            *([("source", data.sources)] if len(data.sources) > 1 else []),
        ],
        "charts": _charts(data),
        "reasons": _reasons(sets[""], data),
        "kept": data.samples.get(KEPT, []),
        "contaminated": _contaminated(run_dir / "questions" / "contaminated.jsonl"),
    }


def _cards(sets: dict[str, Account], data: DataSummary) -> list[tuple[str, str, str]]:
    """(title, number, remark) of what goes in and of what the two stages imitate."""
    own, sft = sets[""], sets["sft"]
    questions = int(data.pass_rates.all.sum())
    return [
        ("Rollouts", _number(own.rows_in), f"{_number(own.tokens_in)} tokens, {_cut(data)}"),
        ("Questions answered", _number(questions), _solved(data)),
        ("Mid-training", _number(own.rows_out), f"{_number(own.tokens_out)} tokens"),
        ("SFT", _number(sft.rows_out), f"{_number(sft.tokens_out)} tokens"),
    ]


def _cut(data: DataSummary) -> str:
    return f"{100 * data.num_truncated / max(1, data.num_rollouts):.1f} % cut off"


def _solved(data: DataSummary) -> str:
    return f"{int(data.pass_rates.kept.sum()):,} of them solved at least once"


def _charts(data: DataSummary) -> list[tuple[str, str, Markup]]:
    shown = (
        ("Length", "tokens, bins of half a power of two", data.lengths, "rollouts"),
        ("Pass rate", "share of a question's rollouts", data.pass_rates, "questions"),
        ("Repetition", "score, 1 is nothing but repetition", data.repetition, "rollouts"),
    )
    return [
        (
            title,
            note,
            histogram_chart(found.edges, found.all.tolist(), found.kept.tolist(), title, what),
        )
        for title, note, found, what in shown
    ]


def _reasons(account: Account, data: DataSummary) -> list[Reason]:
    total = account.rows_in or 1
    return [
        Reason(name, rows, 100 * rows / total, tokens, data.samples.get(name, []))
        for name, rows, tokens in account.reasons
    ]


def _contaminated(path: Path) -> list[dict[str, Any]]:
    """A few questions that a benchmark asks too, the least obvious first."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        found = (json.loads(line) for line in lines)
        return heapq.nsmallest(_OVERLAPS, found, key=lambda c: (c["overlap"], c["question_id"]))


def ending(response: str) -> str:
    """The end of a response, where it decides itself, saying how much stands before it."""
    if len(response) <= _END:
        return response
    return f"[… {len(response) - _END:,} characters …]{response[-_END:]}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
