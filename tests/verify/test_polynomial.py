from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from minireason.verify.polynomial import read_polynomial


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12x^3-35", "-35+12x^{3}"),
        ("2\\sqrt{12}", "4\\sqrt{3}"),
        ("\\frac{5\\pi}{6}", "5\\pi/6"),
        ("\\frac{4+2\\sqrt{5}}{2}", "2+\\sqrt{5}"),
        ("\\sqrt{2}\\sqrt{3}", "\\sqrt{6}"),
        ("x*x", "x^2"),
        ("x-x", "0"),
        ("\\frac{3}{2}x", "3x/2"),
        ("4+3i", "3i+4"),
        ("10^5", "100000"),
        ("2^{-2}", "\\frac{1}{4}"),
        ("x^{-2}x^3", "x"),
        ("\\frac{2C}{3S}", "\\frac{2}{3}\\frac{C}{S}"),
        ("\\frac{6}{\\sqrt{12}}", "\\sqrt{3}"),
        ("\\frac{x^2}{2x}", "\\frac{1}{2}x"),
    ],
)
def test_equal_sums_read_alike(one, other):
    assert read_polynomial(one) is not None
    assert read_polynomial(one) == read_polynomial(other)


@pytest.mark.parametrize(
    ("one", "other"), [("2x", "x^2"), ("\\sqrt{2}", "\\sqrt{3}"), ("3\\pi", "9"), ("4+3i", "4-3i")]
)
def test_different_sums_read_differently(one, other):
    assert None not in (read_polynomial(one), read_polynomial(other))
    assert read_polynomial(one) != read_polynomial(other)


OTHER_FORMS = [
    "",
    "abc",
    "5cm",
    "x2",
    "1/2x",
    "x^10",
    "x^{99}",
    "i^2",
    "2+",
    "\\frac{1}{0}",
    "10^{5000}",
    "0^{-1}",
    "\\frac{1}{x+1}",
    "\\frac{1}{i}",
]
OTHER_FORMS += ["3.5x", "\\sin{x}", "x" * 300, "\\pm2", "{" * 50, "\x00", "٣"]
OTHER_FORMS += ["\\frac{-2\\pm2\\sqrt{2}i}{3}"]


@pytest.mark.parametrize("text", OTHER_FORMS)
def test_what_is_ambiguous_or_of_another_form_is_left_to_the_symbolic_layer(text):
    assert read_polynomial(text) is None


def test_a_sum_reads_as_its_terms():
    assert read_polynomial("\\frac{x-2}{4}") == {
        (("x", 1),): Fraction(1, 4),
        (): Fraction(-1, 2),
    }


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=1, max_size=5))
def test_it_agrees_with_sympy(terms):
    x = sympy.Symbol("x")
    expanded = sympy.Poly(sum(c * x**e for c, e in terms), x)
    text = "".join(f"{c:+d}x^{{{e}}}" for c, e in terms)
    expected = {
        ((("x", e),) if e else ()): Fraction(int(c)) for (e,), c in expanded.terms() if c != 0
    }
    assert read_polynomial(text) == expected
