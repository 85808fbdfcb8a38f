"""Which responses stages 1 and 2 imitate: all correct ones, then a compact, hard, diverse few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from minireason.curate.deduplicate import response_key
from minireason.curate.judged import Judged, join, pass_rate
from minireason.curate.ledger import Ledger
from minireason.curate.repetition import repetition_score
from minireason.errors import DataError
from minireason.messages import assistant_message, prompt_messages
from minireason.records import LEVELS, Example, Question, Rollout, Verdict
from minireason.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class SftSelection:
    """What "compact, diverse, hard, high-quality" means in numbers (the paper gives none).

    At most `size` examples and `per_question` of a question. Responses above `max_repetition`
    are dropped, as are those shorter than `min_length_share` of the median correct response of
    their question, which have left the reasoning out.
    """

    size: int = 10_000
    per_question: int = 1
    max_repetition: float = 0.5
    min_length_share: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 1 or self.per_question < 1:
            raise DataError(
                f"size is {self.size} and per_question {self.per_question}; both must be 1 or more"
            )


def midtrain_examples(
    questions: Sequence[Question],
    rollouts: Sequence[Rollout],
    verdicts: Sequence[Verdict],
    *,
    system_prompt: str = "",
    max_repetition: float = 1.0,
) -> tuple[list[Example], Ledger]:
    """Every correct response that came to its end, in the questions' order (stage 1)."""
    ledger = Ledger(len(rollouts))
    groups = join(questions, rollouts, verdicts)
    kept = [j for group in groups for j in _usable(group, max_repetition, ledger)]
    ledger.close(len(kept), "mid-training examples")
    return [_example(j, system_prompt) for j in kept], ledger


def sft_examples(
    questions: Sequence[Question],
    rollouts: Sequence[Rollout],
    verdicts: Sequence[Verdict],
    selection: SftSelection | None = None,
    *,
    system_prompt: str = "",
) -> tuple[list[Example], Ledger]:
    """The subset of stage 2, in the questions' order.

    Compact: only the shorter half of a question's correct responses. Hard: within a domain and
    level, questions with a low pass rate come first. Diverse: domains and levels take turns until
    `size` is reached, and identical responses count once.
    """
    chosen = selection or SftSelection()
    ledger = Ledger(len(rollouts))
    candidates: list[tuple[float, list[Judged]]] = []
    for group in join(questions, rollouts, verdicts):
        usable = _usable(group, chosen.max_repetition, ledger)
        if compact := _compact(_distinct(usable, ledger), chosen, ledger):
            candidates.append((pass_rate(group), compact))
    kept = _balanced(candidates, chosen, ledger)
    ledger.close(len(kept), "SFT examples")
    position = {question.id: i for i, question in enumerate(questions)}
    kept.sort(key=lambda j: (position[j.question.id], j.rollout.index))
    return [_example(j, system_prompt) for j in kept], ledger


def _usable(group: Sequence[Judged], max_repetition: float, ledger: Ledger) -> list[Judged]:
    """The correct, complete, not repetitive responses of a question."""
    kept = []
    for judged in group:
        if not judged.is_correct:
            ledger.drop(judged.verdict.verdict)
        elif judged.is_truncated:
            ledger.drop("truncated")
        elif max_repetition < 1.0 and repetition_score(judged.rollout.response) > max_repetition:
            ledger.drop("repetitive")
        else:
            kept.append(judged)
    return kept


def _distinct(group: Sequence[Judged], ledger: Ledger) -> list[Judged]:
    distinct = {response_key(j.rollout.response): j for j in reversed(group)}
    ledger.drop("identical response", len(group) - len(distinct))
    return list(reversed(distinct.values()))


def _compact(group: Sequence[Judged], selection: SftSelection, ledger: Ledger) -> list[Judged]:
    """Up to `per_question` responses, drawn from the shorter half without the degenerate."""
    if not group:
        return []
    least = selection.min_length_share * median(j.length for j in group)
    whole = sorted((j for j in group if j.length >= least), key=lambda j: j.length)
    ledger.drop("degenerate: far shorter than the others", len(group) - len(whole))
    half = whole[: math.ceil(len(whole) / 2)]
    ledger.drop("in the longer half", len(whole) - len(half))
    half.sort(key=lambda j: derive_seed(selection.seed, "sft", j.question.id, j.rollout.index))
    kept = half[: selection.per_question]
    ledger.drop("over the number a question", len(half) - len(kept))
    return kept


def _balanced(
    candidates: Sequence[tuple[float, list[Judged]]], selection: SftSelection, ledger: Ledger
) -> list[Judged]:
    """Cells of (level, domain) take turns, the hardest level first, a question a turn."""
    cells: dict[tuple[str, str], list[tuple[float, int, list[Judged]]]] = {}
    for rate, responses in candidates:
        question = responses[0].question
        tie = derive_seed(selection.seed, "sft", question.id)
        cells.setdefault((question.level, question.domain), []).append((rate, tie, responses))
    order = sorted(cells, key=lambda cell: (-_rank(cell[0]), cell))
    queues = [sorted(cells[cell], key=lambda item: item[:2]) for cell in order]
    turns = [
        queue[turn][2]
        for turn in range(max(map(len, queues), default=0))
        for queue in queues
        if turn < len(queue)
    ]
    ranked = [judged for responses in turns for judged in responses]
    ledger.drop("over the size", max(0, len(ranked) - selection.size))
    return ranked[: selection.size]


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1


def _example(judged: Judged, system_prompt: str) -> Example:
    question = judged.question
    return Example(
        id=f"{question.id}#{judged.rollout.index}",
        messages=[
            *prompt_messages(question, system_prompt),
            assistant_message(judged.rollout.response),
        ],
        domain=question.domain,
        level=question.level,
    )
