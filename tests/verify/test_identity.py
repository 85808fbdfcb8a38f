import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.verify.identity import is_identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{1}{x}-\frac{1}{x+1}", r"\frac{1}{x^2+x}"),
        (r"(a+b)^3-(a-b)^3", r"6a^2b+2b^3"),
        (r"\frac{1}{x+i}", r"\frac{x-i}{x^2+1}"),
        (r"x^{-2}", r"\frac{1}{x^2}"),
        (r"2^{n+1}-2^n", r"2^n"),
        (r"\frac{x^2-1}{x-1}", r"x+1"),
    ],
)
def test_identities_are_confirmed(one, other):
    assert is_identity(one, other) and is_identity(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"x", r"x+\frac{1}{10000000000000000}"),  # closer than any float tells
        (r"\frac{1}{x+i}", r"\frac{1}{x-i}"),
        (r"x^2", r"x^3"),
        (r"2^n", r"2^{n+1}"),
        (r"\sin^2 x+\cos^2 x", "1"),  # true, and no rational function
        (r"\sqrt{x^2}", "x"),
        (r"\frac{x}{x-x}", r"\frac{1}{x-x}"),  # defined nowhere
        (r"x^{10000}", r"x^{10000}+0"),  # beyond the exponents that are computed
        ("f(x)", "f(x)"),
    ],
)
def test_what_is_not_shown_is_not_confirmed(one, other):
    assert not is_identity(one, other)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9))
def test_a_factored_polynomial_equals_its_expansion_and_no_other(a, b, c):
    factored = f"(x+{a})(x+{b})".replace("+-", "-")
    expanded = f"x^2+{a + b}x+{a * b + c}".replace("+-", "-")
    assert is_identity(factored, expanded) == (c == 0)
