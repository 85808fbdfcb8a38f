"""Expressions compared by their values: a difference decides, an agreement is no proof.

Two constants differ if their values do, beyond the error of both. Two expressions with variables
are called different only if they differ at every point where both are defined, and the points are
of three kinds, small positive reals, integers and negative reals: answers that are equal only for
integers, only for acute angles or only for positive numbers agree at some of them. Where each side
has names that the other lacks, they must differ whichever of them are the same. What is not read
with certainty (`expression`), or is defined at too few points, is left undecided.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from minireason.verify.ball import Ball, UndefinedError
from minireason.verify.canonical import same_form
from minireason.verify.exact import exact_value
from minireason.verify.expression import Node, has_constants, kinds, names, read_expression
from minireason.verify.notation import has_words, is_derived, with_own_names
from minireason.verify.value import evaluate

Finding = Literal["differ", "agree", "agree in part"]
"""In part: at all points of one kind and not of another, such as positive and negative ones."""
Point = Mapping[str, Ball]

MAX_NAMES = 8
MAX_RENAMINGS = 24
MAX_PARTS = 6
POINTS_OF_A_KIND = 4
TRIES = 24
_SIZES = (2, 3, 4, 5, 2, 3, 4, 5, 100, 1000)
_CLOSE = 1e-9
_CARTESIAN = frozenset("xyz")
_POLAR = frozenset(["r", r"\theta", r"\rho", r"\phi", r"\varphi"])
_LARGEST_ERROR = 1e-11
ALL_KINDS = ("reals", "whole", "negative")
LOGS_OF_NO_BASE = (math.e, 10.0)
"""A logarithm of no base is read as natural and as to base ten, which must say the same."""


def compare_values(gold: str, given: str, places: int) -> tuple[Finding | None, bool]:
    """What the values say of two normalised answers, and whether they have variables.

    Values closer than one unit of the decimal place `places` are not called different; only values
    that no error of computation tells apart agree. Where letters in a row may be a product or a
    word, both readings must say the same.
    """
    pairs = _readings(gold, given)
    variables = {name for pair in pairs for tree in pair for name in names(tree)}
    findings = {_compare(*pair, places) for pair in pairs}
    return (findings.pop() if len(findings) == 1 else None), bool(variables)


def compare_exactly(gold: str, given: str) -> bool | None:
    """Whether two rational numbers are equal, such as `2^{10}` and `4*256`; None for others."""
    values = [exact_value(tree) for tree in map(read_expression, (gold, given)) if tree]
    return values[0] == values[1] if len(values) == 2 and None not in values else None


def is_true_chain(text: str) -> bool:
    """Whether all parts of `\\frac{34}{100}=\\frac{17}{50}` are surely equal."""
    parts = text.split("=")
    return len(parts) <= MAX_PARTS and all(
        compare_exactly(part, parts[-1]) or same_expression(part, parts[-1]) for part in parts
    )


def same_expression(gold: str, given: str) -> bool:
    """Whether both can be read and brought to one form, which is a proof."""
    if any(text.isalpha() and len(text) > 2 for text in (gold, given)):
        return False  # letters alone may be a word or an order
    trees = [read_expression(with_own_names(text), is_wide=True) for text in (gold, given)]
    return trees[0] is not None and trees[1] is not None and same_form(trees[0], trees[1])


def _readings(gold: str, given: str) -> list[tuple[Node, Node]]:
    """The pairs of trees that may be meant, none where one cannot be read."""
    strict = read_expression(gold), read_expression(given)
    if strict[0] is not None and strict[1] is not None:
        return [strict]  # type: ignore[list-item]
    pairs: list[tuple[Node, Node]] = []
    for are_words in (False, True) if has_words(gold + " " + given) else (False,):
        texts = (with_own_names(text, are_words=are_words) for text in (gold, given))
        one, other = (read_expression(text, is_wide=True) for text in texts)
        if one is None or other is None or (has_constants(one) and has_constants(other)):
            return []  # constants of integration may be called and scaled otherwise
        pairs.append((one, other))
    return pairs


def _compare(gold: Node, given: Node, places: int) -> Finding | None:
    here, there = names(gold), names(given)
    if bool(there) and not here and _is_quantity(given):
        return None
    if gold[0] == "name" and gold[1] not in there and there:
        return None  # the question may define it as the other
    if given[0] == "name" and given[1] not in here and here:
        return None

    used = kinds(gold) | kinds(given)
    bases = LOGS_OF_NO_BASE if "log" in used else LOGS_OF_NO_BASE[:1]

    def at(point: Point) -> Finding | None:
        found = {_compare_at(gold, given, point, places, base) for base in bases}
        return found.pop() if len(found) == 1 else None

    is_counted = used & {"factorial", "binomial"}  # of whole numbers
    finding = compare_renamed(here, there, at, ("whole",) if is_counted else ALL_KINDS)
    has_steps = used & {"floor", "ceil"}
    return None if has_steps and finding != "differ" else finding  # steps meet by chance


def compare_renamed(
    here: frozenset[str],
    there: frozenset[str],
    at: Callable[[Point], Finding | None],
    chosen: tuple[str, ...] = ALL_KINDS,
) -> Finding | None:
    """What `at` finds at the points; if no side has all names, "differ" under every renaming."""
    if len(here | there) > MAX_NAMES:
        return None
    if here <= there or there <= here:
        return _findings(sorted(here | there), at, chosen)
    if not _may_rename(here, there):
        return None
    for renaming in renamings(here, there):
        kept = sorted((here | there) - renaming.keys())

        def renamed(point: Point, renaming: Mapping[str, str] = renaming) -> Finding | None:
            return at({**point, **{name: point[other] for name, other in renaming.items()}})

        if _findings(kept, renamed, chosen) != "differ":
            return None
    return "differ"


def renamings(here: frozenset[str], there: frozenset[str]) -> Iterator[dict[str, str]]:
    """Each way in which the unmatched names of one side are some of the other side's."""
    few, many = sorted((here - there, there - here), key=lambda side: (len(side), sorted(side)))
    for targets in itertools.permutations(sorted(many), len(few)):
        yield dict(zip(sorted(few), targets, strict=True))


def _may_rename(here: frozenset[str], there: frozenset[str]) -> bool:
    """Whether there are few renamings, of names that nothing is seen to connect.

    The sides must share a name, not have a derivative or a term of a sequence, such as `F_{2n}`,
    and not be in Cartesian coordinates on one side and polar ones on the other.
    """
    if any(map(is_derived, here ^ there)):
        return False
    is_polar = any(side & _POLAR for side in (here - there, there - here))
    if not here & there or (is_polar and (here ^ there) & _CARTESIAN):
        return False
    few, many = sorted((len(here - there), len(there - here)))
    letters = {name for name in here | there if len(name) == 1}
    indices = {letter for name in here ^ there for letter in name.partition("_")[2]}
    return math.perm(many, few) <= MAX_RENAMINGS and not letters & indices


def _is_quantity(tree: Node) -> bool:
    """Whether a product with a name in it may be a number with its unit, such as `5N`."""
    is_product = tree[0] in ("multiply", "divide", "name", "neg", "number", "power")
    return is_product and all(_is_quantity(part) for part in tree[1:] if isinstance(part, tuple))


def _findings(
    variables: list[str], at: Callable[[Point], Finding | None], chosen: tuple[str, ...]
) -> Finding | None:
    """The conclusion from the points of each kind at which there is a finding."""
    if not variables:
        return at({})
    found: list[list[Finding]] = []
    for kind in chosen:
        points = itertools.islice(_points(variables, kind), TRIES)
        known = (finding for point in points if (finding := at(point)))
        found.append(list(itertools.islice(known, POINTS_OF_A_KIND)))
        enough = 2 if len(chosen) > 1 else POINTS_OF_A_KIND
        if len(found[-1]) < enough and kind != "negative":
            return None
    every = {finding for kind in found for finding in kind}
    if len(every) == 1:
        return every.pop()
    is_one_kind = any(set(kind) == {"agree"} for kind in found)
    return "agree in part" if is_one_kind else None


def _points(variables: list[str], kind: str) -> Iterator[Point]:
    """The same points for the same variables, so that a verdict can be repeated."""
    chance = random.Random(" ".join(variables))
    for attempt in itertools.count():
        if kind != "whole":
            sign = 1 if kind == "reals" else -1
            values = [sign * chance.uniform(0.1, 0.9) for _ in variables]
        elif attempt < POINTS_OF_A_KIND:
            values = [float(v) for v in chance.sample(range(2, 12), len(variables))]
        else:  # of several sizes, where those of one size may have no value
            values = [float(v) for v in chance.choices(_SIZES, k=len(variables))]
        yield {n: Ball(complex(v)) for n, v in zip(variables, values, strict=True)}


def _compare_at(gold: Node, given: Node, point: Point, places: int, base: float) -> Finding | None:
    """What both sides say at one point, None where one has no value."""
    try:
        a, b = evaluate(gold, point, base), evaluate(given, point, base)
    except (UndefinedError, OverflowError, ValueError, ZeroDivisionError):
        return None
    distance, error = abs(a.centre - b.centre), a.radius + b.radius
    size = max(abs(a.centre), abs(b.centre))
    if distance > error + max(_CLOSE * size, 10.0**-places):
        return "differ"
    return "agree" if distance <= error <= _LARGEST_ERROR * size else None
