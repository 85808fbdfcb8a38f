"""Keep one of each: questions by normalised text, the responses of a question by their words."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from minireason.curate.ledger import Ledger
from minireason.records import Question, Rollout

# LaTeX that changes how a formula is spaced or delimited, never what it says.
_DECORATION = re.compile(r"\\[,;:!]|\\left\b|\\right\b|~|\$")


def normalised(text: str) -> str:
    """The text without case, white space runs, `$` signs, LaTeX spacing and final punctuation.

    Operators and digits stay: `2+3` and `2-3` are different questions. NFC rather than NFKC,
    which would read x² as x2.
    """
    plain = _DECORATION.sub(" ", unicodedata.normalize("NFC", text).casefold())
    return " ".join(plain.split()).rstrip(".?!: ")


def text_key(text: str) -> bytes:
    """A 16-byte hash of the normalised text, so that millions fit in memory."""
    data = normalised(text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()


def deduplicate_questions(questions: Iterable[Question]) -> tuple[list[Question], Ledger]:
    """The first of each group of equal questions.

    A repeat whose answer differs has its own reason in the ledger, since one of the two is wrong.
    """
    kept: list[Question] = []
    answers: dict[bytes, str] = {}
    ledger = Ledger(0)
    for question in questions:
        ledger.num_in += 1
        key = text_key(question.text)
        if key not in answers:
            answers[key] = question.answer
            kept.append(question)
        elif normalised(question.answer) == normalised(answers[key]):
            ledger.drop("duplicate question")
        else:
            ledger.drop("duplicate question with another answer")
    ledger.close(len(kept), "questions")
    return kept, ledger


def deduplicate_rollouts(rollouts: Iterable[Rollout]) -> tuple[list[Rollout], Ledger]:
    """The first of each group of responses to one question that differ in white space at most."""
    kept: list[Rollout] = []
    seen: set[tuple[str, bytes]] = set()
    ledger = Ledger(0)
    for rollout in rollouts:
        ledger.num_in += 1
        key = (rollout.question_id, response_key(rollout.response))
        if key in seen:
            ledger.drop("identical response")
        else:
            seen.add(key)
            kept.append(rollout)
    ledger.close(len(kept), "rollouts")
    return kept, ledger


def response_key(response: str) -> bytes:
    """A 16-byte hash of a response up to white space."""
    data = " ".join(response.split()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()
