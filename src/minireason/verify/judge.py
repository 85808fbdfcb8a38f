"""A judge for what the rules reject or cannot read (paper: a language model checks these again).

The judge is a model behind any OpenAI-compatible server. What it is shown was written by another
model, so it stands between marks that it cannot forge, and only the last line of the judge's own
answer is read as its verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any, Literal

from minireason.endpoint.prompt import greedy_request, load_prompt, prompt_digest, quoted
from minireason.endpoint.reply import Reply
from minireason.endpoint.server import Endpoint
from minireason.endpoint.session import Request
from minireason.errors import SamplingError
from minireason.verify.verifier import Decision

if TYPE_CHECKING:
    from minireason.records import VerdictLabel

KEY_ENV = "JUDGE_API_KEY"  # not the teacher's: a key must not reach a server it is not for
TAIL = 2_000
LONGEST_QUESTION = 8_000

Judgement = Literal["correct", "incorrect", "unclear", "unreadable"]

_VERDICT = re.compile(
    r"[\W_]{0,6}verdict[\W_]{0,3}:[\W_]{0,6}(correct|incorrect|unclear)[\W_]{0,6}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Case:
    """A response with what the rules decided; `is_cut` where the token limit ended it."""

    question_id: str
    index: int
    question: str
    reference: str
    response: str
    is_cut: bool
    decision: Decision


@dataclass(frozen=True, slots=True)
class Judge:
    """The model that judges, and the verdicts of the rules that it judges again."""

    endpoint: Endpoint
    rechecks: tuple[VerdictLabel, ...] = ("unknown", "incorrect")
    max_tokens: int = 8192

    def settings(self) -> dict[str, Any]:
        """What its verdict on a case depends on."""
        digest = prompt_digest(_prompt())
        return {"judge": self.endpoint.model, "max_tokens": self.max_tokens, "prompt": digest}

    def takes(self, case: Case) -> bool:
        """Whether the case is worth a call; a response without an answer or an end is not."""
        has_answer = case.decision.method != "no_answer" and bool(case.decision.extracted)
        return case.decision.verdict in self.rechecks and has_answer and not case.is_cut

    def request(self, case: Case) -> Request:
        """The case as a request body."""
        places = {
            "question": quoted(case.question[:LONGEST_QUESTION]) or "(not given)",
            "reference": quoted(case.reference),
            "answer": quoted(case.decision.extracted),
            "response": quoted(case.response[-TAIL:]),
        }
        return greedy_request(self.endpoint.model, _prompt(), places, self.max_tokens)


def open_judge(base_url: str, model: str, **endpoint: Any) -> Judge | None:
    """The judge behind a URL, with its own key; None where there is no URL."""
    if base_url and not model:
        raise SamplingError("the judge has a URL and no model; name the model the server is to use")
    return Judge(Endpoint(base_url, model, KEY_ENV, **endpoint)) if base_url else None


def read_judgement(reply: Reply) -> Judgement:
    """The verdict on the last line of an answer that has an end; thinking is not read."""
    lines = reply.content.rstrip().splitlines()
    found = _VERDICT.fullmatch(lines[-1].strip()) if lines else None
    if found is None or reply.finish_reason != "stop":
        return "unreadable"
    word: Judgement = found[1].lower()  # type: ignore[assignment]
    return word


def _prompt() -> Template:
    return load_prompt("minireason.verify", "judge.txt")
