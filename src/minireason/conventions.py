"""What counts as the same answer where notation leaves a choice."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Conventions:
    """The choices behind a verdict; two runs are comparable only under the same conventions.

    `percent_sign_optional`: a reference `9%` accepts `9`, the sign being its unit.
    `percent_sign_added`: a reference `9` accepts `9%`, since a question that asks "by what percent"
    keeps the sign to itself. Only above 1: where the reference is `0.5`, `0.5%` says 1/200.
    `units_optional`: a unit or word after a number is dropped on both sides, `5 cm` is `5`.
    `base_optional`: a reference `4343_6` accepts `4343`, the base being the question's.
    `ordered_tuples`: `(1,2)` is not `(2,1)`; off, what stands in parentheses compares as a set.
    `log_like_the_other`: a logarithm of no base has the base of the other side's logarithms.
    `thousands_separators`: `1,234` and `1 234` are 1234. It never applies to kind "tuple".
    `decimal_comma`: beside a number with a decimal point, `1000,99` is 1000.99 and no list.
    `rounded_digits`: a decimal with at least this many significant digits equals a number that
    rounds to it, 0.33333 is 1/3 and 0.33 is not; 0 asks for exact equality.
    `irrational_places`: a decimal equals an irrational number if they agree when rounded to this
    many places.
    `unmarked_answers`: in a response without a box or phrase, the last number is the answer. Off,
    since a response that was cut off ends in some number too; for models that mark no answers.
    """

    percent_sign_optional: bool = True
    percent_sign_added: bool = True
    units_optional: bool = True
    base_optional: bool = True
    ordered_tuples: bool = True
    log_like_the_other: bool = True
    thousands_separators: bool = True
    decimal_comma: bool = True
    rounded_digits: int = 5
    irrational_places: int = 12
    unmarked_answers: bool = False

    @classmethod
    def from_settings(cls, settings: Mapping[str, bool | int]) -> Conventions:
        """The defaults with some changed. Raises ValueError for a name or value that cannot be."""
        defaults = asdict(cls())
        for name, value in settings.items():
            if name not in defaults:
                nearest = difflib.get_close_matches(name, defaults, 1, cutoff=0)[0]
                raise ValueError(f"there is no convention {name!r}; the nearest is {nearest!r}")
            if type(value) is not type(defaults[name]) or value < 0:
                is_switch = isinstance(defaults[name], bool)
                allowed = "true or false" if is_switch else "a whole number from 0"
                raise ValueError(f"the convention {name} is {value!r}; it must be {allowed}")
        return cls(**{**defaults, **settings})
