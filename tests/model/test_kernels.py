"""The kernels for packed sequences beside attention written out over each sequence.

Those of CUDA are called through stand-ins that do slowly what their documentation says.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from minireason.model import kernels
from minireason.model.attention import attend
from minireason.model.kernels import Kernel, Slots
from minireason.model.packed import Packed
from minireason.model.scores import ScoreForm, dense, newest

LENGTHS = (5, 1, 9, 3)
FORMS = pytest.mark.parametrize(
    "form",
    [
        ScoreForm(),
        ScoreForm(scale=0.3),
        ScoreForm(window=4),
        ScoreForm(scale=0.9, window=1),
        ScoreForm(softcap=0.5),
        ScoreForm(scale=0.7, window=3, softcap=2.0),
    ],
    ids=str,
)


def packed() -> Packed:
    segments = [number + 1 for number, length in enumerate(LENGTHS) for _ in range(length)]
    return Packed.of(torch.tensor([[*segments, 0]]))


def case(grouped: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    query = torch.randn(1, 2 * grouped, sum(LENGTHS), 16, requires_grad=True)
    key = torch.randn(1, 2, sum(LENGTHS), 16, requires_grad=True)
    value = torch.randn(1, 2, sum(LENGTHS), 16, requires_grad=True)
    return query, key, value


def one_head(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    left: int,
) -> torch.Tensor:
    """Every query on its own: it sees `left` keys before its own (-1: all)."""
    out = []
    for i in range(len(query)):
        first = 0 if left < 0 else max(0, i - left)
        scores = key[first : i + 1] @ query[i] * scale
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        out.append(scores.softmax(0) @ value[first : i + 1])
    return torch.stack(out)


def varlen_written_out(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    form: ScoreForm,
    left: int,
) -> torch.Tensor:
    """[M, Hq, D], [M, Hkv, D] twice -> [M, Hq, D]."""
    scale = query.shape[-1] ** -0.5 if form.scale is None else form.scale
    group = query.shape[1] // key.shape[1]
    sequences = []
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        q, k, v = (states[start:end] for states in (query, key, value))
        heads = [
            one_head(q[:, h], k[:, h // group], v[:, h // group], scale, form.softcap, left)
            for h in range(query.shape[1])
        ]
        sequences.append(torch.stack(heads, dim=1))
    return torch.cat(sequences)


def expected(states: tuple[torch.Tensor, ...], form: ScoreForm) -> torch.Tensor:
    rows = [tensor[0].transpose(0, 1) for tensor in states]
    left = -1 if form.window is None else form.window - 1
    return varlen_written_out(*rows, packed().starts, form, left)[None]


def torch_varlen(
    query: Any, key: Any, value: Any, starts: Any, starts_k: Any, longest: int, longest_k: int,
    *, scale: float | None, window_size: tuple[int, int], enable_gqa: bool,
) -> torch.Tensor:  # fmt: skip
    """torch.nn.attention.varlen.varlen_attn as documented in torch 2.13."""
    assert torch.equal(starts, starts_k) and starts.dtype == torch.int32
    assert longest == longest_k == max(LENGTHS) and window_size[1] == 0 and enable_gqa
    return varlen_written_out(query, key, value, starts, ScoreForm(scale), window_size[0])


def flash_attn(
    query: Any, key: Any, value: Any, *, cu_seqlens_q: Any, cu_seqlens_k: Any, max_seqlen_q: int,
    max_seqlen_k: int, dropout_p: float, softmax_scale: float | None, causal: bool,
    window_size: tuple[int, int], softcap: float,
) -> torch.Tensor:  # fmt: skip
    """flash_attn.flash_attn_varlen_func as documented in flash-attn 2.8."""
    assert torch.equal(cu_seqlens_q, cu_seqlens_k) and max_seqlen_q == max_seqlen_k == max(LENGTHS)
    assert causal and dropout_p == 0 and window_size[1] == 0
    form = ScoreForm(softmax_scale, softcap=softcap or None)
    return varlen_written_out(query, key, value, cu_seqlens_q, form, window_size[0])


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_torch_varlen", lambda: torch_varlen)
    monkeypatch.setattr(kernels, "_flash_attn_varlen", lambda: flash_attn)
    monkeypatch.setattr(kernels, "_flex_attention", lambda: flex_attention)


@FORMS
@pytest.mark.parametrize("grouped", [1, 3])
@pytest.mark.parametrize(
    "kernel", [kernels.by_sequence, kernels.by_flash_attn, kernels.by_flex_attention]
)
@pytest.mark.usefixtures("stand_ins")
def test_a_kernel_equals_attention_written_out(
    kernel: Kernel, grouped: int, form: ScoreForm
) -> None:
    states = [tensor.detach() for tensor in case(grouped)]
    out = kernel(*states, packed(), form)
    torch.testing.assert_close(out, expected(tuple(states), form), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", [ScoreForm(), ScoreForm(0.3, window=4)], ids=str)
@pytest.mark.usefixtures("stand_ins")
def test_torchs_variable_length_kernel_is_called_by_its_documentation(form: ScoreForm) -> None:
    states = case()
    out = kernels.by_torch_varlen(*states, packed(), form)
    torch.testing.assert_close(out, expected(states, form), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", [ScoreForm(), ScoreForm(0.3, window=4)], ids=str)
def test_the_installed_torch_takes_our_call_of_its_variable_length_kernel(form: ScoreForm) -> None:
    states = [tensor.detach().to("meta", torch.bfloat16).requires_grad_() for tensor in case()]
    row = Packed(LENGTHS, packed().starts.to("meta"))
    out = kernels.by_torch_varlen(states[0], states[1], states[2], row, form)
    assert out.shape == (1, sum(LENGTHS), 6, 16) and out.dtype == torch.bfloat16
    grads = torch.autograd.grad(out.sum(), states)
    assert [grad.shape for grad in grads] == [tensor.shape for tensor in states]


@FORMS
def test_gradients_sequence_by_sequence_equal_those_of_attention_written_out(
    form: ScoreForm,
) -> None:
    states = case()
    ours = torch.autograd.grad(kernels.by_sequence(*states, packed(), form).square().sum(), states)
    theirs = torch.autograd.grad(expected(states, form).square().sum(), states)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=5e-5, rtol=1e-4)


@FORMS
@pytest.mark.parametrize("kernel", [kernels.by_sequence, kernels.by_flex_attention])
@pytest.mark.usefixtures("stand_ins")
def test_a_changed_sequence_changes_no_other_by_a_single_bit(
    kernel: Kernel, form: ScoreForm
) -> None:
    states = [tensor.detach() for tensor in case()]
    before, start = kernel(*states, packed(), form), 0
    for length in LENGTHS:
        changed = [tensor.clone() for tensor in states]
        for tensor in changed:
            tensor[:, :, start : start + length] += 1
        after = kernel(*changed, packed(), form)
        assert torch.equal(before[:, :start], after[:, :start])
        assert torch.equal(before[:, start + length :], after[:, start + length :])
        assert not torch.allclose(before, after)
        start += length


@pytest.mark.parametrize(
    ("has_varlen", "has_flash_attn", "form", "chosen"),
    [
        (True, True, ScoreForm(window=9), kernels.by_torch_varlen),
        (False, True, ScoreForm(), kernels.by_flash_attn),
        (True, True, ScoreForm(softcap=50.0), kernels.by_flash_attn),
        (True, True, ScoreForm(dropout=0.1), kernels.by_flash_attn),
        (True, False, ScoreForm(softcap=50.0), kernels.by_flex_attention),
        (False, False, ScoreForm(), kernels.by_flex_attention),
        (True, False, ScoreForm(dropout=0.1), kernels.by_sequence),
        (True, True, ScoreForm(softcap=50.0, dropout=0.1), kernels.by_sequence),
    ],
)
def test_the_fastest_kernel_that_can_is_chosen(
    has_varlen: bool,
    has_flash_attn: bool,
    form: ScoreForm,
    chosen: Kernel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "_torch_varlen", lambda: torch_varlen if has_varlen else None)
    monkeypatch.setattr(
        kernels, "_flash_attn_varlen", lambda: flash_attn if has_flash_attn else None
    )
    query, _, value = case()
    assert kernels._kernel_for(query, value, form) is kernels.by_sequence
    monkeypatch.setattr(kernels, "_is_for_flash", lambda query, value: True)
    assert kernels._kernel_for(query, value, form) is chosen


def test_under_autocast_everything_reaches_the_kernel_in_its_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[torch.dtype] = []

    def spy(*states: Any) -> torch.Tensor:
        seen.extend(tensor.dtype for tensor in states[:3])
        return kernels.by_sequence(*states)

    monkeypatch.setattr(kernels, "_kernel_for", lambda *_: spy)
    query, key, value = case()
    with torch.autocast("cpu", torch.bfloat16):
        kernels.attend_packed(query, key, value.bfloat16(), packed(), ScoreForm())
    assert seen == [torch.bfloat16] * 3


def test_a_block_mask_is_made_once_for_each_window() -> None:
    row = packed()
    assert row.block_mask(4) is row.block_mask(4) is not row.block_mask(None)


def test_capped_scores_are_made_in_float32_under_autocast() -> None:
    form, states = ScoreForm(scale=3.0, softcap=50.0), [tensor.detach() for tensor in case()]
    rounded = [tensor.bfloat16() for tensor in states]
    exact = kernels.by_sequence(*[tensor.float() for tensor in rounded], packed(), form)
    with torch.autocast("cpu", torch.bfloat16):
        out = kernels.attend_packed(*states, packed(), form)
    assert (out - exact).abs().max() < 0.02


SLOT, USED = 12, (5, 1, 12, 3)  # positions of a slot, and how many of them hold keys


def decoding_case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A query a sequence; keys and values as a cache with more slots than sequences gives them."""
    torch.manual_seed(0)
    cached = torch.randn(2, len(USED) + 2, SLOT, 2, 16)
    key, value = cached[:, : len(USED)].transpose(2, 3)
    return torch.randn(len(USED), 6, 1, 16), key, value


def slots() -> Slots:
    return Slots.of(torch.tensor(USED) - 1, SLOT, longest=max(USED))


def masked() -> torch.Tensor:
    return (torch.arange(SLOT) < torch.tensor(USED)[:, None])[:, None, None]


def torch_varlen_over_slots(
    query: Any, key: Any, value: Any, starts: Any, starts_k: Any, longest: int, longest_k: int,
    *, scale: float | None, window_size: tuple[int, int], enable_gqa: bool, seqused_k: Any,
) -> torch.Tensor:  # fmt: skip
    """varlen_attn in torch 2.13: of the keys from `starts_k` on, `seqused_k` take part."""
    assert starts.tolist() == list(range(len(USED) + 1)) and longest == 1
    assert {starts.dtype, starts_k.dtype, seqused_k.dtype} == {torch.int32} and enable_gqa
    assert max(seqused_k) <= longest_k and starts_k[-1] <= len(key)
    sequences = []
    for row, (start, used) in enumerate(zip(starts_k.tolist(), seqused_k.tolist(), strict=False)):
        k, v = (states[start : start + used] for states in (key, value))
        if window_size != (-1, -1):
            assert window_size[1] == 0
            k, v = (states[-1 - window_size[0] :] for states in (k, v))
        alone = torch.tensor([0, len(k)])
        queries = query[row].expand(len(k), -1, -1)
        sequences.append(varlen_written_out(queries, k, v, alone, ScoreForm(scale), -1)[-1:])
    return torch.cat(sequences)


DECODING_FORMS = pytest.mark.parametrize(
    "form", [ScoreForm(), ScoreForm(0.3), ScoreForm(window=4), ScoreForm(window=1)], ids=str
)


@DECODING_FORMS
def test_a_query_reads_the_keys_of_its_slot_as_under_a_mask(
    form: ScoreForm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_torch_varlen", lambda: torch_varlen_over_slots)
    query, key, value = decoding_case()
    mask = newest(masked(), form.window) if form.window else masked()
    out = kernels.by_slots(query, key, value, slots(), form)
    torch.testing.assert_close(out, dense(query, key, value, mask, form), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [(-1, -1), (3, 0)])
def test_the_installed_torch_takes_our_call_of_its_kernel_over_slots(
    window: tuple[int, int],
) -> None:
    states = [tensor.to("meta", torch.bfloat16) for tensor in decoding_case()]
    there = slots()
    on_meta = Slots(*(part.to("meta") for part in (there.queries, there.starts, there.used_B)), 12)
    form = ScoreForm(window=None if window == (-1, -1) else window[0] + 1)
    out = kernels.by_slots(states[0], states[1], states[2], on_meta, form)
    assert out.shape == (len(USED), 1, 6, 16) and out.dtype == torch.bfloat16


def test_slots_are_read_where_packed_sequences_would_take_the_same_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query, _, value = decoding_case()
    monkeypatch.setattr(kernels, "_torch_varlen", lambda: torch_varlen_over_slots)
    assert not kernels.serves_slots(query, value, ScoreForm()), "on a CPU"
    monkeypatch.setattr(kernels, "_is_for_flash", lambda query, value: True)
    assert kernels.serves_slots(query, value, ScoreForm(window=9))
    assert not kernels.serves_slots(query, value, ScoreForm(softcap=50.0))
    monkeypatch.setattr(kernels, "_torch_varlen", lambda: torch_varlen)
    assert not kernels.serves_slots(query, value, ScoreForm()), "an older torch"


def test_rows_without_keys_give_zeros_over_slots_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_torch_varlen", lambda: torch_varlen_over_slots)
    monkeypatch.setattr(kernels, "_is_for_flash", lambda query, value: True)
    query, key, value = decoding_case()
    query = torch.cat([query, query[:2]])
    out, _ = attend(torch.nn.Module(), query, key, value, masked(), slots=slots())
    expected, _ = attend(torch.nn.Module(), query, key, value, masked())
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    assert not out[len(USED) :].any()
