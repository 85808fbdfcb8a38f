"""The draw beside a slow, obvious version: exact distributions, and how often each token falls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from minireason.rollout.logits import Settings, _is_in_nucleus, sample, uniform
from minireason.rollout.sampling import SamplingParams


def truncated(logits: torch.Tensor, temperature: float, top_p: float, top_k: int) -> np.ndarray:
    """The distribution to sample from, by a loop over the tokens from the likeliest down."""
    probs = (logits.double() / temperature).softmax(-1).numpy()
    order = sorted(range(len(probs)), key=lambda token: (-probs[token], token))
    if top_k:
        order = order[:top_k]
    mass = sum(probs[token] for token in order)
    kept, before = [], 0.0
    for token in order:
        if top_p < 1 and before >= top_p * mass:
            break
        kept.append(token)
        before += probs[token]
    result = np.zeros_like(probs)
    result[kept] = probs[kept] / probs[kept].sum()
    return result


def draws(logits: torch.Tensor, num: int, **settings: Any) -> np.ndarray:
    """How often each token falls in `num` rows of equal logits with seeds 0 to num - 1."""
    params = [SamplingParams(**settings, seed=seed) for seed in range(num)]
    tokens = sample(logits.expand(num, -1), Settings.of(params)).tokens_B
    return np.bincount(tokens.numpy(), minlength=len(logits))


def chi_square_is_plausible(counts: np.ndarray, probs: np.ndarray) -> bool:
    """Within 4 standard deviations of its mean; rare tokens are pooled."""
    assert counts[probs == 0].sum() == 0
    expected = probs * counts.sum()
    is_rare = expected < 20
    pooled = np.append(expected[~is_rare], expected[is_rare].sum())
    seen = np.append(counts[~is_rare], counts[is_rare].sum())
    seen, pooled = seen[pooled > 0], pooled[pooled > 0]
    freedom = max(len(pooled) - 1, 1)
    return bool(((seen - pooled) ** 2 / pooled).sum() < freedom + 4 * math.sqrt(2 * freedom))


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
@pytest.mark.parametrize(
    ("top_p", "top_k"),
    [(1.0, 0), (0.95, 0), (0.5, 0), (0.05, 0), (1.0, 5), (1.0, 1), (0.8, 6), (0.95, 1000)],
)
def test_frequencies_match_the_truncated_distribution(
    temperature: float, top_p: float, top_k: int
) -> None:
    logits = torch.randn(40, generator=torch.Generator().manual_seed(3)) * 2
    counts = draws(logits, 20_000, temperature=temperature, top_p=top_p, top_k=top_k)
    assert chi_square_is_plausible(counts, truncated(logits, temperature, top_p, top_k))


def test_rows_with_different_settings_keep_their_own() -> None:
    logits = torch.randn(25, generator=torch.Generator().manual_seed(5)) * 2
    kinds = [(1.0, 1.0, 0), (0.6, 0.9, 0), (1.5, 1.0, 3), (0.0, 0.9, 4), (0.8, 0.7, 5)]
    num = 4000
    params = [
        SamplingParams(temperature, top_p, top_k, seed=seed)
        for seed in range(num)
        for temperature, top_p, top_k in kinds
    ]
    tokens = sample(logits.expand(len(params), -1), Settings.of(params)).tokens_B
    for kind, (temperature, top_p, top_k) in enumerate(kinds):
        counts = np.bincount(tokens[kind :: len(kinds)].numpy(), minlength=25)
        if temperature == 0:
            assert counts[int(logits.argmax())] == num
        else:
            expected = truncated(logits, temperature, top_p, top_k)
            assert chi_square_is_plausible(counts, expected)


@pytest.mark.parametrize("top_p", [0.1, 0.6, 0.95])
@pytest.mark.parametrize("has_ties", [False, True])
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float, has_ties: bool) -> None:
    logits = torch.randn(30, generator=torch.Generator().manual_seed(1)) * 3
    logits = logits.round() if has_ties else logits
    probs = logits.softmax(-1).expand(30, -1)
    is_in = _is_in_nucleus(probs, torch.arange(30), torch.full((30,), top_p))
    assert is_in.tolist() == (truncated(logits, 1.0, top_p, 0) > 0).tolist()


@pytest.mark.parametrize(("top_p", "num_kept"), [(0.25, 3), (0.65, 7)])
def test_tied_tokens_are_kept_in_order_of_their_ids(top_p: float, num_kept: int) -> None:
    counts = draws(torch.zeros(10), 5000, temperature=1.0, top_p=top_p)
    assert (counts > 0).tolist() == [True] * num_kept + [False] * (10 - num_kept)


@pytest.mark.parametrize(("temperature", "scale"), [(0.0, 1.0), (0.5, 0.5), (2.0, 2.0)])
def test_logprobs_are_those_before_truncation(temperature: float, scale: float) -> None:
    logits = torch.randn(6, 30)
    params = [SamplingParams(temperature, top_p=0.5, top_k=4, seed=i) for i in range(6)]
    tokens, logprobs, raw_logprobs = sample(logits, Settings.of(params))
    for found, divisor in ((logprobs, scale), (raw_logprobs, 1.0)):
        expected = (logits / divisor).log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
        torch.testing.assert_close(found, expected)


def test_bfloat16_logits_give_float32_logprobs() -> None:
    logits = torch.randn(4, 30).bfloat16()
    tokens, logprobs, _ = sample(logits, Settings.of([SamplingParams()] * 4))
    scaled = logits.float() / 0.6
    torch.testing.assert_close(logprobs, scaled.log_softmax(-1)[torch.arange(4), tokens])


def test_a_draw_does_not_depend_on_the_rows_beside_it() -> None:
    logits = torch.randn(50, 30)
    params = [SamplingParams(temperature=1.0, top_p=0.7, seed=i) for i in range(50)]
    together = sample(logits, Settings.of(params))
    for row in range(50):
        alone = sample(logits[row : row + 1], Settings.of(params[row : row + 1]))
        for one, all_rows in zip(alone, together, strict=True):
            assert one[0] == all_rows[row]


def test_impossible_tokens_are_never_drawn() -> None:
    logits = torch.full((40,), -math.inf)
    logits[[0, 7, 39]] = 0.0
    counts = draws(logits, 3000, temperature=1.0, top_p=1.0)
    assert set(counts.nonzero()[0].tolist()) == {0, 7, 39}


def splitmix64(state: int) -> int:
    """The published function, in Python's whole numbers."""
    word = (1 << 64) - 1
    state &= word
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & word
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & word
    return state ^ (state >> 31)


@pytest.mark.parametrize("seed", [0, 1, 2**62 + 12345, 2**63 - 1, -5])
def test_uniform_numbers_are_splitmix64_of_the_seed_and_the_step(seed: int) -> None:
    key = Settings.of([SamplingParams(seed=seed)]).key.expand(4)
    for draw in (0, 1):
        numbers = uniform(key, torch.arange(4), draw).tolist()
        for step, number in enumerate(numbers):
            state = splitmix64(seed) + (2 * step + draw + 1) * 0x9E3779B97F4A7C15
            assert number == ((splitmix64(state) >> 41) + 0.5) / 2**23


def test_uniform_numbers_look_uniform_and_independent() -> None:
    params = [SamplingParams(seed=seed) for seed in range(300)]
    key = Settings.of(params).key
    table = torch.stack(
        [uniform(key, torch.full_like(key, step), draw) for step in range(200) for draw in (0, 1)]
    ).double()
    assert table.min() > 0 and table.max() < 1
    assert abs(table.mean() - 0.5) < 0.004
    assert abs(table.var() - 1 / 12) < 0.002
    centred = table - 0.5
    for one, other in [
        (centred[:-1], centred[1:]),  # accept and redraw, and one step and the next
        (centred[:-2], centred[2:]),
        (centred[:, :-1], centred[:, 1:]),  # neighbouring seeds
    ]:
        assert abs((one * other).mean() * 12) < 0.012
