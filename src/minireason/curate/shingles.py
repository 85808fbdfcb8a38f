"""A question as a set of hashed word triples, by which two wordings of it are recognised.

Numbers and the answer decide what is asked, so every shingle carries the question's numbers and
operators in their order, and its answer: questions that differ in one of them, or where two
numbers change places, have no shingle in common, whatever wording they share. Multiple choice is
read as the bare question with the right option as its answer, so that options in another order, or
none, change nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from zlib import crc32

from minireason.curate.deduplicate import normalised

SIZE = 3

# What is written in several ways and says the same: 1,000, right-angled (but x-y), \\text, \\dfrac.
_SAME = re.compile(
    r"(?<=\d),(?=\d{3}\b)|(?<=[^\W\d]{2})(?:['’](?=[^\W\d])|-(?=[^\W\d]{2}))"
    r"|\\[dt](?=frac|binom)"
    r"|\\(?:text|textbf|textit|mathrm|mathbf|rm|bf|displaystyle|limits|quad|qquad)\b"
)
_TIMES = re.compile(r"\\(?:cdot|times|ast)\b|×|·")
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(rf"[{_CJK}]|[^\W\d_{_CJK}]+|\d+(?:\.\d+)?|[-+*/=<>^]")
# Without "one", which is a pronoun as often.
_NAMED = "two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {name: str(number) for number, name in enumerate(_NAMED.split(), start=2)}

# A lettered option on a line of its own, and where a competition problem comes from.
_OPTION = re.compile(r"^\(?([A-Z])[).]\s+(.*)$", re.MULTILINE)
_ORIGIN = re.compile(r"\([^()\d]{0,20}\d{4}\W{0,3}(?:AMC|AIME|AJHSME|AHSME)\b[^()]*\)")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What must be equal in two wordings of a question (`key`), and its hashed word triples."""

    key: int
    shingles: frozenset[int]


def fingerprint(text: str, answer: str = "") -> Fingerprint:
    """The fingerprint of a question; no shingles where the text holds no word.

    The same in every process, unlike `hash`: CRC-32 throughout.
    """
    text, answer = without_options(text, answer)
    words = question_words(text)
    # Of an answer with numbers only these count: `15` and `15 grams` are the same.
    result = question_words(answer)
    key = _hash("\0".join([*_numbers(words), "", *(_numbers(result) or result)]), 0)
    if not words:
        return Fingerprint(key, frozenset())
    starts = range(max(1, len(words) - SIZE + 1))
    return Fingerprint(key, frozenset(_hash(" ".join(words[i : i + SIZE]), key) for i in starts))


def without_options(text: str, answer: str) -> tuple[str, str]:
    """The question before its lettered options, and the option that the answer's letter names."""
    options = _OPTION.findall(text) if "\nB" in text or "\n(B" in text else []
    if [letter for letter, _ in options[:2]] == ["A", "B"]:
        first = _OPTION.search(text)
        text = text[: first.start()] if first else text
        answer = dict(options).get(answer.strip("()."), answer)
    return (_ORIGIN.sub("", text) if "(" in text else text), answer


def question_words(text: str) -> list[str]:
    """Words, numbers and operators of a question, without dress; Chinese by the character."""
    plain = _SAME.sub("", _TIMES.sub("*", normalised(text)))
    return [_NUMBERS.get(word, word) for word in _WORD.findall(plain)]


def _numbers(words: list[str]) -> list[str]:
    """The numbers and operators among the words, without `/`, which may be written as \\frac."""
    return [word for word in words if not word[0].isalpha() and word != "/"]


def _hash(text: str, start: int) -> int:
    return crc32(text.encode("utf-8", "replace"), start)


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """Shared shingles over all shingles; 0 where both are empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0
