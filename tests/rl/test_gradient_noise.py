"""The noise of gradients, by hand, against gradients kept side by side, and on a model."""

from types import SimpleNamespace

import pytest
import torch

from minireason.errors import MinireasonError
from minireason.rl.gradient_noise import GradientSums, measure_noise
from minireason.train.data import Step, StepSource, make_update
from minireason.train.learner import Learner
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import TokenSequence
from minireason.world import ALONE


def sums_of(gradients):
    """Of gradients in two parameters: all but the last number, which may be None, and the last."""
    first, last = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    sums = GradientSums([first, last])
    for *left, right in gradients:
        first.grad = torch.tensor(left)
        last.grad = None if right is None else torch.tensor([right])
        sums.add()
    return sums


def test_variance_and_squared_mean_by_hand():
    noise = sums_of([(1.0, 0.0, None), (3.0, 0.0, 0.0), (2.0, 3.0, None)]).noise(50.0)
    # The mean is (2, 1); off it are (-1, -1), (1, -1), (0, 2), of squares 2, 2 and 4.
    assert noise.variance == pytest.approx(8 / 2)
    assert noise.squared_mean == pytest.approx(5 - 4 / 3)
    assert (noise.num_steps, noise.tokens_per_step) == (3, 50.0)


def test_the_sums_say_what_gradients_side_by_side_say():
    gradients = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)) + 1
    noise = sums_of(gradients.tolist()).noise(1.0)
    variance = gradients.double().var(dim=0).sum()
    assert noise.variance == pytest.approx(float(variance), rel=1e-5)
    pairs = [(a @ b).item() for i, a in enumerate(gradients) for b in gradients[:i]]
    # |mean|^2 without its bias is the mean product of two different gradients.
    assert noise.squared_mean == pytest.approx(sum(pairs) / len(pairs), rel=1e-5)


def test_the_estimates_are_right_on_average():
    generator = torch.Generator().manual_seed(1)
    found = [
        sums_of(
            (torch.randn(4, 3, generator=generator) * 2 + torch.tensor([1.0, 0.0, 0.5])).tolist()
        ).noise(1.0)
        for _ in range(2000)
    ]
    assert sum(n.variance for n in found) / 2000 == pytest.approx(3 * 4, rel=0.03)
    assert sum(n.squared_mean for n in found) / 2000 == pytest.approx(1.25, abs=0.15)


class Lessons(StepSource):
    """Steps of two sequences each; the last one has nothing to teach."""

    num_steps = 3

    def __init__(self):
        self.companions = {"critic": SimpleNamespace(set_learning_rate=self._note)}
        self.rates = []

    def _note(self, rate):
        self.rates.append(rate)

    def step(self, number):
        metrics = {"generated_tokens": 10.0 * (number + 1)}
        units = [[TokenSequence([5 + number, 7 + i, 11, 3], 2)] for i in range(2)]
        updates = [] if number == 2 else [make_update([[u] for u in units], 1, ALONE)]
        return Step(updates, metrics=metrics)


@pytest.fixture
def learner():
    from minireason.model.tiny import build_model

    settings = OptimizerSettings(1e-3, 0.0, 0.9, 0.95, 1.0, 0.1, "constant", 1000)
    return Learner(build_model(97, seed=0, num_layers=1), settings)


def test_a_models_noise_is_that_of_its_gradients_and_leaves_it_as_it_was(learner):
    before = {name: p.clone() for name, p in learner.model.named_parameters()}
    source, shown = Lessons(), []
    noise = measure_noise(learner, source, NextToken(), lambda *state: shown.append(state[:2]))
    rows = []
    for number in range(3):
        learner.forget_gradients()
        for work in source.step(number).updates:
            for batch in work.micro_batches:
                scores = learner.score(batch, 1.0, with_entropy=False)
                NextToken()(scores, batch, work.totals)[0].backward()
        rows.append(
            torch.cat(
                [
                    (torch.zeros_like(p) if p.grad is None else p.grad).flatten().double()
                    for p in learner.model.parameters()
                ]
            )
        )
    gradients = torch.stack(rows)
    assert noise.variance == pytest.approx(float(gradients.var(dim=0).sum()), rel=1e-4)
    pairs = [float(gradients[i] @ gradients[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert noise.squared_mean == pytest.approx(sum(pairs) / 3, rel=1e-3, abs=1e-8)
    assert noise.tokens_per_step == 20.0
    assert all(torch.equal(p, before[name]) for name, p in learner.model.named_parameters())
    assert source.rates == [0.0], "a critic must not learn"
    assert shown == [(1, 3), (2, 3), (3, 3)]


def test_a_model_in_parts_is_refused(learner):
    learner.is_sharded = True
    with pytest.raises(MinireasonError, match="in one process"):
        measure_noise(learner, Lessons(), NextToken(), lambda *_: None)
