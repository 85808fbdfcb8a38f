"""Log-probabilities without the logits, beside a float64 log-softmax over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.utils._python_dispatch import TorchDispatchMode

from minireason.model import logprobs
from minireason.model.logprobs import PLAIN, HeadForm, token_logprobs

NUM_TOKENS, WIDTH, VOCAB = 23, 6, 41


def case(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hidden_ND = torch.randn(NUM_TOKENS, WIDTH, dtype=dtype, requires_grad=True)
    weight_VD = torch.randn(VOCAB, WIDTH, dtype=dtype, requires_grad=True)
    return hidden_ND, weight_VD, torch.randint(0, VOCAB, (NUM_TOKENS,))


def plain(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets_N: torch.Tensor,
    temperature: float = 1.0,
    form: HeadForm = PLAIN,
) -> tuple[torch.Tensor, torch.Tensor]:
    logits_NV = form.scale * (hidden_ND.double() @ weight_VD.double().T)
    if form.softcap:
        logits_NV = form.softcap * torch.tanh(logits_NV / form.softcap)
    all_NV = (logits_NV / temperature).log_softmax(-1)
    entropy_N = -(all_NV.exp() * all_NV).sum(-1)
    return all_NV.gather(-1, targets_N[:, None])[:, 0], entropy_N


def with_columns_per_block(monkeypatch: pytest.MonkeyPatch, num_columns: int) -> None:
    monkeypatch.setattr(logprobs, "LOGITS_PER_BLOCK", num_columns * NUM_TOKENS)


TEMPERATURES = pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
# 8 and 20 leave a block of one column at the end; of 41 and more, one block holds them all
BLOCKS = pytest.mark.parametrize("columns_per_block", [0, 1, 8, 20, 40, VOCAB, 1000])
FORMS = pytest.mark.parametrize(
    "form",
    [PLAIN, HeadForm(scale=0.25), HeadForm(softcap=2.0), HeadForm(scale=1.5, softcap=30.0)],
    ids=["plain", "scaled", "capped", "scaled and capped"],
)


@FORMS
@TEMPERATURES
@BLOCKS
def test_values_and_entropy_equal_a_float64_log_softmax(
    form: HeadForm, temperature: float, columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    ours, entropy = token_logprobs(*case(), temperature, form=form, with_entropy=True)
    expected, expected_entropy = plain(*case(), temperature, form)
    torch.testing.assert_close(ours.double(), expected, atol=5e-6, rtol=2e-6)
    torch.testing.assert_close(entropy.double(), expected_entropy, atol=5e-6, rtol=2e-6)


@FORMS
@TEMPERATURES
@BLOCKS
def test_gradients_equal_those_of_a_float64_log_softmax(
    form: HeadForm, temperature: float, columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    hidden_ND, weight_VD, targets_N = case()
    upstream_N = torch.randn(NUM_TOKENS)
    ours, _ = token_logprobs(hidden_ND, weight_VD, targets_N, temperature, form=form)
    expected, _ = plain(hidden_ND, weight_VD, targets_N, temperature, form)
    found = torch.autograd.grad(ours, (hidden_ND, weight_VD), upstream_N)
    right = torch.autograd.grad(expected, (hidden_ND, weight_VD), upstream_N.double())
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one, other, atol=5e-6, rtol=5e-6)


@FORMS
@pytest.mark.parametrize("columns_per_block", [8, 1000])
def test_float64_passes_gradcheck(
    form: HeadForm, columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    hidden_ND, weight_VD, targets_N = case(torch.float64)
    assert torch.autograd.gradcheck(
        lambda hidden, weight: token_logprobs(hidden, weight, targets_N, 0.8, form=form)[0],
        (hidden_ND, weight_VD),
    )


@pytest.mark.parametrize("columns_per_block", [8, 1000])
def test_a_second_backward_pass_gives_the_same_gradient(
    columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    hidden_ND, weight_VD, targets_N = case()
    total = token_logprobs(hidden_ND, weight_VD, targets_N)[0].sum()
    first = torch.autograd.grad(total, (hidden_ND, weight_VD), retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(total, (hidden_ND, weight_VD)), strict=True):
        assert torch.equal(one, other)


def test_a_tied_weight_gets_the_gradient_of_both_its_uses() -> None:
    _, weight_VD, targets_N = case()
    inputs_N = targets_N.roll(1)
    ours, _ = token_logprobs(weight_VD[inputs_N].tanh(), weight_VD, targets_N)
    expected, _ = plain(weight_VD[inputs_N].tanh(), weight_VD, targets_N)
    (found,) = torch.autograd.grad(ours.sum(), weight_VD)
    (right,) = torch.autograd.grad(expected.sum(), weight_VD)
    torch.testing.assert_close(found, right, atol=5e-6, rtol=5e-6)


@pytest.mark.parametrize("frozen", [0, 1], ids=["hidden", "weight"])
@pytest.mark.parametrize("columns_per_block", [8, 1000])
def test_what_is_frozen_gets_no_gradient_and_the_other_the_same(
    frozen: int, columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    *pair, targets_N = case()
    right = torch.autograd.grad(token_logprobs(*pair, targets_N)[0].sum(), pair[1 - frozen])
    pair[frozen].requires_grad_(False)
    token_logprobs(*pair, targets_N)[0].sum().backward()
    assert pair[frozen].grad is None and torch.equal(pair[1 - frozen].grad, right[0])


def test_entropy_is_computed_only_when_asked_for() -> None:
    assert token_logprobs(*case())[1] is None


def test_only_the_log_probability_carries_a_gradient() -> None:
    values, entropy = token_logprobs(*case(), with_entropy=True)
    assert values.requires_grad and not entropy.requires_grad


@BLOCKS
def test_large_logits_neither_overflow_nor_vanish(
    columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    hidden_ND, weight_VD, targets_N = case()
    values, entropy = token_logprobs(hidden_ND * 1e3, weight_VD, targets_N, with_entropy=True)
    expected, expected_entropy = plain(hidden_ND * 1e3, weight_VD, targets_N)
    torch.testing.assert_close(values.double(), expected, atol=1e-2, rtol=1e-5)
    torch.testing.assert_close(entropy.double(), expected_entropy, atol=1e-2, rtol=1e-3)


def test_no_log_probability_is_above_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    with_columns_per_block(monkeypatch, 8)
    hidden_ND, weight_VD, _ = case()
    likeliest_N = (hidden_ND @ weight_VD.T).argmax(1)
    assert (token_logprobs(hidden_ND * 100, weight_VD, likeliest_N)[0] <= 0).all()


@pytest.mark.parametrize("columns_per_block", [8, 1000])
def test_bfloat16_is_accepted_and_answered_in_float32(
    columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, columns_per_block)
    hidden_ND, weight_VD, targets_N = case(torch.bfloat16)
    values, entropy = token_logprobs(hidden_ND, weight_VD, targets_N, 0.8, with_entropy=True)
    expected, _ = plain(hidden_ND, weight_VD, targets_N, 0.8)
    assert values.dtype == entropy.dtype == torch.float32
    # the numbers given are bfloat16's, nothing is rounded after
    torch.testing.assert_close(values.double(), expected, atol=5e-6, rtol=2e-6)
    found = torch.autograd.grad(values.sum(), (hidden_ND, weight_VD))
    right = torch.autograd.grad(expected.sum(), (hidden_ND, weight_VD))
    for one, other in zip(found, right, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0.01)


@pytest.mark.parametrize("hidden_dtype", [torch.bfloat16, torch.float32])
def test_autocast_changes_no_value_on_the_cpu_and_each_input_keeps_its_dtype(
    hidden_dtype: torch.dtype,
) -> None:
    hidden_ND, weight_VD, targets_N = case()
    hidden_ND = hidden_ND.detach().to(hidden_dtype).requires_grad_()
    expected, _ = plain(hidden_ND, weight_VD, targets_N)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values, _ = token_logprobs(hidden_ND, weight_VD, targets_N)
        values.sum().backward()
    torch.testing.assert_close(values.double(), expected, atol=5e-6, rtol=2e-6)
    assert (hidden_ND.grad.dtype, weight_VD.grad.dtype) == (hidden_dtype, torch.float32)


@pytest.mark.parametrize("columns_per_block", [8, 1000])
def test_no_tokens_give_no_values_and_a_gradient_of_zero(
    columns_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logprobs, "LOGITS_PER_BLOCK", columns_per_block)
    hidden_ND, weight_VD, targets_N = case()
    values, entropy = token_logprobs(hidden_ND[:0], weight_VD, targets_N[:0], with_entropy=True)
    values.sum().backward()
    assert values.shape == entropy.shape == (0,)
    assert weight_VD.grad.shape == weight_VD.shape and not weight_VD.grad.any()
    assert not hidden_ND.grad.any()


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_a_weight_that_is_still_sharded_is_an_error_and_the_gathered_one_is_not(
    mesh: DeviceMesh,
) -> None:
    hidden_ND, weight_VD, targets_N = case()
    sharded = distribute_tensor(weight_VD.detach(), mesh, [Shard(0)])
    with pytest.raises(TypeError, match=r"Shard\(dim=0\).*full_tensor"):
        token_logprobs(hidden_ND, sharded, targets_N)
    values, _ = token_logprobs(hidden_ND, sharded.full_tensor(), targets_N)
    torch.testing.assert_close(values.double(), plain(*case())[0], atol=5e-6, rtol=2e-6)


class LargestTensor(TorchDispatchMode):
    """The number of elements of the largest tensor any operator returned."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


@pytest.mark.parametrize("form", [PLAIN, HeadForm(softcap=2.0)], ids=["plain", "capped"])
def test_no_more_than_a_block_of_logits_exists_in_either_pass(
    form: HeadForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_columns_per_block(monkeypatch, 11)
    limit = max(11 * NUM_TOKENS, VOCAB * WIDTH)  # a block, or the gradient of the weight
    with LargestTensor() as seen:
        values, _ = token_logprobs(*case(), form=form, with_entropy=True)
        values.sum().backward()
    assert 0 < seen.largest <= limit < NUM_TOKENS * VOCAB


def test_the_watch_would_see_full_logits() -> None:
    with LargestTensor() as seen:
        plain(*case())
    assert seen.largest == NUM_TOKENS * VOCAB
