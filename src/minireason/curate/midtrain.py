"""Which responses stage 1 imitates: every correct one that came to its end and does not loop.

The paper imitates all verified-correct rollouts. Ours in addition: a response that repeats an
earlier one of its question counts once, and what a response is worth is kept beside it
(`Annotation`), with the reason where it is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from minireason.curate.deduplicate import response_key
from minireason.curate.judged import Judged, pass_rate
from minireason.curate.language import foreign_share
from minireason.curate.ledger import Ledger
from minireason.curate.repetition import repetition
from minireason.errors import DataError
from minireason.messages import assistant_message, prompt_messages
from minireason.records import Annotation, Example

REPEATED = "identical response"


@dataclass(frozen=True, slots=True)
class MidtrainSelection:
    """Greatest repetition score and greatest share of foreign script that are still imitated."""

    max_repetition: float = 0.5
    max_foreign: float = 0.1

    def __post_init__(self) -> None:
        for name in ("max_repetition", "max_foreign"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise DataError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")


def annotate_group(
    group: Sequence[Judged], num_tokens: Sequence[int], selection: MidtrainSelection
) -> list[Annotation]:
    """An annotation for each rollout of a question, in order.

    The pass rate is that of the distinct responses.
    """
    keys = [response_key(judged.rollout.response) for judged in group]
    is_first = [key not in keys[:place] for place, key in enumerate(keys)]
    rate = pass_rate([judged for judged, first in zip(group, is_first, strict=True) if first])
    return [
        _annotation(judged, count, rate, REPEATED if not first else "", selection)
        for judged, count, first in zip(group, num_tokens, is_first, strict=True)
    ]


def _annotation(
    judged: Judged, num_tokens: int, rate: float, dropped: str, selection: MidtrainSelection
) -> Annotation:
    question, response = judged.question, judged.rollout.response
    found = repetition(response)
    foreign = foreign_share(response, question.text)
    return Annotation(
        question_id=question.id,
        index=judged.rollout.index,
        source=question.source,
        domain=question.domain,
        level=question.level,
        verdict=judged.verdict.verdict,
        pass_rate=rate,
        num_tokens=num_tokens,
        num_characters=len(response),
        is_truncated=judged.is_truncated,
        repetition=found.score,
        repeated_ngrams=found.ngrams,
        compression=found.compression,
        loop=found.loop,
        foreign_share=foreign,
        quality=(1.0 - found.score) * (1.0 - foreign),
        dropped=dropped or _refusal(judged, found.score, foreign, selection),
    )


def _refusal(judged: Judged, score: float, foreign: float, selection: MidtrainSelection) -> str:
    """Why stage 1 does not imitate a response; empty where it does."""
    if not judged.is_correct:
        return judged.verdict.verdict
    if judged.is_truncated:
        return "truncated"
    if score > selection.max_repetition:
        return "repetitive"
    return "in another script" if foreign > selection.max_foreign else ""


def midtrain_ledger(annotations: Iterable[Annotation]) -> Ledger:
    """The account of a selection from its annotations."""
    ledger = Ledger()
    for annotation in annotations:
        ledger.take(1, annotation.num_tokens)
        if annotation.dropped:
            ledger.drop(annotation.dropped, 1, annotation.num_tokens)
    return ledger


def midtrain_examples(
    group: Sequence[Judged], annotations: Sequence[Annotation], system_prompt: str = ""
) -> Iterator[Example]:
    """The conversations of the responses that no rule dropped."""
    for judged, annotation in zip(group, annotations, strict=True):
        if not annotation.dropped:
            yield _example(judged, system_prompt)


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
