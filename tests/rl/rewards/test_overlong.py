"""DAPO's soft overlong punishment at the paper's own lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.rewards.overlong import overlong

L_MAX, L_CACHE = 20_480, 4_096


@pytest.mark.parametrize(
    ("num_tokens", "reward"),
    [(1, 0.0), (16_384, 0.0), (17_408, -0.25), (18_432, -0.5), (20_480, -1.0), (20_481, -1.0)],
)
def test_the_last_fifth_costs_up_to_one(judged, num_tokens, reward):
    assert overlong(judged(num_tokens=num_tokens, max_tokens=L_MAX)) == pytest.approx(reward)


def formula(length):
    """Equation 13."""
    if length <= L_MAX - L_CACHE:
        return 0.0
    return ((L_MAX - L_CACHE) - length) / L_CACHE if length <= L_MAX else -1.0


@given(st.integers(0, 2 * L_MAX), st.sampled_from(["correct", "incorrect", "unknown"]))
def test_it_is_the_papers_formula_whatever_the_verdict(judged, num_tokens, verdict):
    response = judged(verdict=verdict, num_tokens=num_tokens, max_tokens=L_MAX)
    assert overlong(response) == pytest.approx(formula(num_tokens), abs=1e-12)


def test_the_buffer_scales_with_the_limit(judged):
    assert overlong(judged(num_tokens=90, max_tokens=100)) == pytest.approx(-0.5)
