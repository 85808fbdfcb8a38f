"""Whether an answer equals the reference, layer by layer; the first decisive layer is recorded.

identical -> choice -> normalized -> text -> rational -> polynomial -> structured -> symbolic. All
but the last are exact and cheap, and run in the caller. The symbolic layer is passed in: without it
`compare` returns None where only it could decide; the guarded worker calls `compare` again with it.

Two rationals that differ are decisively different, as are two words and two tuples of which one
element differs. Parentheses and square brackets are not the same, since they mean intervals too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from minireason.verify.choice import choice_letter, is_choice
from minireason.conventions import Conventions
from minireason.verify.normalize import normalize, plain_text
from minireason.verify.polynomial import read_polynomial
from minireason.verify.reading import Answer, read, read_rational

if TYPE_CHECKING:
    from minireason.records import VerdictLabel

Symbolic = Callable[[str, str], bool]
"""Whether the reference (first) and the answer, normalised LaTeX, are the same expression."""

MAX_LENGTH = 2_000

_COMMA_DECIMAL = re.compile(r"-?\d+,\d+")
_POINT_DECIMAL = re.compile(r"-?\d*\.\d+")
_WORDS = re.compile(r"[^\W\d_][^\W\d_' .,-]*(?:[ '.,-]+[^\W\d_]+)*")


class UnreadableError(ValueError):
    """The symbolic parser cannot read the reference or the answer, which its message names."""


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
    choice = _compare_choice(reference, answer, kind)
    if choice is not None:
        return choice
    if conventions.decimal_comma and _equal_with_decimal_comma(reference, answer):
        return Comparison("correct", "rational")
    gold = normalize(reference, conventions, kind)
    given = normalize(answer, conventions, kind)
    if not gold or not given:
        return Comparison("unknown", "input", f"the {'answer' if gold else 'reference'} is blank")
    if gold == given:
        return Comparison("correct", "normalized")
    return _compare_text(reference, answer) or _compare_values(gold, given, conventions, symbolic)


def _compare_choice(reference: str, answer: str, kind: str) -> Comparison | None:
    if not is_choice(reference, kind):
        return None
    gold, given = choice_letter(reference), choice_letter(answer)
    if gold and given:
        return Comparison("correct" if gold == given else "incorrect", "choice")
    if kind != "choice" or not gold:
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
    if not _WORDS.fullmatch(gold) or not _WORDS.fullmatch(given):
        return None
    if gold == given and len(gold) > 1:
        return Comparison("correct", "text")
    is_product = sorted(gold) == sorted(given)  # abcd and badc may be products of variables
    is_word = any(len(word) > 3 for word in (*gold.split(), *given.split()))
    return Comparison("incorrect", "text") if is_word and not is_product else None


def _compare_values(
    gold: str, given: str, conventions: Conventions, symbolic: Symbolic | None
) -> Comparison | None:
    matcher = _Matcher(conventions, symbolic)
    gold_tree, given_tree = read(gold), read(given)
    try:
        equal = matcher.equal(gold_tree, given_tree)
    except UnreadableError as error:
        return Comparison("unknown", "symbolic", str(error))
    if equal is None:
        return None
    is_leaf = gold_tree.shape == given_tree.shape == "leaf"
    leaf_method = "polynomial" if matcher.used_polynomial else "rational"
    method = "symbolic" if matcher.used_symbolic else leaf_method if is_leaf else "structured"
    return Comparison("correct" if equal else "incorrect", method)


class _Matcher:
    """Three-valued equality of answer trees: True, False, or None for "not without symbols"."""

    def __init__(self, conventions: Conventions, symbolic: Symbolic | None) -> None:
        self.conventions = conventions
        self.symbolic = symbolic
        self.used_symbolic = False
        self.used_polynomial = False

    def equal(self, gold: Answer, given: Answer) -> bool | None:
        if gold.name and given.name and gold.name != given.name and "~" not in gold.name:
            return self._ask(f"{gold.name}={gold.text}", f"{given.name}={given.text}")
        if gold.text == given.text:
            return True
        if gold.shape == given.shape == "leaf":
            return self._equal_leaves(gold.text, given.text)
        if gold.shape == "leaf" or given.shape == "leaf":
            return self._equal_leaf_and_tree(gold, given)
        if gold.shape in ("group", "matrix") and given.shape == gold.shape:
            return self._equal_ordered(gold, given) if gold.brackets == given.brackets else False
        if {gold.shape, given.shape} == {"list", "group"}:
            return self._equal_ordered(gold, given)
        if gold.shape in ("list", "set") and given.shape in ("list", "set"):
            return self._equal_unordered(gold, given)
        if gold.shape == given.shape == "union":
            return self._equal_unordered(gold, given) or self._ask(gold.text, given.text)
        return self._ask(gold.text, given.text)

    def _equal_leaves(self, gold: str, given: str) -> bool | None:
        exact_gold, exact_given = read_rational(gold), read_rational(given)
        if exact_gold is None or exact_given is None:
            return self._equal_polynomials(gold, given)
        is_unsigned = gold.endswith("%") and not given.endswith("%")
        if is_unsigned and self.conventions.percent_sign_optional:
            return exact_given in (exact_gold, exact_gold * 100)
        digits = self.conventions.rounded_digits
        return exact_gold == exact_given or (
            digits > 0
            and (_rounds_to(exact_gold, given, digits) or _rounds_to(exact_given, gold, digits))
        )

    def _equal_polynomials(self, gold: str, given: str) -> bool | None:
        gold_terms, given_terms = read_polynomial(gold), read_polynomial(given)
        if gold_terms is None or given_terms is None:
            return self._ask(gold, given)
        self.used_polynomial = True
        return gold_terms == given_terms

    def _equal_leaf_and_tree(self, gold: Answer, given: Answer) -> bool | None:
        leaf, tree = (gold, given) if gold.shape == "leaf" else (given, gold)
        if tree.shape in ("set", "list") and len(tree.items) == 1:
            return self.equal(*((gold, tree.items[0]) if leaf is gold else (tree.items[0], given)))
        if read_rational(leaf.text) is not None and len(tree.items) > 1:
            return False
        return self._ask(gold.text, given.text)

    def _equal_ordered(self, gold: Answer, given: Answer) -> bool | None:
        if len(gold.items) != len(given.items):
            return False
        return _all(self.equal(a, b) for a, b in zip(gold.items, given.items, strict=True))

    def _equal_unordered(self, gold: Answer, given: Answer) -> bool | None:
        """Equality is transitive, so taking the first match for each element is enough."""
        left, rest = self._distinct(gold.items), self._distinct(given.items)
        if len(left) != len(rest):
            return False
        is_open = False
        for item in left:
            results = [self.equal(item, other) for other in rest]
            if True in results:
                rest.pop(results.index(True))
            elif None not in results:
                return False
            else:
                is_open = True
        return None if is_open else True

    @staticmethod
    def _distinct(items: tuple[Answer, ...]) -> list[Answer]:
        return list({(a.name, _key(a)): a for a in items}.values())

    def _ask(self, gold: str, given: str) -> bool | None:
        if self.symbolic is None:
            return None
        self.used_symbolic = True
        return self.symbolic(gold, given)


def _rounds_to(exact: Fraction, decimal: str, digits: int) -> bool:
    """Whether the number rounds, half up or half to even, to a decimal of enough digits."""
    match = _POINT_DECIMAL.fullmatch(decimal)
    if not match or len(decimal.lstrip("-0.").replace(".", "")) < digits:
        return False
    unit = Fraction(1, 10 ** len(decimal.partition(".")[2]))
    return abs(exact - Fraction(decimal)) <= unit / 2


def _key(answer: Answer) -> Fraction | str:
    exact = read_rational(answer.text) if answer.shape == "leaf" else None
    return answer.text if exact is None else exact


def _all(results: Iterable[bool | None]) -> bool | None:
    seen = list(results)
    if False in seen:
        return False
    return None if None in seen else True
