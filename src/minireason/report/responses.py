"""Sample responses: the same few questions, answered by every rung.

They are chosen, not drawn at random: levels in turn, and within a level first the questions on
which the rungs differ. The page says so, because such a choice must not be read as a rate.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from minireason.records import LEVELS, EvalSample
from minireason.report.run_data import RunData
from minireason.seeding import derive_seed

_HEAD, _TAIL = 4000, 2000


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question with the first sample of every rung, None where a rung has none."""

    question: EvalSample
    answers: list[tuple[str, EvalSample | None]]
    differs: bool


def chosen_questions(run: RunData, num_examples: int) -> list[QuestionView]:
    """At most `num_examples` questions, those on which the rungs differ first, then by level."""
    by_level: dict[str, list[QuestionView]] = defaultdict(list)
    for view in _all_questions(run):
        by_level[view.question.level].append(view)
    for views in by_level.values():
        views.sort(key=_preference)
    names = sorted(by_level, key=_level_rank)
    chosen: list[QuestionView] = []
    while len(chosen) < num_examples and any(by_level.values()):
        chosen += [by_level[name].pop(0) for name in names if by_level[name]]
    chosen = chosen[:num_examples]
    return sorted(chosen, key=lambda v: (not v.differs, _level_rank(v.question.level)))


def _all_questions(run: RunData) -> list[QuestionView]:
    rungs = [name for name, rung in run.rungs.items() if rung.samples]
    found: dict[tuple[str, str], dict[str, EvalSample]] = defaultdict(dict)
    for rung in rungs:
        for benchmark, samples in run.rungs[rung].samples.items():
            for sample in samples:
                if sample.index == 0:
                    found[benchmark, sample.question_id][rung] = sample
    views = []
    for answers in found.values():
        verdicts = {sample.verdict == "correct" for sample in answers.values()}
        pairs = [(rung, answers.get(rung)) for rung in rungs]
        views.append(QuestionView(next(iter(answers.values())), pairs, len(verdicts) > 1))
    return views


def _preference(view: QuestionView) -> tuple[int, bool, int]:
    """Answered by more rungs first, then rungs differ, then a fixed shuffle."""
    absent = sum(sample is None for _, sample in view.answers)
    question = view.question
    shuffle = derive_seed("report", question.benchmark, question.question_id)
    return absent, not view.differs, shuffle


def _level_rank(level: str) -> tuple[int, str]:
    return (LEVELS.index(level) if level in LEVELS else len(LEVELS), level)


def shorten(text: str) -> str:
    """A long response without its middle, saying how much is left out."""
    left_out = len(text) - _HEAD - _TAIL
    if left_out <= 0:
        return text
    return f"{text[:_HEAD]}\n\n[… {left_out:,} characters left out …]\n\n{text[-_TAIL:]}"
