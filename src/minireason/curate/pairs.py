"""Stage 3's data: for one question, a correct response preferred over an incorrect one.

The paper says no more than that. Ours in addition: (1) each response is in one pair at most; (2)
a pair whose lengths differ by more than a factor is dropped, or length would be the lesson; (3)
among the possible pairs those that begin alike come first, so that the difference lies where the
reasoning goes wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from minireason.curate.deduplicate import response_key
from minireason.curate.judged import Judged
from minireason.curate.ledger import Ledger
from minireason.errors import DataError
from minireason.messages import assistant_message, prompt_messages
from minireason.records import Pair
from minireason.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class PairSelection:
    """How pairs are formed.

    `max_length_ratio` bounds the longer response over the shorter. `rejects_truncated` and
    `rejects_unknown` let responses without an end, or without a clear verdict, be the rejected
    one; a chosen response is always correct and complete.
    """

    per_question: int = 4
    max_length_ratio: float = 4.0
    prefers_shared_prefix: bool = True
    rejects_truncated: bool = False
    rejects_unknown: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_question < 1 or not self.max_length_ratio >= 1.0:
            raise DataError(
                f"per_question is {self.per_question} and max_length_ratio "
                f"{self.max_length_ratio}; both must be 1 or more"
            )


def preference_pairs(
    groups: Iterable[Sequence[Judged]],
    selection: PairSelection,
    ledger: Ledger,
    *,
    system_prompt: str = "",
) -> Iterator[Pair]:
    """The pairs of each question's judged rollouts, accounted for in rollouts (two a pair)."""
    for group in groups:
        ledger.take(len(group))
        correct, incorrect = _sides(group, selection, ledger)
        for good, bad in _matched(correct, incorrect, selection, ledger):
            yield _pair(good, bad, system_prompt)


def _sides(
    group: Sequence[Judged], selection: PairSelection, ledger: Ledger
) -> tuple[list[Judged], list[Judged]]:
    """The responses that may be chosen and those that may be rejected."""
    correct: list[Judged] = []
    incorrect: list[Judged] = []
    seen: set[bytes] = set()
    for judged in group:
        verdict, key = judged.verdict.verdict, response_key(judged.rollout.response)
        if verdict == "unknown" and not selection.rejects_unknown:
            ledger.drop("unknown")
        elif judged.is_truncated and (judged.is_correct or not selection.rejects_truncated):
            ledger.drop("truncated")
        elif key in seen:
            ledger.drop("identical response")
        else:
            seen.add(key)
            (correct if judged.is_correct else incorrect).append(judged)
    if correct and incorrect:
        return correct, incorrect
    ledger.drop("question without an incorrect response", len(correct))
    ledger.drop("question without a correct response", len(incorrect))
    return [], []


def _matched(
    correct: Sequence[Judged],
    incorrect: Sequence[Judged],
    selection: PairSelection,
    ledger: Ledger,
) -> list[tuple[Judged, Judged]]:
    """Greedily the best pairs left, each response once."""
    possible = [
        (good, bad)
        for good in correct
        for bad in incorrect
        if _length_ratio(good, bad) <= selection.max_length_ratio
    ]
    possible.sort(key=lambda pair: _preference(pair[0], pair[1], selection))
    used: set[int] = set()
    pairs: list[tuple[Judged, Judged]] = []
    for good, bad in possible:
        if (
            len(pairs) < selection.per_question
            and not {good.rollout.index, bad.rollout.index} & used
        ):
            used |= {good.rollout.index, bad.rollout.index}
            pairs.append((good, bad))
    partnered = {j.rollout.index for pair in possible for j in pair}
    num_all = len(correct) + len(incorrect)
    ledger.drop("no partner within the length ratio", num_all - len(partnered))
    ledger.drop("every partner taken, or over the pairs a question", len(partnered) - len(used))
    return pairs


def _length_ratio(good: Judged, bad: Judged) -> float:
    shorter, longer = sorted((max(1, good.length), max(1, bad.length)))
    return longer / shorter


def _preference(good: Judged, bad: Judged, selection: PairSelection) -> tuple[float, int]:
    """Sorts pairs: the larger share of common beginning first, then at random."""
    first, second = good.rollout.response, bad.rollout.response
    shared = num_shared(first, second) / max(1, min(len(first), len(second)))
    tie = derive_seed(
        selection.seed, "pairs", good.question.id, good.rollout.index, bad.rollout.index
    )
    return (-shared if selection.prefers_shared_prefix else 0.0), tie


def num_shared(first: str, second: str) -> int:
    """Characters that two texts have in common at their beginning."""
    different = (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(different, min(len(first), len(second)))


def _pair(good: Judged, bad: Judged, system_prompt: str) -> Pair:
    question = good.question
    return Pair(
        id=f"{question.id}#{good.rollout.index}>{bad.rollout.index}",
        prompt=prompt_messages(question, system_prompt),
        chosen=[assistant_message(good.rollout.response)],
        rejected=[assistant_message(bad.rollout.response)],
        domain=question.domain,
        level=question.level,
    )
