"""The radius holds the error: every computed ball contains the value that mpmath finds."""

import mpmath
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minireason.verify.ball import Ball, UndefinedError

NUMBERS = st.floats(0.01, 50) | st.floats(-50, -0.01)


mpmath.mp.dps = 60
exactly = mpmath.mpf


def holds(ball, value):
    return abs(mpmath.mpc(ball.centre) - value) <= ball.radius


@given(NUMBERS, NUMBERS)
def test_arithmetic_stays_within_its_radius(a, b):
    x, y = Ball(complex(a)), Ball(complex(b))
    p, q = exactly(a), exactly(b)
    assert holds(x + y, p + q) and holds(x * y, p * q) and holds(x / y, p / q)
    assert holds((x + y) * (x + -y), p * p - q * q)


@given(st.floats(0.01, 20), st.floats(-3, 3))
def test_roots_logarithms_and_powers_stay_within_their_radius(a, b):
    x, p = Ball(complex(a)), exactly(a)
    assert holds(x.root(3), mpmath.cbrt(p)) and holds(x.log(), mpmath.log(p))
    assert holds(x.power(Ball(complex(b))), p ** exactly(b))


@given(NUMBERS, st.integers(-8, 8))
def test_integer_powers_stay_within_their_radius(a, n):
    assert holds(Ball(complex(a)).power(Ball(complex(n))), exactly(a) ** n)


@given(st.floats(0.1, 9), st.floats(0.1, 9))
def test_a_difference_that_cancels_keeps_its_error(a, b):
    assume(abs(a - b) > 1e-3)
    x, y = Ball(complex(a)), Ball(complex(b))
    zero = (x + y) * (x + y) + -(x * x) + -(y * y) + -(x * y) + -(x * y)
    assert abs(zero.centre) <= zero.radius


@pytest.mark.parametrize(
    "undefined",
    [
        lambda: Ball(0j).inverse(),
        lambda: Ball(1e-20 + 0j, 1e-19).inverse(),
        lambda: Ball(-2 + 0j).log(),
        lambda: Ball(-8 + 0j).root(3),
        lambda: Ball(-8 + 0j).power(Ball(0.5 + 0j)),
        lambda: Ball(0j).power(Ball(0j)),
        lambda: Ball(2 + 0j).power(Ball(1e9 + 0j)),
        lambda: Ball(1e100 + 0j) * Ball(1e100 + 0j),
        lambda: Ball(1000 + 0j).exp(),
    ],
)
def test_what_has_no_value_or_several_is_refused(undefined):
    with pytest.raises(UndefinedError):
        undefined()


def test_the_square_root_of_a_negative_number_is_the_principal_one():
    assert abs(Ball(-9 + 0j).root(2).centre - 3j) < 1e-14
