"""One sample of a model with what is measured of it, and how it is kept while others are made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from minireason.curate.repetition import repetition
from minireason.evaluate.benchmarks import Asked
from minireason.inference.backend import Response
from minireason.records import EvalSample, Question
from minireason.verify.choice import choice_letter, is_choice, named_option
from minireason.verify.rollouts import reference
from minireason.verify.verifier import Verifier

LOGPROB_DIGITS = 2  # more would depend on what else was sampled, which an interruption changes
NO_ROOM = "no room"
"""The finish reason of a sample whose prompt fills the context: nothing was asked."""
FROM_QUESTION = frozenset({"benchmark", "question", "answer", "domain", "level"})


@dataclass(frozen=True, slots=True)
class ScoredSample(EvalSample):
    """An EvalSample with the log-probability of its tokens, in nats, and whether it loops.

    `logprob` is None where the backend cannot tell; a loop is a response whose end is one unit, at
    least three times and 16 words long (`curate/repetition.py`).
    """

    logprob: float | None = None
    is_loop: bool = False


ENTRY = tuple(f.name for f in fields(ScoredSample) if f.name not in FROM_QUESTION)


def score(
    asked: Asked,
    question: Question,
    index: int,
    response: Response,
    verifier: Verifier,
    *,
    keeps_withheld: bool = False,
) -> ScoredSample:
    """Judge a response.

    Of a withheld benchmark the question is left out, and of the response all but the letter.
    """
    kind = question.answer_kind
    decision = verifier.verify(response.text, reference(question.text, question.answer, kind), kind)
    found = decision.extracted
    if is_choice(question.answer, kind):
        found = named_option(found, question.text)
    is_text_kept = not asked.is_withheld or keeps_withheld
    if not is_text_kept:
        found = choice_letter(found)
    return ScoredSample(
        **_of_question(asked, question),
        question_id=question.id,
        index=index,
        response=response.text if is_text_kept else "",
        verdict=decision.verdict,
        extracted=found,
        method=decision.method,
        finish_reason=response.finish_reason,
        num_tokens=response.num_tokens,
        logprob=None if response.logprob is None else round(response.logprob, LOGPROB_DIGITS),
        is_loop=repetition(response.text).loop > 0,
    )


def unfit(asked: Asked, question: Question, index: int) -> ScoredSample:
    """The sample of a question that the model cannot be asked: wrong, and counted."""
    return ScoredSample(
        **_of_question(asked, question),
        question_id=question.id,
        index=index,
        response="",
        verdict="incorrect",
        extracted="",
        method="none",
        finish_reason=NO_ROOM,
        num_tokens=0,
    )


def to_entry(sample: ScoredSample) -> dict[str, Any]:
    """A line of the journal: what does not stand in the question."""
    return {name: getattr(sample, name) for name in ENTRY}


def from_entry(entry: dict[str, Any], asked: Asked, question: Question) -> ScoredSample:
    """The sample of a line."""
    return ScoredSample(**_of_question(asked, question), **entry)


def _of_question(asked: Asked, question: Question) -> dict[str, Any]:
    """The fields of FROM_QUESTION."""
    return {
        "benchmark": asked.label,
        "question": "" if asked.is_withheld else question.text,
        "answer": question.answer,
        "domain": question.domain,
        "level": question.level,
    }
