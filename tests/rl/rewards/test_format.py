"""Thinking closed once, then one boxed answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.rewards.format import after_thinking, format_, is_thinking_broken


@pytest.mark.parametrize(
    "text",
    [
        r"<think>2 and 2</think> The answer is \boxed{4}.",
        r"2 and 2</think>\boxed{4}",  # the prompt holds the beginning
        r"<|begin_of_thought|>2<|end_of_thought|> \fbox{4}",
        r"<think>\boxed{5}? no</think> \boxed{\frac{4}{1}}",
    ],
)
def test_thinking_closed_once_and_one_box_have_the_form(judged, text):
    assert format_(judged(text)) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{4}",  # nothing closes the thinking
        r"<think>2 and 2 \boxed{4}",
        r"<think>2</think> and </think>\boxed{4}",
        r"<think>2</think><think>3</think>\boxed{4}",
        r"<think><think>2</think>\boxed{4}",
        r"</think> \boxed{4} <think>",
        r"<|begin_of_thought|>2</think>\boxed{4}",
        r"<think>\boxed{4}</think> so it is 4",  # the box is in the thinking
        r"<think>2</think>\boxed{3}, no, \boxed{4}",
        r"<think>2</think>\boxed{4",
        r"<think>2</think>\boxed{}",
        r"<think>2</think>\boxedtext{4}",
        "",
    ],
)
def test_anything_else_does_not(judged, text):
    assert format_(judged(text)) == 0.0


def test_a_right_and_a_wrong_answer_of_one_form_are_worth_the_same(judged):
    text = r"<think>2</think>\boxed{4}"
    assert format_(judged(text)) == format_(judged(text, "incorrect")) == 1.0


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("no marks", False),
        ("<think>a</think>b", False),
        ("a</think>b", False),
        ("<think>a", True),
        ("a</think>b</think>", True),
        ("</think>a<think>", True),
    ],
)
def test_marks_that_are_no_pair_are_broken_and_no_marks_are_not(text, is_broken):
    assert is_thinking_broken(text) == is_broken


MARKED = st.lists(
    st.sampled_from(["<think>", "</think>", "<|begin_of_thought|>", "<|end_of_thought|>", "a "]),
    max_size=5,
)


@given(MARKED)
def test_what_follows_the_thinking_agrees_with_a_list_of_all_good_orders(parts):
    marks = [part for part in parts if part != "a "]
    good = [
        ["</think>"],
        ["<|end_of_thought|>"],
        ["<think>", "</think>"],
        ["<|begin_of_thought|>", "<|end_of_thought|>"],
    ]
    after = "a " * parts[::-1].index(marks[-1]) if marks in good else None
    assert after_thinking("".join(parts)) == after
