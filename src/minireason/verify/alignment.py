"""Bring two normalised answers to one notation where only the pair shows what is meant."""

from __future__ import annotations

import re

_LETTER = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_BARE_LOG = re.compile(r"\\log(?![a-zA-Z_])")
_NATURAL_LOG = re.compile(r"\\ln(?![a-zA-Z])")
_TEN_LOG = re.compile(r"\\log_\{?10\}?(?!\d)|\\lg(?![a-zA-Z])")
_DEGREES = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree)")
_RADIANS = re.compile(r"\\pi(?![a-zA-Z])|π")
_DEFINITION = re.compile(r"([a-zA-Z])\(([a-df-hj-z])\)=")
_CONSTANTS = frozenset("eEiI")


def align_case(gold: str, given: str) -> str:
    """`given` with the letter case of `gold`: `100\\sqrt{P}` beside `100p^{1/2}`.

    A letter keeps its case where either side has it in both, and so do e and i, which are numbers.
    """
    here, there = _letters(given), _letters(gold)
    swapped = {
        letter: letter.swapcase()
        for letter in here - there - _CONSTANTS
        if letter.swapcase() in there and letter.swapcase() not in here
    }
    return _LETTER.sub(lambda m: swapped.get(m[0], m[0]), given) if swapped else given


def _letters(text: str) -> set[str]:
    return {match for match in _LETTER.findall(text) if len(match) == 1}


def align_argument(gold: str, given: str) -> str:
    """`given` with the argument of `gold`: `f(x)=x^2` beside `f(n)=n^2`.

    Nothing is changed if the letter of `gold` stands for something else in `given`, or if a side
    does not use its argument, which may then be a point or an event: `P(A)=\\frac{1}{2}`.
    """
    here, there = _DEFINITION.match(given), _DEFINITION.match(gold)
    if not here or not there or here[1] != there[1] or given.count("=") != 1:
        return given
    old, new = here[2], there[2]
    bodies = _letters(gold[there.end() :]), _letters(given[here.end() :])
    if new not in bodies[0] or old not in bodies[1] or new in _letters(given):
        return given
    return _LETTER.sub(lambda m: new if m[0] == old else m[0], given)


def align_logs(gold: str, given: str) -> tuple[str, str]:
    """Both, with `\\log` written as `\\ln` or `\\log_{10}` where only the other side says which."""
    return _with_base_of(gold, given), _with_base_of(given, gold)


def _with_base_of(text: str, other: str) -> str:
    if "\\log" not in text or _BARE_LOG.search(other):
        return text
    is_natural, is_ten = bool(_NATURAL_LOG.search(other)), bool(_TEN_LOG.search(other))
    if is_natural == is_ten or _NATURAL_LOG.search(text) or _TEN_LOG.search(text):
        return text
    return _BARE_LOG.sub(r"\\ln" if is_natural else r"\\log_{10}", text)


def align_angles(gold: str, given: str) -> tuple[str, str]:
    """Both, not yet normalised, with degrees in radians if only the other side has a pi."""
    return _in_radians(gold, given), _in_radians(given, gold)


def _in_radians(text: str, other: str) -> str:
    is_other = bool(_RADIANS.search(other)) and not _RADIANS.search(text)
    return _DEGREES.sub(r"\\frac{\1\\pi}{180}", text) if is_other else text
