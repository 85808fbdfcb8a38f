"""Packed rows on the way through a model: what is next to a sequence has no effect on it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM

from minireason.model.attention import ATTENTION
from minireason.model.packed import Packed, hidden_states, keeps_apart
from minireason.model.precision import compute_in_bfloat16

LENGTHS = ((5, 1, 7), (4, 9))  # two rows of 13 with two tokens of padding behind


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=97,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        initializer_range=0.3,
        sliding_window=6,
        pad_token_id=0,
        attn_implementation=ATTENTION,
    )
    return Phi3ForCausalLM(config).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    ids_BT = torch.randint(1, 97, (2, 15))
    positions_BT, segments_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT)
    number = 0
    for row, lengths in enumerate(LENGTHS):
        start = 0
        for length in lengths:
            number += 1
            positions_BT[row, start : start + length] = torch.arange(length)
            segments_BT[row, start : start + length] = number
            start += length
    return ids_BT, positions_BT, segments_BT


def all_hidden(model: Any, ids_BT: torch.Tensor) -> torch.Tensor:
    _, positions_BT, segments_BT = batch()
    places = torch.nonzero(segments_BT > 0, as_tuple=True)
    return hidden_states(model, ids_BT, positions_BT, segments_BT, *places)


def test_a_changed_sequence_changes_no_other_by_a_single_bit(model: Any) -> None:
    ids_BT, _, segments_BT = batch()
    before = all_hidden(model, ids_BT)
    for changed in segments_BT.unique()[1:]:
        inside = segments_BT == changed
        other_ids = torch.where(inside, ids_BT % 96 + 1, ids_BT)
        after = all_hidden(model, other_ids)
        is_inside = inside[segments_BT > 0]
        assert torch.equal(before[~is_inside], after[~is_inside])
        assert not torch.isclose(before[is_inside], after[is_inside]).all(-1).any()


def test_what_stands_in_the_padding_has_no_effect(model: Any) -> None:
    ids_BT, _, segments_BT = batch()
    other = torch.where(segments_BT == 0, 0, ids_BT)
    assert torch.equal(all_hidden(model, ids_BT), all_hidden(model, other))


def test_packed_rows_equal_the_same_rows_under_an_explicit_mask(model: Any) -> None:
    ids_BT, positions_BT, segments_BT = batch()
    mask = (segments_BT[:, :, None] == segments_BT[:, None, :]).tril()[:, None]
    masked = model.base_model(
        input_ids=ids_BT, position_ids=positions_BT, attention_mask=mask, use_cache=False
    ).last_hidden_state[segments_BT > 0]
    torch.testing.assert_close(all_hidden(model, ids_BT), masked, atol=1e-5, rtol=1e-5)


def test_places_are_returned_in_the_order_asked_for(model: Any) -> None:
    ids_BT, positions_BT, segments_BT = batch()
    rows, columns = torch.tensor([1, 0, 0]), torch.tensor([12, 0, 6])
    some = hidden_states(model, ids_BT, positions_BT, segments_BT, rows, columns)
    assert torch.equal(some, all_hidden(model, ids_BT)[[13 + 12, 0, 6]])


def test_rows_that_number_their_segments_alike_stay_apart() -> None:
    packed = Packed.of(torch.tensor([[1, 1, 2], [2, 2, 0], [2, 1, 1]]))
    assert packed.lengths == (2, 1, 2, 1, 2)
    assert packed.starts.tolist() == [0, 2, 3, 5, 6, 8] and packed.starts.dtype == torch.int32
    assert packed.longest == 2 and packed.num_tokens == 8


def test_gradient_checkpointing_hands_the_boundaries_on(model: Any) -> None:
    ids_BT = batch()[0]
    plain = copy.deepcopy(model)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    for each in (model.train(), plain.train()):
        all_hidden(each, ids_BT).square().sum().backward()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert (one.grad is None and other.grad is None) or torch.equal(one.grad, other.grad)


def test_bfloat16_is_near_float32(model: Any) -> None:
    exact = all_hidden(model, batch()[0])
    compute_in_bfloat16(model)
    rounded = all_hidden(model, batch()[0])
    assert 1e-4 < (rounded - exact).norm() / exact.norm() < 0.05


def test_a_model_wrapped_by_peft_is_scored_with_its_adapter(model: Any) -> None:
    peft = pytest.importorskip("peft")
    ids_BT = batch()[0]
    plain = all_hidden(model, ids_BT)
    lora = peft.LoraConfig(r=2, target_modules=["qkv_proj"], init_lora_weights=False)
    wrapped = peft.get_peft_model(model, lora).eval()
    adapted = all_hidden(wrapped, ids_BT)
    assert not torch.allclose(adapted, plain)
    merged = wrapped.merge_and_unload()
    torch.testing.assert_close(adapted, all_hidden(merged, ids_BT), atol=1e-4, rtol=1e-4)


def test_a_model_whose_layers_carry_a_state_over_is_found_out(model: Any) -> None:
    assert keeps_apart(model)
    layer = model.model.layers[0].mlp
    layer.register_forward_hook(lambda _, __, out: out + 0.1 * out.cumsum(1))
    assert not keeps_apart(model)
