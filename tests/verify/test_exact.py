import math
from fractions import Fraction

import pytest

from minireason.verify.exact import exact_value
from minireason.verify.expression import read_expression


def value(text, **point):
    tree = read_expression(text)
    assert tree is not None
    return exact_value(tree, {name: Fraction(x) for name, x in point.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2^{10}-24", 1000),
        ("5!", 120),
        ("2*3!", 12),
        ("-3!", -6),
        ("(2+2)!", 24),
        ("0!", 1),
        (r"\binom{5}{2}", 10),
        (r"\binom{2}{5}", 0),
        (r"\lfloor\frac{7}{2}\rfloor", 3),
        (r"\lfloor-\frac{7}{2}\rfloor", -4),
        (r"\lceil\frac{7}{2}\rceil", 4),
        (r"\frac{200!}{199!}", 200),
        (r"\sqrt{\frac{9}{4}}", Fraction(3, 2)),
        (r"2^{-2}", Fraction(1, 4)),
    ],
)
def test_a_rational_number_has_its_exact_value(text, expected):
    assert value(text) == expected


def test_large_integers_are_exact_to_the_last_digit():
    assert value("2^{1004}+1") == 2**1004 + 1
    assert value("200!") == math.factorial(200)


def test_a_binomial_of_a_fraction_is_the_polynomial_of_its_upper_number():
    assert value(r"\binom{x}{2}", x=Fraction(1, 2)) == Fraction(-1, 8)  # 1/2 * -1/2 / 2


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9^9}}",
        "2^{100000}",
        "((9!)!)!",
        "100000000!",
        r"\binom{10^{12}}{5*10^{11}}",
        "*".join(["2^{5000}"] * 20),
        r"\sqrt{2}",
        r"\pi",
        "(-1)!",
        r"(\frac{1}{2})!",
        r"\frac{1}{1-1}",
        "0^0",
        "x",
    ],
)
def test_what_is_too_large_or_not_rational_or_not_defined_has_no_value(text):
    assert value(text) is None
