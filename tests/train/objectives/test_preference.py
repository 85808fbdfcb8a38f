"""Every preference loss beside TRL's, and the same however its pairs are laid out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch

from minireason.recipe.training import Dpo
from minireason.train.forward import score, score_units
from minireason.train.objectives import Totals
from minireason.train.objectives.preference import LOSSES, Preference
from minireason.train.packing import MicroBatch, TokenSequence, Unit, collate

TRL = {"dpo": "sigmoid", "ipo": "ipo", "dpo_norm": "sigmoid_norm"}
Padded = Callable[..., dict[str, torch.Tensor]]


def referenced(reference: Any, units: Sequence[Unit]) -> list[Unit]:
    """The pairs with the log-probabilities of a reference model."""
    return [
        [
            replace(s, values={"reference_logprobs": v.tolist()})
            for s, v in zip(unit, scored, strict=True)
        ]
        for unit, scored in zip(units, score_units(reference, units, 30, 1), strict=True)
    ]


@pytest.fixture
def pairs(
    responses: list[TokenSequence], make_model: Callable[..., Any], trl_dpo: Any
) -> list[Unit]:
    """Two pairs of the four responses, with TRL's reference model as the reference."""
    reference = make_model(seed=1, vocab_size=trl_dpo.model.config.vocab_size)
    return referenced(reference, [responses[:2], responses[2:]])


def backward(model: Any, objective: Preference, batches: Sequence[MicroBatch]) -> tuple[Any, Any]:
    """Loss and metrics summed over the micro-batches; the gradients stay in the model."""
    totals = Totals(sum(b.num_targets for b in batches), sum(b.num_sequences for b in batches))
    loss, sums = torch.zeros(()), {}
    for batch in batches:
        part, metrics = objective(score(model, batch), batch, totals)
        part.backward()
        loss = loss + part.detach()
        sums = {name: sums.get(name, 0) + value.item() for name, value in metrics.items()}
    return loss, sums


def test_the_recipe_offers_these_losses() -> None:
    assert set(get_args(Dpo.model_fields["loss"].annotation)) == set(LOSSES) == set(TRL)


@pytest.mark.parametrize("num_pairs", [1, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_equal_trl_s(
    name: str,
    num_pairs: int,
    trl_dpo: Any,
    pairs: list[Unit],
    make_model: Callable[..., Any],
    padded: Padded,
    same_gradients: Callable[..., None],
) -> None:
    trl_dpo.loss_types = [TRL[name]]
    ours = make_model(vocab_size=trl_dpo.model.config.vocab_size)
    batch = collate([[unit] for unit in pairs[:num_pairs]])
    loss, metrics = backward(ours, Preference(LOSSES[name], beta=0.3), [batch])
    both = [u[0] for u in pairs[:num_pairs]] + [u[1] for u in pairs[:num_pairs]]
    expected = trl_dpo._compute_loss(trl_dpo.model, padded(both), return_outputs=False)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    same_gradients(ours, trl_dpo.model)
    logged = trl_dpo._metrics["train" if trl_dpo.model.training else "eval"]
    if name == "dpo":  # TRL's rewards are never divided by the length
        assert metrics["margin"] == pytest.approx(logged["rewards/margins"][0], rel=1e-4)
        assert metrics["accuracy"] == logged["rewards/accuracies"][0]


@pytest.mark.parametrize("name", LOSSES)
def test_the_likelihood_term_of_one_pair_equals_trl_s_sft_term(
    name: str,
    trl_dpo: Any,
    pairs: list[Unit],
    make_model: Callable[..., Any],
    padded: Padded,
    same_gradients: Callable[..., None],
) -> None:
    trl_dpo.loss_types, trl_dpo.loss_weights = [TRL[name], "sft"], [1.0, 0.4]
    ours = make_model(vocab_size=trl_dpo.model.config.vocab_size)
    objective = Preference(LOSSES[name], beta=0.3, nll_weight=0.4)
    loss, _ = backward(ours, objective, [collate([[pairs[0]]])])
    expected = trl_dpo._compute_loss(trl_dpo.model, padded(pairs[0]), return_outputs=False)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    same_gradients(ours, trl_dpo.model)


LAYOUTS: dict[str, list[list[list[int]]]] = {  # micro-batches of rows of pairs
    "a pair at a time": [[[0]], [[1]], [[2]], [[3]]],
    "uneven micro-batches": [[[0, 1, 2]], [[3]]],
    "rows padded to the longest": [[[0], [1], [2], [3]]],
    "in another order": [[[3, 1], [0, 2]]],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_layout_of_the_pairs_does_not_matter(
    name: str,
    layout: str,
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
    same_gradients: Callable[..., None],
) -> None:
    units = referenced(make_model(seed=1), make_units(4, pair=True))
    objective = Preference(LOSSES[name], beta=0.5, nll_weight=0.2)
    packed, other = make_model(), make_model()
    loss, metrics = backward(packed, objective, [collate([units])])
    batches = [collate([[units[i] for i in row] for row in rows]) for rows in LAYOUTS[layout]]
    found, found_metrics = backward(other, objective, batches)
    torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-6)
    assert found_metrics == pytest.approx(metrics, rel=1e-4, abs=1e-5)
    same_gradients(other, packed)
