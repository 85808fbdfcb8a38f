"""Equality of two answers read as trees: three-valued, True, False, or None for "not without more".

Leaves go through rational -> based integer -> polynomial -> numeric -> canonical -> symbolic; the
structure above them says whether order counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction

from minireason.conventions import Conventions
from minireason.verify.equation import compare_equations
from minireason.verify.identity import is_identity
from minireason.verify.intervals import compare_sets
from minireason.verify.numeric import (
    compare_exactly,
    compare_values,
    is_true_chain,
    same_expression,
)
from minireason.verify.polynomial import read_polynomial
from minireason.verify.reading import Answer, read_based, read_rational, split_top

Symbolic = Callable[[str, str], bool]
"""Whether the reference (first) and the answer, normalised LaTeX, are the same expression."""

_POINT_DECIMAL = re.compile(r"-?\d*\.\d+")
_DENIED = {
    "agree": "the symbolic layer denies what the values confirm",
    "agree in part": "the values agree for some numbers and not for others",
}


class UnreadableError(ValueError):
    """The symbolic parser cannot read the reference or the answer, which its message names."""


class Matcher:
    """Three-valued equality of answer trees: True, False, or None for "not without symbols"."""

    def __init__(self, conventions: Conventions, symbolic: Symbolic | None) -> None:
        self.conventions = conventions
        self.symbolic = symbolic
        self.used: set[str] = set()

    def equal(self, gold: Answer, given: Answer) -> bool | None:
        if gold.name and given.name and gold.name != given.name and "~" not in gold.name:
            return self._ask(f"{gold.name}={gold.text}", f"{given.name}={given.text}")
        if "=" in (given.text if gold.name else gold.text if given.name else ""):
            return self._ask(_whole(gold), _whole(given))
        if gold.text == given.text:
            return True
        if gold.shape == given.shape == "leaf":
            return self._equal_leaves(gold.text, given.text)
        if gold.shape == "leaf" or given.shape == "leaf":
            return self._equal_leaf_and_tree(gold, given)
        if gold.shape in ("group", "matrix") and given.shape == gold.shape:
            if gold.brackets != given.brackets:
                return False
            if gold.brackets == "()" and not self.conventions.ordered_tuples:
                return self._equal_unordered(gold, given)
            return self._equal_ordered(gold, given)
        if {gold.shape, given.shape} == {"list", "group"}:
            return self._equal_ordered(gold, given)
        if gold.shape in ("list", "set") and given.shape in ("list", "set"):
            return self._equal_unordered(gold, given)
        if gold.shape == given.shape == "union":
            return self._equal_unordered(gold, given) or self._ask(gold.text, given.text)
        return self._ask(gold.text, given.text)

    def _equal_leaves(self, gold: str, given: str) -> bool | None:
        exact_gold, exact_given = read_rational(gold), read_rational(given)
        if exact_gold is not None and "=" in given and is_true_chain(given):
            return self._equal_leaves(gold, split_top(given, "=")[-1])
        if exact_gold is None or exact_given is None:
            return self._equal_expressions(gold, given)
        if gold.endswith("%") and not given.endswith("%"):
            if self.conventions.percent_sign_optional:
                return exact_given in (exact_gold, exact_gold * 100)
        elif given.endswith("%") and not gold.endswith("%"):
            is_percent = self.conventions.percent_sign_added and abs(exact_gold) > 1
            if is_percent and exact_gold == exact_given * 100:
                return True
        digits = self.conventions.rounded_digits
        return exact_gold == exact_given or (
            digits > 0
            and (_rounds_to(exact_gold, given, digits) or _rounds_to(exact_given, gold, digits))
        )

    def _equal_expressions(self, gold: str, given: str) -> bool | None:
        based = self._equal_based(gold, given)
        if based is not None:
            return based
        gold_terms, given_terms = read_polynomial(gold), read_polynomial(given)
        if gold_terms is not None and given_terms is not None:
            self.used.add("polynomial")
            return gold_terms == given_terms
        exact = compare_exactly(gold, given)
        if exact is not None:
            return exact
        finding, has_variables = compare_values(gold, given, self.conventions.irrational_places)
        if finding == "differ":
            self.used.add("numeric")
            return False
        if same_expression(gold, given):
            self.used.add("canonical")
            return True
        if finding == "agree" and has_variables and is_identity(gold, given):
            self.used.add("numeric")
            return True
        equal = self._ask(gold, given)
        if equal is False and finding is not None:
            raise UnreadableError(_DENIED[finding])
        return equal

    def _equal_based(self, gold: str, given: str) -> bool | None:
        """Integers in the base that the reference is in; None where it says no base."""
        expected, found = read_based(gold), read_based(given)
        if expected is None:
            if found is not None and found[1] == 10:
                return read_rational(gold) == found[0]
            if found is not None and read_rational(gold) is not None:
                raise UnreadableError("the answer names a base and the reference does not")
            return None
        if found is None and self.conventions.base_optional:
            found = read_based(f"{given}_{{{expected[1]}}}")
        if found is None and read_rational(given) is None:
            return None
        return found == expected

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
        is_same_set = compare_sets(gold, given)
        if is_same_set is not None:
            return is_same_set
        equal = compare_equations(gold, given, self.conventions.irrational_places)
        if equal is not None:
            self.used.add("canonical" if equal else "numeric")
            return equal
        if self.symbolic is None:
            return None
        self.used.add("symbolic")
        return self.symbolic(gold, given)


def _whole(answer: Answer) -> str:
    return f"{answer.name}={answer.text}" if answer.name and answer.name != "~" else answer.text


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
