"""The shared attention beside a softmax written out, and how transformers hands it the mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from minireason.model import attention
from minireason.model.attention import ATTENTION, attend

SHAPE: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}


def written_out(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attention one head at a time; query head h reads key head h // group."""
    heads = []
    for head in range(query.shape[1]):
        shared = head // (query.shape[1] // key.shape[1])
        scores = query[:, head] @ key[:, shared].transpose(1, 2) * scale
        weights = scores.masked_fill(~mask[:, 0], float("-inf")).softmax(-1)
        heads.append(weights @ value[:, shared])
    return torch.stack(heads, dim=2)


def case(
    query_heads: int, key_heads: int, query_length: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    query = torch.randn(3, query_heads, query_length, 8, requires_grad=True)
    key = torch.randn(3, key_heads, 7, 8, requires_grad=True)
    value = torch.randn(3, key_heads, 7, 8, requires_grad=True)
    mask = torch.rand(3, 1, query_length, 7) < 0.5
    mask[..., 0] = True
    return query, key, value, mask


SHAPES = pytest.mark.parametrize(
    ("query_heads", "key_heads", "query_length"),
    [(6, 2, 1), (6, 2, 5), (3, 1, 1), (3, 1, 4), (4, 4, 1), (4, 4, 5)],
)


@SHAPES
def test_it_equals_attention_written_out(
    query_heads: int, key_heads: int, query_length: int
) -> None:
    query, key, value, mask = case(query_heads, key_heads, query_length)
    out, _ = attend(torch.nn.Module(), query, key, value, mask, scaling=0.3)
    torch.testing.assert_close(out, written_out(query, key, value, mask, 0.3))


@SHAPES
def test_its_gradients_equal_those_of_attention_written_out(
    query_heads: int, key_heads: int, query_length: int
) -> None:
    query, key, value, mask = case(query_heads, key_heads, query_length)
    out, _ = attend(torch.nn.Module(), query, key, value, mask, scaling=0.3)
    expected = written_out(query, key, value, mask, 0.3)
    inputs = (query, key, value)
    for ours, theirs in zip(
        torch.autograd.grad(out.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_repeated_heads_stay_beside_their_group() -> None:
    states = torch.randn(2, 3, 4, 5)
    assert torch.equal(attention._repeat(states, 2), states.repeat_interleave(2, dim=1))


@pytest.mark.parametrize("query_length", [1, 3])
def test_a_masked_position_has_no_influence(query_length: int) -> None:
    query, key, value, mask = case(6, 2, query_length)
    mask[..., 4] = False
    before, _ = attend(torch.nn.Module(), query, key, value, mask)
    with torch.no_grad():
        key[:, :, 4] += 100
        value[:, :, 4] -= 100
    after, _ = attend(torch.nn.Module(), query, key, value, mask)
    assert torch.equal(before, after)


@pytest.mark.parametrize("query_length", [1, 3])
def test_dropout_is_applied_whatever_the_number_of_queries(query_length: int) -> None:
    query, key, value, mask = case(6, 2, query_length)
    kept, _ = attend(torch.nn.Module(), query, key, value, mask)
    dropped, _ = attend(torch.nn.Module(), query, key, value, mask, dropout=0.5)
    assert not torch.equal(kept, dropped)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (None, "given None"),
        (torch.ones(3, 7, dtype=torch.bool), "bool of shape .3, 7."),
        (torch.zeros(3, 1, 5, 7), "float32 of shape .3, 1, 5, 7."),
    ],
)
def test_anything_but_a_4d_boolean_mask_is_an_error(mask: torch.Tensor | None, said: str) -> None:
    query, key, value, _ = case(6, 2, 5)
    with pytest.raises(ValueError, match=said):
        attend(torch.nn.Module(), query, key, value, mask)


def models() -> list[Any]:
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    torch.manual_seed(0)
    phi3 = Phi3Config(**SHAPE, rope_parameters=rope, attn_implementation=ATTENTION)
    llama = LlamaConfig(**SHAPE, attn_implementation=ATTENTION)
    return [Phi3ForCausalLM(phi3).eval(), LlamaForCausalLM(llama).eval()]


@pytest.mark.parametrize("model", models(), ids=["phi3", "llama"])
def test_transformers_hands_a_4d_mask_through_unchanged(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    sdpa = torch.nn.functional.scaled_dot_product_attention

    def spy(query: Any, key: Any, value: Any, mask: torch.Tensor, **options: Any) -> torch.Tensor:
        seen.append(mask)
        return sdpa(query, key, value, mask, **options)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", spy)
    mask = torch.rand(2, 1, 5, 5) < 0.7
    mask |= torch.eye(5, dtype=torch.bool)
    model(torch.randint(1, 61, (2, 5)), attention_mask=mask, use_cache=False)
    assert len(seen) == 2 and all(torch.equal(one, mask) for one in seen)


@pytest.mark.parametrize("model", models(), ids=["phi3", "llama"])
@pytest.mark.parametrize("mask", [None, torch.ones(2, 5, dtype=torch.int64)])
def test_a_model_without_a_4d_mask_is_refused_rather_than_leaking(
    model: Any, mask: torch.Tensor | None
) -> None:
    with pytest.raises(ValueError, match="boolean attention mask"):
        model(torch.randint(1, 61, (2, 5)), attention_mask=mask, use_cache=False)
