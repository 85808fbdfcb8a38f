"""Names of their own for what has no value here: derivatives, initial values, letters in a row.

`\\dot{x}`, `\\frac{dx}{dt}` and `x(0)` become names that the reader takes for
variables: equal expressions stay equal, and different ones differ as long as nothing is known of
how the derivative depends on the rest.
"""

from __future__ import annotations

import re

from minireason.verify.expression import GREEK

_LETTER = rf"(?:\\(?:{GREEK})(?![a-zA-Z])|[a-zA-Z])"
_NAME = rf"{_LETTER}(?:_(?:\w|\{{\w+\}}))?"
_BY_TIME = re.compile(rf"\\frac\{{d({_NAME})\}}\{{dt\}}")
_TWICE_BY_TIME = re.compile(rf"\\frac\{{d\^2({_NAME})\}}\{{dt\^2\}}")
_DOTTED = re.compile(rf"\\(d?dot) ?\{{({_NAME})\}}((?:_(?:\w|\{{\w+\}}))?)")
_INITIAL = re.compile(rf"(?<![\\a-zA-Z])({_NAME})\(0\)")
_DERIVED = re.compile(r"Q_\d{6,}")
_WORD = re.compile(r"(?<![\\a-zA-Z])(?:[a-zA-Z]{3}|(?<!_)d[a-zA-Z])(?![a-zA-Z])")


def has_words(text: str) -> bool:
    """Whether letters stand in a row that may be a product or one name."""
    return bool(_WORD.search(with_own_names(text)))


def with_own_names(text: str, *, are_words: bool = False) -> str:
    """The text with derivatives by time and initial values named, and words if they are such."""
    text = _TWICE_BY_TIME.sub(r"\\ddot{\1}", text)
    text = _BY_TIME.sub(r"\\dot{\1}", text)
    text = _DOTTED.sub(lambda m: _own(m[1] + m[2] + m[3]), text)
    text = _INITIAL.sub(lambda m: _own(m[1] + "at"), text)
    return _WORD.sub(lambda m: _own(m[0], "W"), text) if are_words else text


def is_derived(name: str) -> bool:
    """Whether a name is that of a derivative or initial value, which other names may determine."""
    return bool(_DERIVED.fullmatch(name))


def _own(text: str, initial: str = "Q") -> str:
    """A name whose subscript has digits only, so that it never looks like a word."""
    letters = re.sub(r"[\W_]", "", text)
    return f" {initial}_{{{''.join(f'{ord(letter):03}' for letter in letters)}}}"
