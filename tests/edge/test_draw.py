import numpy as np
import pytest
import torch

from minireason.edge.draw import draw, uniform
from minireason.rollout import logits as reference
from minireason.rollout.sampling import SamplingParams

SETTINGS = [
    {"temperature": 0.0},
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 0.6, "top_p": 0.95},
    {"temperature": 1.3, "top_p": 0.5},
    {"temperature": 1.0, "top_p": 1.0, "top_k": 5},
    {"temperature": 0.8, "top_p": 0.9, "top_k": 20, "min_p": 0.05},
    {"temperature": 1.0, "top_p": 1.0, "min_p": 0.3},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_draws_what_the_embedded_sampler_draws(settings):
    logits_BV = torch.randn(400, 97, generator=torch.Generator().manual_seed(1)) * 3
    params = [SamplingParams(seed=seed, **settings) for seed in range(400)]
    batch = reference.Settings.of(params)
    batch.step += 7
    tokens, logprobs, raw = reference.sample(logits_BV, batch)
    drawn = [draw(row.numpy(), one, 7) for row, one in zip(logits_BV, params, strict=True)]
    assert [one.token for one in drawn] == tokens.tolist()
    np.testing.assert_allclose([one.logprob for one in drawn], logprobs.numpy(), atol=1e-5)
    np.testing.assert_allclose([one.raw_logprob for one in drawn], raw.numpy(), atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2**63, -5])
def test_the_random_numbers_are_those_of_the_embedded_sampler(seed):
    key = reference.Settings.of([SamplingParams(seed=seed)]).key
    for step, number in ((0, 0), (3, 1), (100_000, 0)):
        ours = uniform(seed, step, number)
        assert ours == reference.uniform(key, torch.tensor([step]), number).item()


def test_ties_at_the_edge_of_the_nucleus_go_to_the_lower_token():
    logits_V = np.zeros(4, dtype=np.float32)
    params = [SamplingParams(temperature=1.0, top_p=0.5, seed=seed) for seed in range(200)]
    assert {draw(logits_V, one, 0).token for one in params} == {0, 1}


def test_a_forced_token_is_taken_with_its_own_logprob():
    logits_V = np.log(np.array([0.5, 0.25, 0.25], dtype=np.float32))
    drawn = draw(logits_V, SamplingParams(temperature=0.5), 0, forced=2)
    assert drawn.token == 2
    assert drawn.raw_logprob == pytest.approx(np.log(0.25))
    assert drawn.logprob == pytest.approx(np.log(1 / 6))  # squares: 4, 1, 1 of 6


def test_draws_from_the_adjusted_logits_and_tells_the_models_own_logprob():
    logits_V = np.array([2.0, 1.0], dtype=np.float32)
    adjusted_V = np.array([-np.inf, 1.0], dtype=np.float32)
    drawn = draw(logits_V, SamplingParams(temperature=1.0), 0, adjusted_V)
    assert drawn.token == 1
    assert drawn.raw_logprob == pytest.approx(-np.log1p(np.e))
