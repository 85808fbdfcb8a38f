"""What counts as the same answer where notation leaves a choice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conventions:
    """The choices behind a verdict; two runs are comparable only under the same conventions.

    `percent_sign_optional`: a reference `9%` accepts `9`, the sign being its unit. The other way
    round never holds: where the reference is `9`, the answer `9%` says 9/100.
    `units_optional`: a unit or word after a number is dropped on both sides, `5 cm` is `5`.
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
    units_optional: bool = True
    thousands_separators: bool = True
    decimal_comma: bool = True
    rounded_digits: int = 5
    irrational_places: int = 12
    unmarked_answers: bool = False
