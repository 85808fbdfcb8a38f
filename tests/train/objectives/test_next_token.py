"""Next-token cross-entropy beside float64, transformers' own loss and TRL's SFT loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from minireason.train.forward import score
from minireason.train.objectives import Totals
from minireason.train.objectives.next_token import NextToken
from minireason.train.packing import TokenSequence, collate


def loss_of(model: Any, rows: list[Any]) -> torch.Tensor:
    batch = collate(rows)
    totals = Totals(batch.num_targets, batch.num_sequences)
    return NextToken()(score(model, batch), batch, totals)[0]


def test_the_loss_is_the_mean_over_the_targets(evaluate: Callable[..., Any]) -> None:
    sequences = [TokenSequence([1, 2, 3], 2), TokenSequence([4, 5], 1)]
    loss, gradient, metrics = evaluate(NextToken(), sequences, [-1.0, -2.0, -6.0])
    assert loss == 3
    assert gradient.tolist() == pytest.approx([-1 / 3] * 3)
    assert metrics == {} and not NextToken.needs_entropy


@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2"])
def test_one_sequence_has_the_loss_and_gradient_that_transformers_gives_its_labels(
    kind: str, make_model: Callable[..., Any], same_gradients: Callable[..., None]
) -> None:
    ours, theirs = make_model(kind), make_model(kind, "sdpa")
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    loss = loss_of(ours, [[[TokenSequence(ids, len(ids) - 1)]]])
    expected = theirs(torch.tensor([ids]), labels=torch.tensor([ids]), use_cache=False).loss
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    same_gradients(ours, theirs)


def test_packed_sequences_have_the_float64_cross_entropy_of_all_their_targets(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    units, plain = make_units(6), make_model("phi3", "sdpa").double()
    loss = loss_of(make_model(), [units[:4], units[4:]])
    total, count = 0.0, 0
    for (sequence,) in units:
        ids = torch.tensor([sequence.ids])
        logits = plain(ids, use_cache=False).logits[0, -sequence.num_targets - 1 : -1]
        total += F.cross_entropy(logits, ids[0, -sequence.num_targets :], reduction="sum").item()
        count += sequence.num_targets
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


def test_response_only_loss_and_gradient_equal_trl_s_sft(
    trl_sft: Any,
    make_model: Callable[..., Any],
    responses: list[TokenSequence],
    padded: Callable[..., dict[str, torch.Tensor]],
    same_gradients: Callable[..., None],
) -> None:
    inputs = padded(responses)
    inputs["labels"] = inputs["input_ids"].masked_fill(inputs.pop("completion_mask") == 0, -100)
    ours = make_model(vocab_size=trl_sft.model.config.vocab_size)
    loss = loss_of(ours, [[[s] for s in responses]])
    expected = trl_sft.compute_loss(trl_sft.model, inputs)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    same_gradients(ours, trl_sft.model)
