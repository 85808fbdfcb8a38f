"""What counts as the same: questions by normalised text, responses by their words."""

from __future__ import annotations

import hashlib
import re
import unicodedata

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


class SeenQuestions:
    """The questions that came so far: 16 bytes of key and the answer of each."""

    def __init__(self) -> None:
        self._answers: dict[bytes, str] = {}

    def repeats(self, question: Question) -> str:
        """Why a question is not new, or nothing: then it counts as seen.

        A repeat whose answer differs has its own reason, since one of the two is wrong.
        """
        key = text_key(question.text)
        if key not in self._answers:
            self._answers[key] = question.answer
            return ""
        if normalised(question.answer) == normalised(self._answers[key]):
            return "duplicate question"
        return "duplicate question with another answer"


def response_key(response: str) -> bytes:
    """A 16-byte hash of a response up to white space."""
    data = " ".join(response.split()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()
