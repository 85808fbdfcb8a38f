"""Prompt optimisation of stage 4: admit the prompts whose trial responses are of similar length.

Responses of very different lengths to one prompt make the policy gradient noisy (paper, section
on RL). The paper gives no threshold; ours is on the coefficient of variation, the standard
deviation over the mean. The bounds on the pass rate are ours too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from minireason.curate.judged import Judged, pass_rate
from minireason.curate.ledger import Ledger
from minireason.errors import DataError
from minireason.messages import prompt_messages
from minireason.records import Prompt, Question, Refused


@dataclass(frozen=True, slots=True)
class PromptSelection:
    """Which prompts reinforcement learning sees; None switches a rule off.

    `max_length_spread` bounds the standard deviation of the response lengths over their mean;
    `pass_rates` are the least and greatest share of correct trials, both allowed.
    """

    max_length_spread: float | None = 0.5
    pass_rates: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        low, high = self.pass_rates or (0.0, 1.0)
        if not 0.0 <= low <= high <= 1.0:
            raise DataError(f"pass_rates is {self.pass_rates}; allowed is 0 <= low <= high <= 1")
        if self.max_length_spread is not None and not self.max_length_spread >= 0.0:
            raise DataError(f"max_length_spread is {self.max_length_spread}; it must be 0 or more")


def select_prompts(
    questions: Sequence[Question],
    groups: Iterable[Sequence[Judged]],
    selection: PromptSelection,
    *,
    system_prompt: str = "",
) -> tuple[list[Prompt], list[Refused], Ledger]:
    """The admitted prompts and the others with their reasons, in the questions' order.

    Raises DataError where the trials carry no token counts: lengths could not be compared.
    """
    ledger = Ledger(len(questions))
    prompts: list[Prompt] = []
    refused: list[Refused] = []
    tried = {group[0].question.id: group for group in groups}
    if tried and not any(num for group in tried.values() for num in _lengths(group)):
        raise DataError("no trial rollout has a token count (num_tokens); sample the trials again")
    for question in questions:
        group = tried.get(question.id, ())
        if reason := _refusal(group, selection):
            ledger.drop(reason)
            refused.append(_refused(question.id, group, reason))
        else:
            prompts.append(_prompt(group, system_prompt))
    ledger.close(len(prompts), "prompts")
    return prompts, refused, ledger


def still_open(
    questions: Sequence[Question], groups: Iterable[Sequence[Judged]], selection: PromptSelection
) -> list[Question]:
    """The questions whose trials so far break no rule: worth another round of trials."""
    tried = {group[0].question.id: group for group in groups}
    return [q for q in questions if not _refusal(tried.get(q.id, ()), selection)]


def length_spread(lengths: Sequence[int]) -> float:
    """Standard deviation over mean of response lengths in tokens; 0 where all are empty."""
    mean = fmean(lengths)
    return pstdev(lengths) / mean if mean else 0.0


def _refusal(group: Sequence[Judged], selection: PromptSelection) -> str:
    """Why a prompt is not admitted; empty where it is."""
    if not group:
        return "no trial rollouts"
    if selection.max_length_spread is not None:
        if len(group) < 2:
            return "fewer than two trial rollouts"
        if length_spread(_lengths(group)) > selection.max_length_spread:
            return "response lengths not uniform"
    low, high = selection.pass_rates or (0.0, 1.0)
    if pass_rate(group) < low:
        return "solved too rarely"
    return "solved too often" if pass_rate(group) > high else ""


def _lengths(group: Sequence[Judged]) -> list[int]:
    return [judged.rollout.num_tokens for judged in group]


def _refused(question_id: str, group: Sequence[Judged], reason: str) -> Refused:
    lengths = _lengths(group)
    return Refused(
        question_id=question_id,
        reason=reason,
        num_trials=len(group),
        pass_rate=pass_rate(group) if group else 0.0,
        mean_tokens=fmean(lengths) if lengths else 0.0,
        length_spread=length_spread(lengths) if lengths else 0.0,
    )


def _prompt(group: Sequence[Judged], system_prompt: str) -> Prompt:
    question, lengths = group[0].question, _lengths(group)
    return Prompt(
        question_id=question.id,
        prompt=prompt_messages(question, system_prompt),
        answer=question.answer,
        answer_kind=question.answer_kind,
        pass_rate=pass_rate(group),
        mean_tokens=fmean(lengths),
        length_spread=length_spread(lengths),
        domain=question.domain,
        level=question.level,
    )
