"""The critic's loss by hand and beside float64."""

from __future__ import annotations

import math

import pytest
import torch

from minireason.train.objectives import Scores, Totals
from minireason.train.objectives.value import ValueLoss
from minireason.train.packing import TokenSequence, collate


def evaluate(
    loss: ValueLoss, values: list[float], old: list[float], returns: list[float]
) -> tuple[float, list[float], dict[str, float]]:
    count = len(values)
    sequence = TokenSequence(range(count + 1), count, {"old_values": old, "returns": returns})
    values_N = torch.tensor(values, requires_grad=True)
    scores = Scores(torch.zeros(0), None, values_N)
    found, metrics = loss(scores, collate([[[sequence]]]), Totals(count, 1))
    (gradient,) = torch.autograd.grad(found, values_N)
    return found.item(), gradient.tolist(), {name: float(v) for name, v in metrics.items()}


# value, return -> loss and its derivative by the value, where the old value is 0 and the clip 0.2
CASES = [
    (0.0, 1.0, 0.5, -1.0),
    (0.1, 1.0, 0.405, -0.9),
    (0.5, 1.0, 0.32, 0.0),  # came far towards the return: held at 0.2
    (-0.5, 1.0, 1.125, -1.5),  # went away from it: never clipped
    (1.5, 1.0, 0.32, 0.0),  # went past it, and not by as much as it came
    (2.5, 1.0, 1.125, 1.5),  # went past it by more
    (-0.5, -1.0, 0.32, 0.0),
]


@pytest.mark.parametrize(("value", "target", "expected", "slope"), CASES)
def test_clipping_by_hand(value: float, target: float, expected: float, slope: float) -> None:
    loss, gradient, _ = evaluate(ValueLoss(0.2), [value], [0.0], [target])
    assert loss == pytest.approx(expected)
    assert gradient == pytest.approx([slope])


def test_without_a_clip_it_is_half_the_mean_squared_error() -> None:
    values, returns = [0.5, -2.0, 1.0], [1.0, 1.0, -1.0]
    loss, gradient, metrics = evaluate(ValueLoss(math.inf), values, [0.0] * 3, returns)
    errors = [v - r for v, r in zip(values, returns, strict=True)]
    assert loss == pytest.approx(sum(e * e for e in errors) / 6)
    assert gradient == pytest.approx([e / 3 for e in errors])
    assert metrics == pytest.approx({"value": -0.5 / 3, "clip_fraction": 0.0})


def test_loss_and_gradient_equal_the_equation_in_float64() -> None:
    torch.manual_seed(0)
    values, old, returns = torch.randn(3, 40, dtype=torch.float64)
    loss, gradient, metrics = evaluate(
        ValueLoss(0.3), values.tolist(), old.tolist(), returns.tolist()
    )
    values.requires_grad_()
    clipped = torch.clip(values, old - 0.3, old + 0.3)
    expected = 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2).mean()
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert gradient == pytest.approx(values.grad.tolist(), abs=1e-6)
    share = ((clipped - returns).abs() > (values - returns).abs()).double().mean()
    assert metrics["clip_fraction"] == pytest.approx(share.item())
