"""The rollout browser: the responses that RLVR sampled, to filter, sort, read and follow.

The page's data is one JSON object: `fields` names the columns of `samples`, a row a sample;
`questions` and `reward_names` are tables that the rows point into by number. A number that is not
finite is written as text. `rollouts.js` reads it, `rollouts_view.js` shows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minireason.report.policy_samples import SampledStep, Shown
from minireason.report.run_data import RunData

FIELDS = (
    *("step", "question", "index", "start", "left_out", "end", "verdict", "extracted"),
    *("finish_reason", "num_tokens", "temperature", "mean_logprob", "reward_names"),
    *("reward_parts", "reward", "advantage", "lag"),
)
_QUESTION, _ANSWER, _NAME, _NAMED = 2_000, 300, 120, 12


class Table:
    """Distinct values by number, in order of first appearance."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of a value, a new one where it has not been seen."""
        return self.numbers.setdefault(value, len(self.numbers))


def page_values(run: RunData, steps: Sequence[SampledStep]) -> dict[str, Any]:
    """What `rollouts.html` shows."""
    return {
        "run": run,
        "cards": _cards(steps),
        "steps": steps,
        "newest": steps[-1],
        "left_out": {step.step: _named(step.left_out) for step in steps if step.left_out},
        "data": page_data(steps),
    }


def page_data(steps: Sequence[SampledStep]) -> dict[str, Any]:
    """The samples that are shown, as JSON values."""
    questions, names = Table(), Table()
    rows = [_row(shown, questions, names) for step in steps for shown in step.shown]
    return {
        "fields": FIELDS,
        "files": {str(step.step): step.file for step in steps},
        "questions": [
            {
                "id": brief(key, _NAME),
                "text": brief(text, _QUESTION),
                "answer": brief(answer, _ANSWER),
            }
            for key, text, answer in questions.numbers
        ],
        "reward_names": list(names.numbers),
        "samples": rows,
    }


def brief(text: str, most: int) -> str:
    """The start of a text, with an ellipsis where more follows."""
    return text if len(text) <= most else text[:most] + "…"


def _row(shown: Shown, questions: Table, names: Table) -> list[Any]:
    sample, response = shown.sample, shown.response
    return [
        sample.step,
        questions.number((sample.question_id, sample.question, sample.answer)),
        sample.index,
        response.start,
        response.num_left_out,
        response.end,
        brief(sample.verdict, _NAME),
        brief(sample.extracted, _ANSWER),
        brief(sample.finish_reason, _NAME),
        sample.num_tokens,
        _number(sample.temperature),
        _number(sample.mean_logprob),
        names.number(tuple(brief(name, _NAME) for name in sample.reward_names)),
        [_number(part) for part in sample.reward_parts],
        _number(sample.reward),
        _number(sample.advantage),
        sample.lag,
    ]


def _number(value: float | None) -> float | str | None:
    if value is None or not math.isfinite(value):
        return None if value is None else str(value)
    return round(value, 5)


def _cards(steps: Sequence[SampledStep]) -> list[tuple[str, str, str]]:
    """(title, number, remark) of the headline."""
    stored, shown = sum(s.num_stored for s in steps), sum(len(s.shown) for s in steps)
    questions = {item.sample.question_id for step in steps for item in step.shown}
    learnt, cut = sum(s.num_learnt for s in steps), sum(s.num_truncated for s in steps)
    span = f"from step {steps[0].step:,} to {steps[-1].step:,}"
    return [
        (
            "Responses",
            f"{shown:,}",
            "all that were stored" if shown == stored else f"of {stored:,} stored",
        ),
        ("Steps", f"{len(steps):,}", span),
        ("Questions", f"{len(questions):,}", f"{shown / len(questions):.1f} responses to each"),
        (
            "Learnt from",
            f"{100 * learnt / stored:.0f} %",
            f"{100 * cut / stored:.1f} % cut at the limit",
        ),
    ]


def _named(left_out: dict[str, int]) -> str:
    """The questions whose samples are left out, the first few by name."""
    first = ", ".join(
        f"{brief(name, _NAME)} ({count})" for name, count in list(left_out.items())[:_NAMED]
    )
    more = len(left_out) - _NAMED
    return f"{first} and {more:,} more questions" if more > 0 else first
