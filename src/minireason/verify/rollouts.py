"""Verdicts for rollouts: the answers of many responses checked against their questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from minireason.errors import DataError
from minireason.records import Question, Rollout, Verdict
from minireason.verify.choice import is_choice, with_option
from minireason.verify.judge import Case
from minireason.verify.verifier import Decision, Verifier

Recheck = Callable[[list[Case]], list[Decision]]
"""Gives the final decisions on cases that the rules have decided."""


def rules_alone(cases: list[Case]) -> list[Decision]:
    """The decisions of the rules stand."""
    return [case.decision for case in cases]


def verify_rollouts(
    verifier: Verifier,
    questions: Iterable[Question],
    rollouts: Sequence[Rollout],
    recheck: Recheck = rules_alone,
) -> list[Verdict]:
    """One verdict a rollout, in order. A rollout of a question that is not given is an error."""
    by_id = {question.id: question for question in questions}
    for rollout in rollouts:
        if rollout.question_id not in by_id:
            raise DataError(
                f"a rollout answers {rollout.question_id!r}, which is no known question"
            )
    asked = [by_id[rollout.question_id] for rollout in rollouts]
    ruled = verifier.verify_batch(
        [
            (rollout.response, _reference(question), question.answer_kind)
            for rollout, question in zip(rollouts, asked, strict=True)
        ]
    )
    cases = [
        Case(q.id, r.index, q.text, q.answer, r.response, r.finish_reason == "length", decision)
        for r, q, decision in zip(rollouts, asked, ruled, strict=True)
    ]
    return [
        Verdict(
            question_id=rollout.question_id,
            index=rollout.index,
            verdict=decision.verdict,
            extracted=decision.extracted,
            method=decision.method,
            reason=decision.reason,
        )
        for rollout, decision in zip(rollouts, recheck(cases), strict=True)
    ]


def _reference(question: Question) -> str:
    return reference(question.text, question.answer, question.answer_kind)


def reference(text: str, answer: str, kind: str) -> str:
    """The reference answer; of multiple choice with its option, where the question shows it."""
    return with_option(answer, text) if is_choice(answer, kind) else answer
