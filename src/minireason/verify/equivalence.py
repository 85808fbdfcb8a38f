"""Whether an answer equals the reference, layer by layer; the first decisive layer is recorded.

identical -> choice -> normalized -> text -> rational -> polynomial -> structured -> numeric ->
canonical -> symbolic. All but the last are cheap and run in the caller; all but the numeric one,
which says that two values differ, or that expressions with variables agree at every point tried,
are exact. The symbolic layer is passed in: without it `compare` returns None where only it could
decide; the guarded worker calls `compare` again with it.

Two rationals that differ are decisively different, as are two words and two tuples of which one
element differs. Parentheses and square brackets are not the same, since they mean intervals too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from minireason.conventions import Conventions
from minireason.verify.alignment import align_angles, align_argument, align_case, align_logs
from minireason.verify.choice import choice_letter, is_choice, option_text
from minireason.verify.clock import same_time
from minireason.verify.matcher import Matcher, Symbolic, UnreadableError
from minireason.verify.normalize import names_number, names_zero, normalize, plain_text
from minireason.verify.reading import read, read_rational

if TYPE_CHECKING:
    from minireason.records import VerdictLabel

MAX_LENGTH = 2_000

_COMMA_DECIMAL = re.compile(r"-?\d+,\d+")
_POINT_DECIMAL = re.compile(r"-?\d*\.\d+")
_EMPTY = re.compile(r"\\frac\{\}|\\frac\{[^{}]*\}\{\}|\\sqrt\{\}|[a-zA-Z]\(\)|^[\^_*/]|[\^_*/]$")
_WORDS = re.compile(r"[^\W\d_][^\W\d_' .,-]*(?:[ '.,-]+[^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict with the layer that decided and, where it is not plain, the reason."""

    verdict: VerdictLabel
    method: str
    reason: str = ""


def compare(
    reference: str,
    answer: str,
    kind: str = "",
    conventions: Conventions | None = None,
    symbolic: Symbolic | None = None,
) -> Comparison | None:
    """Decide whether `answer` equals `reference`; None where the symbolic layer is needed."""
    conventions = conventions or Conventions()
    for name, text in (("reference", reference), ("answer", answer)):
        if not text.strip():
            return Comparison("unknown", "input", f"the {name} is empty")
        if len(text) > MAX_LENGTH:
            reason = f"the {name} is too long: {len(text):,} characters, at most {MAX_LENGTH:,}"
            return Comparison("unknown", "input", reason)
    if reference.strip() == answer.strip():
        return Comparison("correct", "identical")
    if is_choice(reference, kind):
        choice = _compare_choice(reference, answer, kind)
        if choice is not None:
            return choice
        if option := option_text(reference):
            return compare(option, answer, "expression", conventions, symbolic)
    if conventions.decimal_comma and _equal_with_decimal_comma(reference, answer):
        return Comparison("correct", "rational")
    gold, given = (normalize(text, conventions, kind) for text in align_angles(reference, answer))
    if not gold or not given:
        return Comparison("unknown", "input", f"the {'answer' if gold else 'reference'} is blank")
    if gold == given:
        return Comparison("correct", "normalized")
    in_words = _compare_text(reference, answer) or _compare_number_and_words(
        (reference, gold), (answer, given)
    )
    if in_words is not None:
        return in_words
    given = align_argument(gold, align_case(gold, given))
    if conventions.log_like_the_other:
        gold, given = align_logs(gold, given)
    return _compare_values(gold, given, conventions, symbolic)


def _compare_choice(reference: str, answer: str, kind: str) -> Comparison | None:
    gold, given = choice_letter(reference), choice_letter(answer)
    if gold and given:
        return Comparison("correct" if gold == given else "incorrect", "choice")
    if kind != "choice" or not gold or option_text(reference):
        return None
    return Comparison("unknown", "choice", "the answer is not the letter of an option")


def _equal_with_decimal_comma(reference: str, answer: str) -> bool:
    """Whether one is `1000,99` and the other `1000.99`."""
    gold, given = reference.strip(" $"), answer.strip(" $")
    comma, point = (gold, given) if "," in gold else (given, gold)
    is_pair = _COMMA_DECIMAL.fullmatch(comma) and _POINT_DECIMAL.fullmatch(point)
    return bool(is_pair) and Fraction(comma.replace(",", ".")) == Fraction(point)


def _compare_text(reference: str, answer: str) -> Comparison | None:
    gold, given = plain_text(reference), plain_text(answer)
    is_same_time = same_time(gold, given)
    if is_same_time is not None:
        return Comparison("correct" if is_same_time else "incorrect", "text")
    if not _WORDS.fullmatch(gold) or not _WORDS.fullmatch(given):
        return None
    if gold == given and len(gold) > 1:
        return Comparison("correct", "text")
    is_product = sorted(gold) == sorted(given)  # abcd and badc may be products of variables
    is_word = any(len(word) > 3 for word in (*gold.split(), *given.split()))
    return Comparison("incorrect", "text") if is_word and not is_product else None


def _compare_number_and_words(*sides: tuple[str, str]) -> Comparison | None:
    """A number is no words, unless they name a number: `different`, but not `twenty-one`."""
    numbers = [value for _, normal in sides if (value := read_rational(normal)) is not None]
    plain = [text for text, normal in sides if read_rational(normal) is None]
    words = plain_text(plain[0]) if len(plain) == 1 else ""
    if not _WORDS.fullmatch(words) or all(len(word) < 4 for word in words.split()):
        return None
    if names_number(words) or (names_zero(words) and numbers[0] == 0):
        return Comparison("unknown", "text", "a number is written in words")
    return Comparison("incorrect", "text")


def _compare_values(
    gold: str, given: str, conventions: Conventions, symbolic: Symbolic | None
) -> Comparison | None:
    for name, text in (("reference", gold), ("answer", given)):
        if _EMPTY.search(text):
            return Comparison("unknown", "input", f"the {name} lacks an argument")
    matcher = Matcher(conventions, symbolic)
    gold_tree, given_tree = read(gold), read(given)
    try:
        equal = matcher.equal(gold_tree, given_tree)
    except UnreadableError as error:
        layer = "symbolic" if "symbolic" in matcher.used else "rational"
        return Comparison("unknown", layer, str(error))
    if equal is None:
        return None
    is_leaf = gold_tree.shape == given_tree.shape == "leaf"
    used = [
        layer
        for layer in ("symbolic", "numeric", "canonical", "polynomial")
        if layer in matcher.used
    ]
    leaf_method = used[0] if used else "rational"
    method = leaf_method if is_leaf or "symbolic" in used else "structured"
    return Comparison("correct" if equal else "incorrect", method)
