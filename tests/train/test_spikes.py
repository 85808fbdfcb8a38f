from __future__ import annotations

import random
from statistics import median

import pytest

from minireason.train.spikes import SpikeDetector


def noisy(count: int, seed: int = 0) -> list[float]:
    """A falling loss with normal noise of 0.02."""
    rng = random.Random(seed)
    return [1.5 - 0.002 * step + rng.gauss(0, 0.02) for step in range(count)]


def test_ordinary_noise_on_a_falling_loss_is_no_spike() -> None:
    detector = SpikeDetector()
    assert [detector.note(loss) for loss in noisy(400)] == [None] * 400


@pytest.mark.parametrize("step", [60, 150, 399])
def test_a_jump_is_noted_with_its_size(step: int) -> None:
    losses = noisy(400)
    losses[step] += 1.0
    detector = SpikeDetector()
    notes = {number: note for number, loss in enumerate(losses) if (note := detector.note(loss))}
    centre = median(losses[step - 50 : step])
    assert list(notes) == [step]
    assert f"loss {losses[step]:.4f} is " in notes[step]
    assert f"above {centre:.4f}, the median of the last 50 steps" in notes[step]


def test_the_size_is_in_deviations_of_the_median() -> None:
    detector = SpikeDetector([1.0, 1.1, 1.2, 1.3, 1.4], window=5)
    # median 1.2, absolute deviations 0, 0.1, 0.1, 0.2, 0.2: 0.1 * 1.4826
    assert str(detector.note(1.2 + 20 * 0.14826)).startswith("loss 4.1652 is 20 deviations")


def test_a_fall_is_no_spike() -> None:
    assert SpikeDetector(noisy(50)).note(0.0) is None


def test_nothing_is_said_before_the_window_is_full() -> None:
    detector = SpikeDetector(window=5)
    assert [detector.note(loss) for loss in (1.0, 9.0, 1.0, 90.0, 1.0)] == [None] * 5
    assert detector.note(900.0) is not None


def test_a_loss_that_does_not_vary_may_rise_a_little() -> None:
    detector = SpikeDetector([2.0] * 50)
    assert detector.note(2.1) is None
    assert detector.note(2.2) is not None


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_always_noted_and_never_compared_with(loss: float) -> None:
    detector = SpikeDetector()
    assert detector.note(loss) == f"the loss is {loss}"
    losses = noisy(60)
    assert [detector.note(value) for value in losses] == [None] * 60


@pytest.mark.parametrize("cut", [0, 3, 49, 50, 51, 120])
def test_a_detector_given_the_losses_of_the_log_goes_on_as_the_first(cut: int) -> None:
    losses = noisy(200)
    losses[55] = losses[130] = 4.0
    whole, resumed = SpikeDetector(), SpikeDetector(losses[:cut])
    expected = [whole.note(loss) for loss in losses]
    assert [resumed.note(loss) for loss in losses[cut:]] == expected[cut:]
