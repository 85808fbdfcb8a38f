"""The shared attention beside a softmax written out, and how transformers hands it the mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from minireason.model import scores
from minireason.model.attention import ATTENTION, attend
from minireason.model.packed import Packed

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
    assert torch.equal(scores.repeat_heads(states, 2), states.repeat_interleave(2, dim=1))


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

    monkeypatch.setattr(scores.F, "scaled_dot_product_attention", spy)
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


@pytest.mark.parametrize("softcap", [None, 0.7])
@pytest.mark.parametrize("query_length", [1, 5])
def test_a_window_leaves_each_query_the_newest_of_the_keys_it_may_see(
    query_length: int, softcap: float | None
) -> None:
    query, key, value, _ = case(6, 2, query_length)
    ends = torch.tensor([7, 6, 5])[:, None] - query_length + torch.arange(query_length)
    place = torch.arange(7)
    is_seen = (place <= ends[..., None]) & (place >= torch.tensor([2, 0, 1])[:, None, None])
    is_seen |= place == ends[..., None]
    inside = is_seen & (place > ends[..., None] - 3)
    given = {"scaling": 0.3, "softcap": softcap}
    mine, _ = attend(
        torch.nn.Module(), query, key, value, is_seen[:, None], sliding_window=3, **given
    )
    explicit, _ = attend(torch.nn.Module(), query, key, value, inside[:, None], **given)
    torch.testing.assert_close(mine, explicit)


def test_a_cap_bends_the_scores_before_the_softmax() -> None:
    query, key, value, mask = case(4, 4, 5)
    out, _ = attend(torch.nn.Module(), query, key, value, mask, scaling=0.9, softcap=0.5)
    scores = 0.5 * torch.tanh(query @ key.transpose(2, 3) * 0.9 / 0.5)
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    torch.testing.assert_close(out, (weights @ value).transpose(1, 2))


def test_rows_may_read_as_far_as_their_span_and_rows_without_keys_give_zeros() -> None:
    model, generator = models()[0], torch.Generator().manual_seed(0)
    query = torch.randn(6, 4, 1, 8, generator=generator)
    key, value = torch.randn(2, 5, 2, 64, 8, generator=generator)
    mask = torch.arange(64) < torch.tensor([60, 40, 9, 32, 1])[:, None]
    mask = mask[:, None, None]
    whole, _ = attend(model, query[:5], key, value, mask)
    spans = [(0, 2, 64), (2, 5, 32)]
    key[2:, :, 32:] = torch.nan  # not even read
    found, _ = attend(model, query, key, value, mask, spans=spans)
    torch.testing.assert_close(found[:5], whole)
    assert not found[5].any()


def test_what_attend_does_not_know_is_refused_unless_it_has_no_effect() -> None:
    states = case(6, 2, 5)
    with pytest.raises(ValueError, match="asks for position_bias"):
        attend(torch.nn.Module(), *states, position_bias=torch.zeros(1))
    with pytest.raises(ValueError, match="looks ahead"):
        attend(torch.nn.Module(), *states, is_causal=False)
    attend(torch.nn.Module(), *states, position_bias=None, use_cache=True, is_causal=True)


def test_packed_sequences_with_a_mask_or_of_another_length_are_refused() -> None:
    query, key, value, mask = (tensor[:1] for tensor in case(6, 2, 7))
    packed = Packed.of(torch.tensor([[1, 1, 1, 2, 2, 2, 2]]))
    out, _ = attend(torch.nn.Module(), query, key, value, None, packed=packed)
    assert out.shape == (1, 7, 6, 8)
    with pytest.raises(ValueError, match="without mask"):
        attend(torch.nn.Module(), query, key, value, mask, packed=packed)
    with pytest.raises(ValueError, match=r"7 packed tokens, keys of shape \[1, 2, 6, 8\]"):
        attend(torch.nn.Module(), query, key[:, :, :6], value[:, :, :6], None, packed=packed)
