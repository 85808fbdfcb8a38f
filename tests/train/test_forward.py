"""Packed rows score exactly as stock transformers scores each sequence alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from minireason.train.forward import ValueScorer, score, score_units
from minireason.train.packing import TokenSequence, Unit, collate, pack, unit_length

KINDS = pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2"])


def alone(model: Any, sequence: TokenSequence, temperature: float = 1.0) -> torch.Tensor:
    """Float64 log-probabilities of the targets, from a plain forward of one sequence."""
    ids = torch.tensor([list(sequence.ids)])
    logits = model(ids, use_cache=False).logits[0, :-1].double() / temperature
    logprobs = logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    return logprobs[-sequence.num_targets :]


def sequences(units: list[Unit]) -> list[TokenSequence]:
    return [sequence for unit in units for sequence in unit]


def rows_of(units: list[Unit], capacity: int) -> list[list[Unit]]:
    return [[units[i] for i in row] for row in pack([unit_length(u) for u in units], capacity)]


@KINDS
@pytest.mark.parametrize("stock", ["sdpa", "eager"])
def test_packed_log_probabilities_equal_those_of_stock_models_apart(
    kind: str, stock: str, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    rows = rows_of(make_units(9, pair=True), 48)
    assert len(rows) < 9
    ours = score(make_model(kind), collate(rows)).logprobs_N.double()
    apart = make_model(kind, stock)
    expected = torch.cat([alone(apart, s) for row in rows for s in sequences(row)])
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-5)


@KINDS
def test_packed_gradients_equal_those_of_stock_models_apart(
    kind: str, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    rows = rows_of(make_units(8), 40)
    packed, apart = make_model(kind), make_model(kind, "sdpa")
    scores = score(packed, collate(rows), temperature=0.7)
    weights_N = torch.linspace(-1, 2, len(scores.logprobs_N))
    (scores.logprobs_N * weights_N).sum().backward()
    expected = torch.cat([alone(apart, s, 0.7) for row in rows for s in sequences(row)])
    (expected * weights_N).sum().backward()
    for (name, one), other in zip(packed.named_parameters(), apart.parameters(), strict=True):
        scale = other.grad.abs().max().item()
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5 * scale, rtol=1e-4, msg=name)


@KINDS
def test_a_sequence_does_not_feel_its_neighbours_at_all(
    kind: str, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    model = make_model(kind)
    units = make_units(5)
    batch = collate([units])
    for changed in range(5):
        ids = batch.ids_BT.clone()
        inside = batch.segments_BT == changed + 1
        ids[inside] = (ids[inside] + 31) % 96 + 1
        other = batch.sequence_N != changed
        before = score(model, batch).logprobs_N
        after = score(model, dataclasses.replace(batch, ids_BT=ids)).logprobs_N
        assert torch.equal(before[other], after[other])
        assert not torch.equal(before[~other], after[~other])


def test_a_later_token_does_not_change_an_earlier_one(make_model: Callable[..., Any]) -> None:
    model = make_model()
    short, long = (TokenSequence([3, 1, 4, 1, 5, last], 5) for last in (9, 2))
    one, other = (score(model, collate([[[s]]])).logprobs_N for s in (short, long))
    assert torch.equal(one[:4], other[:4]) and one[4] != other[4]


def test_padding_does_not_matter(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    model = make_model()
    short, long = [[TokenSequence([3, 1, 4, 1, 5], 3)]], make_units(4)
    padded = score(model, collate([short, long])).logprobs_N[:3]
    torch.testing.assert_close(
        padded, score(model, collate([short])).logprobs_N, atol=1e-5, rtol=1e-5
    )


def test_the_order_of_rows_and_of_units_in_a_row_does_not_matter(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    model = make_model()
    rows = rows_of(make_units(8), 40)
    turned = [row[::-1] for row in rows[::-1]]
    pieces = [
        torch.split(
            score(model, collate(r)).logprobs_N, [s.num_targets for u in r for s in sequences(u)]
        )
        for r in (rows, turned)
    ]
    for one, other in zip(pieces[0], pieces[1][::-1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_entropy_is_that_of_the_distribution_at_the_temperature(
    make_model: Callable[..., Any],
) -> None:
    sequence = TokenSequence([3, 1, 4, 1, 5], 2)
    entropy = score(make_model(), collate([[[sequence]]]), 0.6, with_entropy=True).entropy_N
    logits = make_model("phi3", "sdpa")(torch.tensor([sequence.ids])).logits[0, 2:4] / 0.6
    expected = torch.distributions.Categorical(logits=logits.double()).entropy()
    torch.testing.assert_close(entropy.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("micro_batch_size", [1, 2, 5])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_units_scored_without_gradients_come_back_in_their_order(
    micro_batch_size: int,
    temperature: float,
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
) -> None:
    units = make_units(7, pair=True)
    scored = score_units(make_model(), units, 30, micro_batch_size, temperature)
    apart = make_model("phi3", "sdpa")
    for unit, found in zip(units, scored, strict=True):
        for sequence, logprobs in zip(unit, found, strict=True):
            expected = alone(apart, sequence, temperature).detach().numpy()
            np.testing.assert_allclose(logprobs, expected, atol=2e-5, rtol=1e-5)


def valued(model: Any) -> ValueScorer:
    """A critic whose head has seeded random weights."""
    scorer = ValueScorer(model)
    generator = torch.Generator().manual_seed(0)
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        head.copy_(torch.randn(head.shape, generator=generator))
    return scorer


def values_of(scorer: ValueScorer, rows: list[list[Unit]]) -> torch.Tensor:
    return scorer(collate(rows), 1.0, False)[2]


@KINDS
def test_packed_values_are_of_stock_hidden_states_before_each_target_alone(
    kind: str, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    rows = rows_of(make_units(9), 48)
    scorer, apart = valued(make_model(kind)), make_model(kind, "sdpa")
    head = scorer.model.get_output_embeddings().weight[0].double()

    def alone(sequence: TokenSequence) -> torch.Tensor:
        ids = torch.tensor([list(sequence.ids)])
        hidden = apart.model(ids, use_cache=False).last_hidden_state[0].double()
        return hidden[-sequence.num_targets - 1 : -1] @ head

    expected = torch.cat([alone(s) for row in rows for s in sequences(row)])
    torch.testing.assert_close(values_of(scorer, rows).double(), expected, atol=2e-5, rtol=1e-5)


def test_a_value_knows_neither_its_token_nor_its_neighbours(
    make_model: Callable[..., Any],
) -> None:
    scorer = valued(make_model())
    one, other = (TokenSequence([3, 1, 4, 1, 5, last], 5) for last in (9, 2))
    found = [values_of(scorer, [[[one], [s]]]) for s in (one, other)]
    assert torch.equal(found[0], found[1])
    changed = TokenSequence([3, 1, 4, 8, 5, 9], 5)
    before, after = (values_of(scorer, [[[s], [one]]]) for s in (one, changed))
    assert torch.equal(before[5:], after[5:]) and torch.equal(before[:3], after[:3])
    assert (before[3:5] != after[3:5]).all()


@pytest.mark.parametrize("tied", [True, False])
def test_a_new_value_head_says_0_and_learns_while_the_embedding_stays_its_own(
    tied: bool, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    model = make_model(tie_word_embeddings=tied)
    embedding = model.get_input_embeddings().weight
    before = embedding.detach().clone()
    scorer = ValueScorer(model)
    values = values_of(scorer, [make_units(4)])
    assert torch.equal(values, torch.zeros_like(values)) and len(values) > 4
    values.sum().backward()
    assert model.get_output_embeddings().weight.grad.abs().max() > 0
    assert torch.equal(embedding, before) and embedding.shape[0] == 97
