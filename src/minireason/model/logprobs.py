"""Per-token log-probabilities without the logits: the one function every objective uses.

For a vocabulary of 200,064 the logits of one 25K-token sequence take 20 GB in float32. Here they
exist a block of the vocabulary at a time: once in the forward pass, under a running softmax
(M. Milakov and N. Gimelshein, Online normalizer calculation for softmax, arXiv 1805.02867), and
again in the backward pass. A block spans all tokens, so each block of the weight is read once and
its gradient comes out of one product. Where the whole vocabulary is one block, its softmax is kept
for the backward pass instead of computed again.

On CUDA, bfloat16 and float16 operands are multiplied as they are with float32 results; elsewhere
they are widened first. The CUDA branch has not been run on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

LOGITS_PER_BLOCK = 1 << 22
"""Logits held at once (16 MiB in float32): small enough that memory is reused, not mapped anew."""

LOGITS_PER_BLOCK_ON_GPU = 1 << 26
"""The same on a GPU (256 MiB), where a block must outlast the launches of its kernels."""


@dataclass(frozen=True, slots=True)
class HeadForm:
    """logits = softcap * tanh(scale * hidden @ weight.T / softcap); a softcap of 0 means no cap."""

    scale: float = 1.0
    softcap: float = 0.0

    def logits(self, products: torch.Tensor) -> torch.Tensor:
        """The logits from the products of hidden states and the head's matrix, of any shape."""
        if self.scale != 1:
            products = self.scale * products
        if self.softcap:
            products = self.softcap * torch.tanh(products / self.softcap)
        return products


PLAIN = HeadForm()


def token_logprobs(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets_N: torch.Tensor,
    temperature: float = 1.0,
    *,
    form: HeadForm = PLAIN,
    with_entropy: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probability of each target under softmax(logits / temperature), and the entropy if asked.

    Returns `logprobs_N` (differentiable) and `entropy_N` (not, and None unless asked for, since it
    costs a pass), in nats and in float32 (float64 of float64). Under autocast the products take
    its dtype. Raises TypeError for a weight that is still sharded.
    """
    if hasattr(weight_VD, "placements"):
        raise TypeError(
            f"the output weight is a DTensor ({weight_VD.placements}) and each rank holds only its "
            "part; call this inside the root module's forward pass, where FSDP has gathered it, or "
            "pass weight.full_tensor()"
        )
    given = torch.promote_types(hidden_ND.dtype, weight_VD.dtype)
    device = hidden_ND.device.type
    is_lowered = torch.is_autocast_enabled(device) and given != torch.float64
    head = _Head(
        slope=form.scale / temperature,
        cap=form.softcap / temperature,
        precision=torch.float64 if given == torch.float64 else torch.float32,
        operands=torch.get_autocast_dtype(device) if is_lowered else given,
        has_entropy=with_entropy,
        keeps_softmax=torch.is_grad_enabled() and not form.softcap,
    )
    logprobs_N, entropy_N = _TokenLogprobs.apply(hidden_ND, weight_VD, targets_N, head)
    return logprobs_N, entropy_N


@dataclass(frozen=True, slots=True)
class _Head:
    """What turns hidden states into logits / temperature, a block of the vocabulary at a time.

    Products are taken of `operands` (on CUDA) and summed in `precision`.
    """

    slope: float
    cap: float
    precision: torch.dtype
    operands: torch.dtype
    has_entropy: bool
    keeps_softmax: bool

    def operand(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.operands if tensor.is_cuda else self.precision)

    def product(
        self, left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """left @ right in `precision`; `out=` also keeps autocast from lowering it."""
        if out is None:
            out = left.new_empty(len(left), right.shape[1], dtype=self.precision)
        if left.dtype == self.precision:
            return torch.mm(left, right, out=out)
        return torch.mm(left, right, self.precision, out=out)

    def blocks(
        self, hidden_ND: torch.Tensor, weight_VD: torch.Tensor
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        """Slices of the vocabulary, each with its logits in a buffer that the next one reuses."""
        num_tokens, vocab_size = len(hidden_ND), len(weight_VD)
        limit = LOGITS_PER_BLOCK_ON_GPU if hidden_ND.is_cuda else LOGITS_PER_BLOCK
        size = min(vocab_size, max(1, limit // max(1, num_tokens)))
        buffer = hidden_ND.new_empty(num_tokens * size, dtype=self.precision)
        hidden_ND = self.operand(hidden_ND)
        for start in range(0, vocab_size, size):
            columns = slice(start, min(start + size, vocab_size))
            weight_CD = self.operand(weight_VD[columns])
            logits_NC = buffer[: num_tokens * len(weight_CD)].view(num_tokens, len(weight_CD))
            self.product(hidden_ND, weight_CD.T, out=logits_NC)
            if self.cap:
                logits_NC.mul_(self.slope / self.cap).tanh_().mul_(self.cap)
            elif self.slope != 1:
                logits_NC.mul_(self.slope)
            yield columns, logits_NC


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        targets_N: torch.Tensor,
        head: _Head,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        softmax = _RunningSoftmax(targets_N, head)
        for columns, logits_NC in head.blocks(hidden_ND, weight_VD):
            probs_NC = softmax.add(columns, logits_NC)
        residual_NV = None
        if head.keeps_softmax and probs_NC.shape[1] == len(weight_VD):
            residual_NV = _minus_one_at(targets_N, columns, probs_NC.div_(softmax.total_N1))
        ctx.head = head
        ctx.save_for_backward(hidden_ND, weight_VD, targets_N, softmax.lse(), residual_NV)
        entropy_N = softmax.entropy() if head.has_entropy else None
        if entropy_N is not None:
            ctx.mark_non_differentiable(entropy_N)
        return softmax.logprobs(), entropy_N

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_N: torch.Tensor, _: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        hidden_ND, weight_VD, targets_N, lse_N1, residual_NV = ctx.saved_tensors
        head: _Head = ctx.head
        if residual_NV is None:
            residuals = _residuals(hidden_ND, weight_VD, targets_N, lse_N1, head)
        else:
            residuals = iter([(slice(None), residual_NV)])
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        # d logprob / d (hidden @ weight.T) = -slope * residual: the factor goes on the thin side.
        factor_N1 = grad_N[:, None] * -head.slope
        scaled_ND = head.operand(hidden_ND * factor_N1)
        grad_hidden_ND = torch.zeros_like(hidden_ND, dtype=head.precision)
        grad_weight_VD = torch.empty_like(weight_VD) if needs_weight else None
        for columns, residual_NC in residuals:
            residual_NC = head.operand(residual_NC)
            if needs_hidden:
                grad_hidden_ND += head.product(residual_NC, head.operand(weight_VD[columns]))
            if grad_weight_VD is not None:
                grad_weight_VD[columns] = head.product(residual_NC.T, scaled_ND)
        grad_hidden_ND = grad_hidden_ND.mul_(factor_N1).to(hidden_ND.dtype)
        return grad_hidden_ND if needs_hidden else None, grad_weight_VD, None, None


class _RunningSoftmax:
    """The sums that log-probability and entropy need, over the blocks taken in so far.

    All are relative to the highest logit so far, so that none overflows.
    """

    def __init__(self, targets_N: torch.Tensor, head: _Head) -> None:
        shape = (len(targets_N), 1)
        self.targets_N, self.head = targets_N, head
        # finite, so that its product with an empty sum is 0
        lowest = torch.finfo(head.precision).min
        self.highest_N1 = targets_N.new_full(shape, lowest, dtype=head.precision)
        self.chosen_N1 = torch.zeros_like(self.highest_N1)
        self.total_N1 = torch.zeros_like(self.highest_N1)
        self.weighted_N1 = torch.zeros_like(self.highest_N1)

    def add(self, columns: slice, logits_NC: torch.Tensor) -> torch.Tensor:
        """Take a block in (it is overwritten); returns exp(logits - highest)."""
        column_N1, is_here_N1 = _locate(self.targets_N, columns)
        self.chosen_N1 = torch.where(is_here_N1, logits_NC.gather(1, column_N1), self.chosen_N1)
        highest_N1 = logits_NC.amax(1, keepdim=True).maximum(self.highest_N1)
        drop_N1, self.highest_N1 = self.highest_N1 - highest_N1, highest_N1
        shifted_NC = logits_NC.sub_(highest_N1)
        if self.head.has_entropy:  # the sum of exp(x) x, where x = logits - highest
            probs_NC = shifted_NC.exp()
            self.weighted_N1.addcmul_(drop_N1, self.total_N1).mul_(drop_N1.exp())
            self.weighted_N1 += shifted_NC.mul_(probs_NC).sum(1, keepdim=True)
        else:
            probs_NC = shifted_NC.exp_()
        self.total_N1.mul_(drop_N1.exp()).add_(probs_NC.sum(1, keepdim=True))
        return probs_NC

    def lse(self) -> torch.Tensor:
        return self.highest_N1 + self.total_N1.log()

    def logprobs(self) -> torch.Tensor:
        return (self.chosen_N1 - self.highest_N1).squeeze(1) - self.total_N1.log().squeeze(1)

    def entropy(self) -> torch.Tensor:
        return (self.total_N1.log() - self.weighted_N1 / self.total_N1).squeeze(1)


def _residuals(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets_N: torch.Tensor,
    lse_N1: torch.Tensor,
    head: _Head,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Softmax less the one-hot target, times the slope of the cap: computed again, in blocks."""
    for columns, logits_NC in head.blocks(hidden_ND, weight_VD):
        slope_NC = 1 - (logits_NC / head.cap) ** 2 if head.cap else None
        residual_NC = _minus_one_at(targets_N, columns, logits_NC.sub_(lse_N1).exp_())
        yield columns, residual_NC if slope_NC is None else residual_NC.mul_(slope_NC)


def _locate(targets_N: torch.Tensor, columns: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Each target's column in a block, and whether it is there (if not, the column is any)."""
    column_N1 = targets_N[:, None] - columns.start
    last = columns.stop - columns.start - 1
    return column_N1.clamp(0, last), (column_N1 >= 0) & (column_N1 <= last)


def _minus_one_at(targets_N: torch.Tensor, columns: slice, probs_NC: torch.Tensor) -> torch.Tensor:
    column_N1, is_here_N1 = _locate(targets_N, columns)
    return probs_NC.scatter_add_(1, column_N1, -is_here_N1.to(probs_NC.dtype))
