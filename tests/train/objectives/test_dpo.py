"""Direct preference optimisation beside float64 and TRL."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from minireason.train.forward import score, score_units
from minireason.train.objectives import Totals
from minireason.train.objectives.dpo import Dpo
from minireason.train.packing import TokenSequence, Unit, collate

LENGTHS = (3, 2, 1, 4)  # chosen, rejected, chosen, rejected


def two_pairs() -> tuple[list[TokenSequence], list[float]]:
    torch.manual_seed(0)
    reference = torch.randn(10).split(LENGTHS)
    sequences = [
        TokenSequence(range(n + 1), n, {"reference_logprobs": r.tolist()})
        for n, r in zip(LENGTHS, reference, strict=True)
    ]
    return sequences, torch.randn(10).tolist()


def plain(
    sequences: Sequence[TokenSequence], logprobs_N: torch.Tensor, beta: float, nll_weight: float
) -> torch.Tensor:
    """Equation 7 a pair at a time, in float64."""
    policy = logprobs_N.split([s.num_targets for s in sequences])
    ratios = [
        p.sum() - sum(s.values["reference_logprobs"])
        for p, s in zip(policy, sequences, strict=True)
    ]
    losses = [
        -torch.log(torch.sigmoid(beta * (ratios[i] - ratios[i + 1])))
        - nll_weight * policy[i].mean()
        for i in range(0, len(sequences), 2)
    ]
    return torch.stack(losses).mean()


@pytest.mark.parametrize("beta", [0.1, 2.0])
@pytest.mark.parametrize("nll_weight", [0.0, 0.5])
def test_loss_and_gradient_equal_the_equation_in_float64(
    beta: float, nll_weight: float, evaluate: Callable[..., Any]
) -> None:
    sequences, logprobs = two_pairs()
    loss, gradient, _ = evaluate(Dpo(beta, nll_weight), sequences, logprobs)
    logprobs_N = torch.tensor(logprobs, dtype=torch.float64, requires_grad=True)
    expected = plain(sequences, logprobs_N, beta, nll_weight)
    (expected_gradient,) = torch.autograd.grad(expected, logprobs_N)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(gradient.double(), expected_gradient, atol=1e-6, rtol=1e-5)


def test_one_pair_by_hand(evaluate: Callable[..., Any]) -> None:
    chosen = TokenSequence([1, 2, 3], 2, {"reference_logprobs": [-1.0, -1.0]})
    rejected = TokenSequence([1, 4], 1, {"reference_logprobs": [-2.0]})
    loss, _, metrics = evaluate(
        Dpo(beta=0.5, nll_weight=0.1), [chosen, rejected], [-0.5, -0.5, -5.0]
    )
    # log-ratios +1 and -3: rewards 0.5 and -1.5, margin 2; a chosen token costs 0.5
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)) + 0.1 * 0.5, rel=1e-6)
    assert metrics == pytest.approx(
        {
            "accuracy": 1,
            "margin": 2,
            "chosen_reward": 0.5,
            "rejected_reward": -1.5,
            "chosen_nll": 0.5,
        }
    )


def test_the_policy_that_is_the_reference_starts_at_log_2(evaluate: Callable[..., Any]) -> None:
    sequences, _ = two_pairs()
    same = [value for s in sequences for value in s.values["reference_logprobs"]]
    loss, gradient, metrics = evaluate(Dpo(beta=0.1), sequences, same)
    assert loss.item() == pytest.approx(math.log(2), rel=1e-5)
    assert gradient.tolist() == pytest.approx([-0.025] * 3 + [0.025] * 2 + [-0.025] + [0.025] * 4)
    assert metrics["margin"] == pytest.approx(0, abs=1e-6)


def test_a_margin_far_off_neither_overflows_nor_loses_its_gradient(
    evaluate: Callable[..., Any],
) -> None:
    sequences, _ = two_pairs()
    loss, gradient, _ = evaluate(Dpo(beta=1.0), sequences[:2], [-1e4, 0, 0, 0, 0])
    assert loss.item() == pytest.approx(1e4, rel=1e-3) and gradient[0] == -1


@pytest.fixture
def pairs(
    responses: list[TokenSequence], make_model: Callable[..., Any], trl_dpo: Any
) -> list[Unit]:
    """Two pairs of the four responses, with the log-probabilities of TRL's reference model."""
    reference = make_model(seed=1, vocab_size=trl_dpo.model.config.vocab_size)
    units = [responses[:2], responses[2:]]
    return [
        [
            replace(s, values={"reference_logprobs": v.tolist()})
            for s, v in zip(u, scored, strict=True)
        ]
        for u, scored in zip(units, score_units(reference, units, 30, 1), strict=True)
    ]


@pytest.mark.parametrize("num_pairs", [1, 2])
def test_loss_and_gradient_equal_trl_s(
    num_pairs: int,
    trl_dpo: Any,
    pairs: list[Unit],
    make_model: Callable[..., Any],
    padded: Callable[..., dict[str, torch.Tensor]],
    same_gradients: Callable[..., None],
) -> None:
    batch = collate([[unit] for unit in pairs[:num_pairs]])
    ours = make_model(vocab_size=trl_dpo.model.config.vocab_size)
    totals = Totals(batch.num_targets, batch.num_sequences)
    loss, metrics = Dpo(beta=0.3)(score(ours, batch), batch, totals)
    both = [u[0] for u in pairs[:num_pairs]] + [u[1] for u in pairs[:num_pairs]]
    expected = trl_dpo._compute_loss(trl_dpo.model, padded(both), return_outputs=False)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    same_gradients(ours, trl_dpo.model)
    logged = trl_dpo._metrics["train" if trl_dpo.model.training else "eval"]
    assert metrics["margin"].item() == pytest.approx(logged["rewards/margins"][0], rel=1e-4)
    assert metrics["accuracy"].item() == logged["rewards/accuracies"][0]


def test_the_likelihood_term_of_one_pair_equals_trl_s_sft_term(
    trl_dpo: Any,
    pairs: list[Unit],
    make_model: Callable[..., Any],
    padded: Callable[..., dict[str, torch.Tensor]],
    same_gradients: Callable[..., None],
) -> None:
    trl_dpo.loss_types, trl_dpo.loss_weights = ["sigmoid", "sft"], [1.0, 0.4]
    batch = collate([[pairs[0]]])
    ours = make_model(vocab_size=trl_dpo.model.config.vocab_size)
    totals = Totals(batch.num_targets, batch.num_sequences)
    loss, _ = Dpo(beta=0.3, nll_weight=0.4)(score(ours, batch), batch, totals)
    expected = trl_dpo._compute_loss(trl_dpo.model, padded(pairs[0]), return_outputs=False)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    same_gradients(ours, trl_dpo.model)


def test_logsigmoid_is_what_the_reference_means() -> None:
    margins = torch.linspace(-5, 5, 11, dtype=torch.float64)
    torch.testing.assert_close(-torch.log(torch.sigmoid(margins)), -F.logsigmoid(margins))
