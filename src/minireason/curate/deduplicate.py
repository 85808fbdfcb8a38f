"""What counts as the same: questions by normalised text, responses by their words."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from minireason.curate.ledger import Ledger
from minireason.records import Question

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


def response_key(response: str) -> bytes:
    """A 16-byte hash of a response up to white space."""
    data = " ".join(response.split()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()
