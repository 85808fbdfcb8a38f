"""The length-aware accuracy reward at the paper's own lengths, and its overrides."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.rewards.length import length

L_MAX, L_POS, L_NEG = 31_744, 25_600, 3_702


@pytest.mark.parametrize(
    ("num_tokens", "reward"),
    [(1, 1.0), (25_600, 1.0), (27_136, 0.5 + 0.25 * (1 + math.sqrt(0.5))), (28_672, 0.75),
     (31_744, 0.5)],
)  # fmt: skip
def test_a_right_answer_loses_half_from_25600_tokens_to_the_limit(judged, num_tokens, reward):
    assert length(judged(num_tokens=num_tokens, max_tokens=L_MAX)) == pytest.approx(reward)


@pytest.mark.parametrize(
    ("num_tokens", "reward"), [(0, -1.0), (1_234, -0.875), (1_851, -0.75), (3_702, -0.5),
                               (20_000, -0.5)],
)  # fmt: skip
def test_a_wrong_answer_costs_least_from_3702_tokens_on(judged, num_tokens, reward):
    response = judged(verdict="incorrect", num_tokens=num_tokens, max_tokens=L_MAX)
    assert length(response) == pytest.approx(reward)


def formula(is_correct, L):
    """The paper's equations, letter by letter."""
    if is_correct:
        rho = min(1, max(L - L_POS, 0) / (L_MAX - L_POS))
        return 0.5 + 0.5 * (1.0 - 0.5) * (1 + math.cos(math.pi * rho))
    rho = min(1, L / L_NEG)
    return -0.5 + 0.5 * (-1.0 - -0.5) * (1 + math.cos(math.pi * rho))


@given(st.booleans(), st.integers(0, L_MAX))
def test_at_the_papers_limit_it_is_the_papers_formula(judged, is_correct, num_tokens):
    verdict = "correct" if is_correct else "incorrect"
    response = judged(verdict=verdict, num_tokens=num_tokens, max_tokens=L_MAX)
    assert length(response) == pytest.approx(formula(is_correct, num_tokens), abs=1e-12)


@given(st.sampled_from(["correct", "incorrect"]), st.integers(0, L_MAX), st.integers(2, 9))
def test_the_lengths_scale_with_the_limit(judged, verdict, num_tokens, factor):
    one = judged(verdict=verdict, num_tokens=num_tokens, max_tokens=L_MAX)
    more = judged(verdict=verdict, num_tokens=factor * num_tokens, max_tokens=factor * L_MAX)
    assert length(one) == pytest.approx(length(more), abs=1e-9)


@pytest.mark.parametrize("verdict", ["correct", "incorrect"])
@pytest.mark.parametrize("text", [r"\boxed{4}", "<think>2 and", "</think></think>"])
def test_an_incomplete_response_costs_a_half_whatever_its_answer(judged, verdict, text):
    assert length(judged(text, verdict, finish_reason="length")) == -0.5


@pytest.mark.parametrize("verdict", ["correct", "incorrect"])
@pytest.mark.parametrize("text", [r"<think>2 \boxed{4}", r"<think>2</think>\boxed{4}</think>"])
def test_a_missing_or_second_end_of_thinking_costs_one_whatever_the_answer(judged, verdict, text):
    assert length(judged(text, verdict)) == -1.0


@pytest.mark.parametrize(
    "text", [r"\boxed{4}", r"<think>2</think>\boxed{4}", r"2</think>\boxed{4}"]
)
def test_thinking_that_is_closed_or_not_marked_costs_nothing(judged, text):
    assert length(judged(text)) == 1.0


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_an_answer_that_cannot_be_read_has_no_reward(judged, finish_reason):
    assert length(judged(verdict="unknown", finish_reason=finish_reason)) is None
