"""Log-probabilities without the logits, beside a float64 log-softmax over all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from minireason.model import logprobs
from minireason.model.logprobs import token_logprobs

NUM_TOKENS, WIDTH, VOCAB = 23, 6, 41


def case(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hidden_ND = torch.randn(NUM_TOKENS, WIDTH, dtype=dtype, requires_grad=True)
    weight_VD = torch.randn(VOCAB, WIDTH, dtype=dtype, requires_grad=True)
    return hidden_ND, weight_VD, torch.randint(0, VOCAB, (NUM_TOKENS,))


def plain(
    hidden_ND: torch.Tensor, weight_VD: torch.Tensor, targets_N: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    all_NV = (hidden_ND.double() @ weight_VD.double().T / temperature).log_softmax(-1)
    entropy_N = -(all_NV.exp() * all_NV).sum(-1)
    return all_NV.gather(-1, targets_N[:, None])[:, 0], entropy_N


TEMPERATURES = pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
CHUNKS = pytest.mark.parametrize("tokens_per_chunk", [0, 1, 5, NUM_TOKENS, 1000])


@TEMPERATURES
def test_values_and_entropy_equal_a_float64_log_softmax(temperature: float) -> None:
    ours, entropy = token_logprobs(*case(), temperature)
    expected, expected_entropy = plain(*case(), temperature)
    torch.testing.assert_close(ours.double(), expected, atol=1e-5, rtol=2e-6)
    torch.testing.assert_close(entropy.double(), expected_entropy, atol=2e-5, rtol=2e-6)


@TEMPERATURES
@CHUNKS
def test_gradients_equal_those_of_a_float64_log_softmax_whatever_the_chunk_size(
    temperature: float, tokens_per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logprobs, "LOGITS_PER_CHUNK", tokens_per_chunk * VOCAB)
    hidden_ND, weight_VD, targets_N = case()
    upstream_N = torch.randn(NUM_TOKENS)
    ours, _ = token_logprobs(hidden_ND, weight_VD, targets_N, temperature)
    expected, _ = plain(hidden_ND, weight_VD, targets_N, temperature)
    found = torch.autograd.grad(ours, (hidden_ND, weight_VD), upstream_N)
    right = torch.autograd.grad(expected, (hidden_ND, weight_VD), upstream_N.double())
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other, atol=5e-6, rtol=5e-6)


@CHUNKS
def test_the_chunk_size_does_not_change_the_values(
    tokens_per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = token_logprobs(*case(), 0.9)
    monkeypatch.setattr(logprobs, "LOGITS_PER_CHUNK", tokens_per_chunk * VOCAB)
    for one, other in zip(token_logprobs(*case(), 0.9), whole, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=2e-6)


def test_a_step_along_the_gradient_changes_the_value_as_predicted() -> None:
    hidden_ND, weight_VD, targets_N = case()
    (gradient,) = torch.autograd.grad(
        token_logprobs(hidden_ND, weight_VD, targets_N)[0].sum(), weight_VD
    )
    direction = torch.randn_like(weight_VD)
    ends = [
        token_logprobs(hidden_ND, weight_VD + sign * 1e-2 * direction, targets_N)[0].double().sum()
        for sign in (1, -1)
    ]
    assert (ends[0] - ends[1]).item() / 2e-2 == pytest.approx(
        (gradient * direction).sum().item(), rel=1e-3
    )


def test_only_the_log_probability_carries_a_gradient() -> None:
    values, entropy = token_logprobs(*case())
    assert values.requires_grad and not entropy.requires_grad


def test_large_logits_neither_overflow_nor_vanish() -> None:
    hidden_ND, weight_VD, targets_N = case()
    values, entropy = token_logprobs(hidden_ND * 1e3, weight_VD, targets_N)
    expected, _ = plain(hidden_ND * 1e3, weight_VD, targets_N, 1.0)
    torch.testing.assert_close(values.double(), expected, atol=1e-2, rtol=1e-5)
    assert entropy.isfinite().all()


def test_bfloat16_is_accepted_and_answered_in_float32() -> None:
    hidden_ND, weight_VD, targets_N = case(torch.bfloat16)
    values, entropy = token_logprobs(hidden_ND, weight_VD, targets_N, 0.8)
    values.sum().backward()
    expected, _ = plain(hidden_ND, weight_VD, targets_N, 0.8)
    assert values.dtype == entropy.dtype == torch.float32
    assert hidden_ND.grad.dtype == weight_VD.grad.dtype == torch.bfloat16
    torch.testing.assert_close(values.double(), expected, atol=0.06, rtol=0.02)


def test_no_tokens_give_no_values() -> None:
    hidden_ND, weight_VD, targets_N = case()
    values, _ = token_logprobs(hidden_ND[:0], weight_VD, targets_N[:0])
    values.sum().backward()
    assert len(values) == 0 and not weight_VD.grad.any()


class LargestTensor(TorchDispatchMode):
    """The number of elements of the largest tensor any operator returned."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


def test_no_more_than_a_chunk_of_logits_exists_in_either_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = VOCAB * WIDTH  # six tokens' logits, and just the size of the weight
    monkeypatch.setattr(logprobs, "LOGITS_PER_CHUNK", limit)
    with LargestTensor() as seen:
        values, _ = token_logprobs(*case())
        values.sum().backward()
    assert seen.largest == limit < NUM_TOKENS * VOCAB


def test_the_watch_would_see_full_logits() -> None:
    with LargestTensor() as seen:
        plain(*case(), 1.0)
    assert seen.largest == NUM_TOKENS * VOCAB
