"""Schedules by hand."""

from __future__ import annotations

import math

import pytest

from minireason.train.schedule import annealed_temperature, learning_rate

TEN_STEPS = {
    "constant": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    # after two steps of warm-up an eighth of 0.9 less a step
    "linear": [0.5, 1, *(1 - 0.9 * i / 8 for i in range(8))],
    "cosine": [0.5, 1, *(0.1 + 0.45 * (1 + math.cos(math.pi * i / 8)) for i in range(8))],
}


@pytest.mark.parametrize("schedule", TEN_STEPS)
def test_ten_steps_by_hand(schedule: str) -> None:
    rates = [learning_rate(step, 10, 3e-4, 0.2, schedule) for step in range(10)]
    assert rates == pytest.approx([3e-4 * share for share in TEN_STEPS[schedule]])


def test_between_two_steps_the_rate_is_between_theirs_and_never_above_the_peak() -> None:
    for schedule in TEN_STEPS:
        rates = [learning_rate(step / 4, 10, 1.0, 0.2, schedule) for step in range(40)]
        assert max(rates) == 1.0
        turn = rates.index(1.0)
        assert rates[: turn + 1] == sorted(rates[: turn + 1])
        assert rates[turn:] == sorted(rates[turn:], reverse=True)


def test_half_way_a_cosine_is_where_a_line_is() -> None:
    assert learning_rate(50, 100, 1.0, 0.0, "cosine") == pytest.approx(0.55)
    assert learning_rate(50, 100, 1.0, 0.0, "linear") == pytest.approx(0.55)


def test_without_warm_up_the_first_step_is_at_the_peak() -> None:
    assert learning_rate(0, 10, 2.0, 0.0, "linear") == 2.0


@pytest.mark.parametrize(
    ("num_steps", "ratio", "warmup"), [(30, 0.1, 3), (31, 0.1, 4), (100, 0.07, 7), (1, 0.1, 1)]
)
def test_the_warm_up_is_the_share_of_the_steps_rounded_up(
    num_steps: int, ratio: float, warmup: int
) -> None:
    rates = [learning_rate(step, num_steps, 1.0, ratio, "constant") for step in range(num_steps)]
    assert rates[:warmup] == pytest.approx([(i + 1) / warmup for i in range(warmup)])
    assert rates.index(1.0) == warmup - 1


def test_a_warm_up_of_all_steps_only_rises() -> None:
    assert [learning_rate(s, 4, 1.0, 1.0, "cosine") for s in range(4)] == [0.25, 0.5, 0.75, 1]


def test_an_unknown_schedule_is_an_error_that_names_the_known() -> None:
    with pytest.raises(ValueError, match="'wave'; it must be constant, linear or cosine"):
        learning_rate(5, 10, 1.0, 0.1, "wave")


def test_temperature_falls_over_the_first_half_and_stays() -> None:
    found = [annealed_temperature(step, 10, 1.0, 0.6, 0.5) for step in range(10)]
    assert found == pytest.approx([1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.6, 0.6, 0.6, 0.6])


def test_a_fraction_of_nothing_keeps_the_start() -> None:
    assert annealed_temperature(9, 10, 1.0, 0.6, 0.0) == 1.0
