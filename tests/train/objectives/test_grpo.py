"""Group relative policy optimisation beside float64 and TRL."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from minireason.train.forward import score, score_units
from minireason.train.objectives import Totals
from minireason.train.objectives.grpo import Grpo
from minireason.train.packing import TokenSequence, collate


def one_token(advantage: float, old: float = -1.0, reference: float = -1.0) -> TokenSequence:
    values = {"advantages": advantage, "old_logprobs": [old], "reference_logprobs": [reference]}
    return TokenSequence([1, 2], 1, values)


# ratio, advantage -> loss and its derivative by the log-probability, with clips 0.2 and 0.28
CASES = [
    (1.0, 2.0, -2.0, -2.0),
    (1.2, 2.0, -2.4, -2.4),
    (1.5, 2.0, -2.56, 0.0),  # raised enough: held at 1.28
    (0.5, 2.0, -1.0, -1.0),  # fell although good: never clipped
    (0.9, -2.0, 1.8, 1.8),
    (0.5, -2.0, 1.6, 0.0),  # lowered enough: held at 0.8
    (1.5, -2.0, 3.0, 3.0),  # rose although bad: never clipped
]


@pytest.mark.parametrize(("ratio", "advantage", "loss", "slope"), CASES)
def test_clipping_by_hand(
    ratio: float, advantage: float, loss: float, slope: float, evaluate: Callable[..., Any]
) -> None:
    logprob = -1.0 + math.log(ratio)
    found, gradient, _ = evaluate(Grpo(0.2, 0.28), [one_token(advantage)], [logprob])
    assert found.item() == pytest.approx(loss, rel=1e-5)
    assert gradient.item() == pytest.approx(slope, rel=1e-5)


def test_the_penalty_is_the_k3_estimate(evaluate: Callable[..., Any]) -> None:
    token = one_token(0.0, reference=-1.5)
    loss, gradient, metrics = evaluate(Grpo(kl_weight=0.1), [token], [-1.0])
    k3 = math.exp(-0.5) + 0.5 - 1
    assert metrics["kl"] == pytest.approx(k3, rel=1e-5)
    assert loss.item() == pytest.approx(0.1 * k3, rel=1e-5)
    assert gradient.item() == pytest.approx(0.1 * (1 - math.exp(-0.5)), rel=1e-5)


def test_without_weight_no_reference_is_needed(evaluate: Callable[..., Any]) -> None:
    token = TokenSequence([1, 2], 1, {"advantages": 1.0, "old_logprobs": [-1.0]})
    loss, _, metrics = evaluate(Grpo(), [token], [-1.0])
    assert loss == -1 and "kl" not in metrics


def test_every_token_counts_the_same_however_long_its_response(
    evaluate: Callable[..., Any],
) -> None:
    long = TokenSequence(range(4), 3, {"advantages": 1.0, "old_logprobs": [-1.0] * 3})
    short = TokenSequence(range(2), 1, {"advantages": -1.0, "old_logprobs": [-1.0]})
    loss, gradient, _ = evaluate(Grpo(), [long, short], [-1.0] * 4)
    assert loss.item() == pytest.approx(-(3 - 1) / 4)
    assert gradient.tolist() == pytest.approx([-0.25] * 3 + [0.25])


def test_metrics_are_means_over_tokens(evaluate: Callable[..., Any]) -> None:
    # above the range with a gain and below it with a loss are clipped; a gain below it is not
    tokens = [one_token(a) for a in (1.0, 1.0, 1.0, -1.0, 1.0)]
    logprobs = [-1 + math.log(ratio) for ratio in (1.0, 1.5, 1.1, 0.5, 0.5)]
    _, _, metrics = evaluate(Grpo(0.2, 0.28), tokens, logprobs)
    assert metrics["clip_fraction"] == pytest.approx(2 / 5)
    assert metrics["ratio"] == pytest.approx((1 + 1.5 + 1.1 + 0.5 + 0.5) / 5, rel=1e-5)
    assert metrics["entropy"] == 0.5


@pytest.mark.parametrize("kl_weight", [0.0, 0.2])
def test_loss_and_gradient_equal_the_equation_in_float64(
    kl_weight: float, evaluate: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    old, reference, policy = torch.randn(3, 12, dtype=torch.float64)
    advantages = torch.tensor([1.5, -0.5, -1.0], dtype=torch.float64)
    sequences = [
        TokenSequence(
            range(5),
            4,
            {
                "advantages": advantages[i].item(),
                "old_logprobs": old[4 * i : 4 * i + 4].tolist(),
                "reference_logprobs": reference[4 * i : 4 * i + 4].tolist(),
            },
        )
        for i in range(3)
    ]
    loss, gradient, _ = evaluate(Grpo(0.2, 0.3, kl_weight), sequences, policy.tolist())
    policy.requires_grad_()
    ratio, each = (policy - old).exp(), advantages.repeat_interleave(4)
    surrogate = torch.min(ratio * each, ratio.clip(0.8, 1.3) * each)
    kl = (reference - policy).exp() - (reference - policy) - 1
    expected = (kl_weight * kl - surrogate).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradient.double(), policy.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("loss_type", ["bnpo", "dapo"])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_loss_and_gradient_equal_trl_s_token_normalised_loss(
    loss_type: str,
    kl_weight: float,
    trl_grpo: Any,
    responses: list[TokenSequence],
    make_model: Callable[..., Any],
    padded: Callable[..., dict[str, torch.Tensor]],
    same_gradients: Callable[..., None],
) -> None:
    vocab = trl_grpo.model.config.vocab_size
    trl_grpo.loss_type, trl_grpo.beta = loss_type, kl_weight
    ours, other = make_model(vocab_size=vocab), make_model(seed=1, vocab_size=vocab)
    units = [[s] for s in responses]
    torch.manual_seed(0)
    old = [v[0] + 0.3 * torch.randn(len(v[0])).numpy() for v in score_units(ours, units, 9, 4, 0.7)]
    reference = [v[0] for v in score_units(other, units, 9, 4, 0.7)]
    advantages = [1.2, -0.7, -0.9, 0.4]
    full = [
        replace(s, values={"advantages": a, "old_logprobs": o, "reference_logprobs": r})
        for s, a, o, r in zip(responses, advantages, old, reference, strict=True)
    ]
    batch = collate([[[full[0]], [full[1]]], [[full[2]], [full[3]]]])
    totals = Totals(batch.num_targets, batch.num_sequences)
    loss, metrics = Grpo(0.2, 0.28, kl_weight)(
        score(ours, batch, 0.7, with_entropy=True), batch, totals
    )
    expected = trl_grpo._compute_loss(
        trl_grpo.model, trl_inputs(padded(responses), advantages, old, reference)
    )
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    same_gradients(ours, trl_grpo.model)
    assert 0 < metrics["clip_fraction"] < 1


def trl_inputs(
    batch: dict[str, torch.Tensor], advantages: list[float], old: list[Any], reference: list[Any]
) -> dict[str, torch.Tensor]:
    """One generation batch of TRL: prompts of three tokens, responses padded to the right."""

    def rows(values: list[Any]) -> torch.Tensor:
        padded = [[*map(float, v)] + [0.0] * (6 - len(v)) for v in values]
        return torch.tensor(padded)

    return {
        "prompt_ids": batch["input_ids"][:, :3],
        "prompt_mask": batch["attention_mask"][:, :3],
        "completion_ids": batch["input_ids"][:, 3:],
        "completion_mask": batch["completion_mask"][:, 3:],
        "advantages": torch.tensor(advantages),
        "old_per_token_logps": rows(old),
        "ref_per_token_logps": rows(reference),
        "num_items_in_batch": batch["completion_mask"].sum(),
    }
