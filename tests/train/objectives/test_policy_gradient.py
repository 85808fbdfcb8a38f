"""The clipped policy gradient by hand, beside a loop in float64 and beside TRL."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from minireason.train.forward import score, score_units
from minireason.train.objectives import Scores, Totals
from minireason.train.objectives.policy_gradient import PolicyGradient
from minireason.train.packing import TokenSequence, collate

CLIPPED = PolicyGradient(clip_low=0.2, clip_high=0.28)


def one_token(advantage: float, **values: float) -> TokenSequence:
    values = {"old_logprobs": -1.0, "reference_logprobs": -1.0, "advantages": advantage} | values
    return TokenSequence([1, 2], 1, values)


def response(advantage: float, num_tokens: int) -> TokenSequence:
    values = {"old_logprobs": -1.0, "advantages": advantage}
    return TokenSequence(range(num_tokens + 1), num_tokens, values)


# ratio, advantage -> loss and its derivative by the log-probability, with clips 0.2 and 0.28
CASES = [
    (1.0, 2.0, -2.0, -2.0),
    (1.2, 2.0, -2.4, -2.4),
    (1.5, 2.0, -2.56, 0.0),  # raised enough: held at 1.28
    (0.5, 2.0, -1.0, -1.0),  # fell although good: never clipped
    (0.9, -2.0, 1.8, 1.8),
    (0.5, -2.0, 1.6, 0.0),  # lowered enough: held at 0.8
    (1.5, -2.0, 3.0, 3.0),  # rose although bad: never clipped, but by the dual clip
]


@pytest.mark.parametrize(("ratio", "advantage", "loss", "slope"), CASES)
def test_clipping_by_hand(
    ratio: float, advantage: float, loss: float, slope: float, evaluate: Callable[..., Any]
) -> None:
    found, gradient, _ = evaluate(CLIPPED, [one_token(advantage)], [-1.0 + math.log(ratio)])
    assert found.item() == pytest.approx(loss, rel=1e-5)
    assert gradient.item() == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [*CASES, (3.0, 2.0, -2.56, 0.0), (2.0, -2.0, 4.0, 4.0), (4.0, -2.0, 6.0, 0.0)],
)
def test_the_dual_clip_bounds_what_a_bad_token_may_weigh(
    ratio: float, advantage: float, loss: float, slope: float, evaluate: Callable[..., Any]
) -> None:
    objective = replace(CLIPPED, dual_clip=3.0)
    tokens, logprobs = [one_token(advantage)], [-1.0 + math.log(ratio)]
    found, gradient, metrics = evaluate(objective, tokens, logprobs)
    assert found.item() == pytest.approx(loss, rel=1e-5)
    assert gradient.item() == pytest.approx(slope, rel=1e-5)
    assert metrics["clip_dual_fraction"] == (ratio > 3)


# log(policy / reference) is 0.5: k3 = e^-0.5 + 0.5 - 1 and its derivative 1 - e^-0.5
@pytest.mark.parametrize(
    ("estimator", "kl", "slope"),
    [("k2", 0.125, 0.5), ("k3", math.exp(-0.5) - 0.5, 1 - math.exp(-0.5))],
)
def test_the_penalty_by_hand(
    estimator: Any, kl: float, slope: float, evaluate: Callable[..., Any]
) -> None:
    objective = PolicyGradient(kl_weight=0.1, kl_estimator=estimator)
    token = one_token(0.0, reference_logprobs=-1.5)
    loss, gradient, metrics = evaluate(objective, [token], [-1.0])
    assert metrics["kl"] == pytest.approx(kl, rel=1e-5)
    assert loss.item() == pytest.approx(0.1 * kl, rel=1e-5)
    assert gradient.item() == pytest.approx(0.1 * slope, rel=1e-5)


def test_without_weight_no_reference_is_needed(evaluate: Callable[..., Any]) -> None:
    loss, _, metrics = evaluate(PolicyGradient(), [response(1.0, 1)], [-1.0])
    assert loss == -1 and "kl" not in metrics


# Three tokens of advantage 1 and one of -1, on policy; 10 tokens are the most.
@pytest.mark.parametrize(
    ("average", "loss", "gradient"),
    [
        ("tokens", -(3 - 1) / 4, [-1 / 4] * 3 + [1 / 4]),
        ("responses", -(3 / 3 - 1) / 2, [-1 / 6] * 3 + [1 / 2]),
        ("constant", -(3 - 1) / 20, [-1 / 20] * 3 + [1 / 20]),
    ],
)
def test_averages_by_hand(
    average: Any, loss: float, gradient: list[float], evaluate: Callable[..., Any]
) -> None:
    objective = PolicyGradient(average=average, max_tokens=10)
    found, slopes, _ = evaluate(objective, [response(1.0, 3), response(-1.0, 1)], [-1.0] * 4)
    assert found.item() == pytest.approx(loss)
    assert slopes.tolist() == pytest.approx(gradient)


def test_importance_weighs_the_policy_s_loss_and_not_the_penalty(
    evaluate: Callable[..., Any],
) -> None:
    objective = PolicyGradient(kl_weight=0.1, kl_estimator="k2")
    token = one_token(2.0, importance=0.25, reference_logprobs=-1.5)
    loss, gradient, _ = evaluate(objective, [token], [-1.0])
    assert loss.item() == pytest.approx(-0.25 * 2 + 0.1 * 0.125)
    assert gradient.item() == pytest.approx(-0.25 * 2 + 0.1 * 0.5)


def test_a_response_taken_for_one_action_has_the_product_of_its_ratios(
    evaluate: Callable[..., Any],
) -> None:
    objective = PolicyGradient(average="responses", ratio_of="response")
    # 1.1^2 is beyond 1.2 and 0.9^2 is not below 0.8; each token is within both
    logprobs = [-1 + math.log(ratio) for ratio in (1.1, 1.1, 0.9, 0.9)]
    two = [response(1.0, 2), response(-1.0, 2)]
    loss, gradient, metrics = evaluate(objective, two, logprobs)
    assert loss.item() == pytest.approx((-1.2 + 0.81) / 2, rel=1e-5)
    assert gradient.tolist() == pytest.approx([0, 0, 0.81 / 2, 0.81 / 2], rel=1e-5)
    assert metrics["clip_high_fraction"] == 0.5 and metrics["clip_low_fraction"] == 0


def test_a_ratio_out_of_all_bounds_leaves_the_gradient_finite(
    evaluate: Callable[..., Any],
) -> None:
    objective = PolicyGradient(ratio_of="response", average="responses", dual_clip=3.0)
    for advantage in (1.0, 0.0, -1.0):
        loss, gradient, _ = evaluate(objective, [response(advantage, 3)], [49.0] * 3)
        assert loss.isfinite() and gradient.tolist() == [0.0] * 3


def test_metrics_are_means_over_tokens_and_extremes(evaluate: Callable[..., Any]) -> None:
    # above the range with a gain and below it with a loss are clipped; a gain below it is not
    tokens = [one_token(a) for a in (1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 0.0)]
    ratios = (1.5, 1.4, 1.3, 0.5, 0.6, 1.5, 0.25, 2.0)
    logprobs = [-1 + math.log(ratio) for ratio in ratios]
    _, _, metrics = evaluate(CLIPPED, tokens, logprobs)
    assert metrics == {
        "entropy": 0.5,
        "clip_fraction": 5 / 8,
        "clip_low_fraction": 2 / 8,
        "clip_high_fraction": 3 / 8,
        "ratio": pytest.approx(sum(ratios) / 8, rel=1e-5),
        "ratio_min": pytest.approx(0.25, rel=1e-5),
        "ratio_max": pytest.approx(2.0, rel=1e-5),
    }


def test_a_process_without_a_token_adds_nothing() -> None:
    batch = collate([], ["advantages", "old_logprobs"])
    scores = Scores(torch.zeros(0, requires_grad=True), torch.zeros(0))
    loss, metrics = PolicyGradient(average="responses", ratio_of="response")(
        scores, batch, Totals(5, 2)
    )
    loss.backward()
    assert loss == 0 and metrics["clip_fraction"] == 0
    assert metrics["ratio_max"] == -math.inf and metrics["ratio_min"] == math.inf


# what divides each token's advantage in responses of 5 and 2 tokens
@pytest.mark.parametrize(
    ("average", "ratio_of", "counts"),
    [
        ("tokens", "token", (7, 7)),
        ("responses", "token", (10, 4)),
        ("constant", "token", (18, 18)),
        ("responses", "response", (2, 2)),
    ],
)
def test_on_policy_the_ratio_is_exactly_1_and_the_gradient_reinforce_s(
    average: Any, ratio_of: Any, counts: tuple[int, int], evaluate: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    logprobs = (-3 * torch.rand(7)).tolist()
    objective = PolicyGradient(average=average, max_tokens=9, ratio_of=ratio_of)
    two = [
        replace(one, values={"advantages": a, "old_logprobs": old})
        for one, a, old in [
            (response(0, 5), 1.5, logprobs[:5]),
            (response(0, 2), -0.5, logprobs[5:]),
        ]
    ]
    _, gradient, metrics = evaluate(objective, two, logprobs)
    assert metrics["ratio"] == metrics["ratio_min"] == metrics["ratio_max"] == 1
    assert metrics["clip_fraction"] == 0
    expected = [-1.5 / counts[0]] * 5 + [0.5 / counts[1]] * 2
    assert gradient.tolist() == pytest.approx(expected, rel=1e-6)


OBJECTIVES = {
    "grpo": PolicyGradient(average="responses"),
    "grpo with penalty": PolicyGradient(average="responses", kl_weight=0.3),
    "dr_grpo": PolicyGradient(average="constant", max_tokens=11),
    "dapo": PolicyGradient(clip_high=0.28),
    "dual clip": PolicyGradient(dual_clip=1.5),
    "rloo": PolicyGradient(average="responses", ratio_of="response"),
    "reinforce_pp": PolicyGradient(average="responses", kl_weight=0.1, kl_estimator="k2"),
}


def looped(
    objective: PolicyGradient, responses: Sequence[dict[str, Any]], importance: float
) -> torch.Tensor:
    """The loss response by response and token by token."""
    num_tokens = sum(len(r["policy"]) for r in responses)
    total = torch.zeros((), dtype=torch.float64)
    for r in responses:
        ratios = [(new - old).exp() for new, old in zip(r["policy"], r["old"], strict=True)]
        if objective.ratio_of == "response":
            ratios = [math.prod(ratios, start=torch.ones(()))] * len(ratios)
        for ratio, new, reference in zip(ratios, r["policy"], r["reference"], strict=True):
            low, high = 1 - objective.clip_low, 1 + objective.clip_high
            gain = min(ratio * r["advantage"], ratio.clip(low, high) * r["advantage"])
            if r["advantage"] < 0:
                gain = max(gain, torch.tensor(objective.dual_clip * r["advantage"]))
            kl = (reference - new).exp() - (reference - new) - 1
            if objective.kl_estimator == "k2":
                kl = (new - reference) ** 2 / 2
            loss = -importance * gain + objective.kl_weight * kl
            total = (
                total
                + {
                    "tokens": loss / num_tokens,
                    "responses": loss / len(ratios) / len(responses),
                    "constant": loss / len(responses) / objective.max_tokens,
                }[objective.average]
            )
    return total


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("importance", [1.0, 0.7])
def test_loss_and_gradient_equal_a_loop_s_in_float64(
    name: str, importance: float, evaluate: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    lengths, advantages = [4, 1, 6], [1.5, -0.5, -1.0]
    old, reference, policy = 0.3 * torch.randn(3, 11, dtype=torch.float64) - 1
    policy.requires_grad_()
    parts = [values.split(lengths) for values in (old, reference, policy)]
    responses = [
        {"old": o, "reference": r, "policy": p, "advantage": a}
        for o, r, p, a in zip(*parts, advantages, strict=True)
    ]
    sequences = [
        replace(
            response(one["advantage"], len(one["old"])),
            values={
                "advantages": one["advantage"],
                "importance": importance,
                "old_logprobs": one["old"].tolist(),
                "reference_logprobs": one["reference"].tolist(),
            },
        )
        for one in responses
    ]
    loss, gradient, metrics = evaluate(OBJECTIVES[name], sequences, policy.tolist())
    expected = looped(OBJECTIVES[name], responses, importance)
    expected.backward()
    assert metrics["clip_fraction"] > 0
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradient.double(), policy.grad, atol=1e-6, rtol=1e-4)


ADVANTAGES = [1.2, -0.7, -0.9, 0.4]


@pytest.fixture
def compared(
    responses: list[TokenSequence],
    make_model: Callable[..., Any],
    padded: Callable[..., dict[str, torch.Tensor]],
    same_gradients: Callable[..., None],
) -> Callable[[Any, PolicyGradient, float], dict[str, torch.Tensor]]:
    """That an objective and a trainer of TRL have the same loss and gradients; the metrics.

    Old log-probabilities differ by `drift` from those of the model that both train.
    """

    def compare(
        trainer: Any, objective: PolicyGradient, drift: float = 0.3
    ) -> dict[str, torch.Tensor]:
        vocab = trainer.model.config.vocab_size
        ours, other = make_model(vocab_size=vocab), make_model(seed=1, vocab_size=vocab)
        units = [[s] for s in responses]
        torch.manual_seed(0)
        old = [
            v[0] + drift * torch.randn(len(v[0])).numpy()
            for v in score_units(ours, units, 9, 4, 0.7)
        ]
        reference = [v[0] for v in score_units(other, units, 9, 4, 0.7)]
        full = [
            replace(s, values={"advantages": a, "old_logprobs": o, "reference_logprobs": r})
            for s, a, o, r in zip(responses, ADVANTAGES, old, reference, strict=True)
        ]
        batch = collate([[[full[0]], [full[1]]], [[full[2]], [full[3]]]])
        totals = Totals(batch.num_targets, batch.num_sequences)
        loss, metrics = objective(score(ours, batch, 0.7, with_entropy=True), batch, totals)
        inputs = trl_inputs(padded(responses), old, reference)
        expected = trainer._compute_loss(trainer.model, inputs)
        loss.backward()
        expected.backward()
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
        same_gradients(ours, trainer.model)
        return metrics

    return compare


@pytest.mark.parametrize(
    ("loss_type", "average"),
    [("grpo", "responses"), ("dr_grpo", "constant"), ("bnpo", "tokens"), ("dapo", "tokens")],
)
@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_loss_and_gradient_equal_trl_s(
    loss_type: str, average: Any, kl_weight: float, trl_grpo: Any, compared: Callable[..., Any]
) -> None:
    trl_grpo.loss_type, trl_grpo.beta = loss_type, kl_weight
    objective = replace(CLIPPED, average=average, kl_weight=kl_weight)
    metrics = compared(trl_grpo, replace(objective, max_tokens=trl_grpo.max_completion_length))
    theirs = {name: values[-1] for name, values in trl_grpo._metrics["eval"].items()}
    assert 0 < metrics["clip_fraction"] < 1
    assert metrics["entropy"].item() == pytest.approx(theirs["entropy"], rel=1e-5)
    assert metrics["clip_low_fraction"].item() == pytest.approx(theirs["clip_ratio/low_mean"])
    assert metrics["clip_high_fraction"].item() == pytest.approx(theirs["clip_ratio/high_mean"])
    if kl_weight:
        assert metrics["kl"].item() == pytest.approx(theirs["kl"], rel=1e-4)


def test_the_dual_clip_equals_trl_s(trl_grpo: Any, compared: Callable[..., Any]) -> None:
    trl_grpo.args.delta = 1.3
    metrics = compared(trl_grpo, replace(CLIPPED, dual_clip=1.3), drift=1.0)
    assert metrics["clip_dual_fraction"] > 0


@pytest.mark.parametrize("drift", [0.0, 0.1])
def test_a_response_as_one_action_equals_trl_s_rloo(
    drift: float, trl_rloo: Any, compared: Callable[..., Any]
) -> None:
    compared(trl_rloo, replace(CLIPPED, average="responses", ratio_of="response"), drift)


def trl_inputs(
    batch: dict[str, torch.Tensor], old: list[Any], reference: list[Any]
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
        "advantages": torch.tensor(ADVANTAGES),
        "old_per_token_logps": rows(old),
        "old_logps": rows(old).sum(1),
        "ref_per_token_logps": rows(reference),
        "num_items_in_batch": batch["completion_mask"].sum(),
    }
