"""The grid that plain rounding puts weights on, and rounding that training can see through.

It is the rule of ONNX Runtime's `MatMulNBits` quantiser, symmetric (mlas `BlockwiseQuantizer`) and,
at 4 bits in blocks of 32, that of ggml's Q4_0, which keeps its scales in half precision. None of
torchao's symmetric rules is equal: theirs divide the largest magnitude by 7.5, or by 8 or 7 as its
sign is (`_choose_qparams_affine_base`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True, slots=True)
class Grid:
    """A scale times the whole numbers of `bits` bits, for every `block_size` weights of a row.

    The weight of largest magnitude in a block, of either sign, becomes the lowest number and is
    kept exactly. So weights on the grid round to themselves.
    """

    bits: int
    block_size: int

    @property
    def lowest(self) -> int:
        return -(2 ** (self.bits - 1))

    def blocks(self, weight_OI: torch.Tensor) -> torch.Tensor:
        """The weights [O, K, block_size] in K blocks a row, the last one filled with zeros."""
        padded_OI = F.pad(weight_OI, (0, -weight_OI.shape[1] % self.block_size))
        return padded_OI.unflatten(1, (-1, self.block_size))

    def scales(self, weight_OI: torch.Tensor) -> torch.Tensor:
        """The scale [O, K] of each block; it has the sign that makes its extreme the lowest."""
        blocks_OKB = self.blocks(weight_OI)
        high_OK, low_OK = blocks_OKB.amax(2), blocks_OKB.amin(2)
        return torch.where(high_OK > -low_OK, high_OK, low_OK) / self.lowest

    def numbers(self, weight_OI: torch.Tensor, scales_OK: torch.Tensor) -> torch.Tensor:
        """The whole numbers [O, K, block_size] nearest to the weights, halves away from lowest."""
        inverse_OK = torch.where(scales_OK == 0, 0, 1 / scales_OK)
        # As the kernel does: shifted in float32, so that nothing is rounded below zero.
        shifted_OKB = self.blocks(weight_OI) * inverse_OK[..., None] - self.lowest
        rounded_OKB = (shifted_OKB.double() + 0.5).floor().clamp(0, -2 * self.lowest - 1)
        return rounded_OKB.to(weight_OI.dtype) + self.lowest

    def rounded(
        self, weight_OI: torch.Tensor, scales_OK: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The weights [O, I] as an export computes with them: by plain rounding, or to `scales`."""
        scales_OK = self.scales(weight_OI) if scales_OK is None else scales_OK
        numbers_OKB = self.numbers(weight_OI, scales_OK)
        return (numbers_OKB * scales_OK[..., None]).flatten(1)[:, : weight_OI.shape[1]]


class SeenThrough(torch.nn.Module):
    """A parametrisation: the weights are on the grid and gradients pass as if they were not.

    The straight-through estimator of Bengio et al. 2013, arXiv 1308.3432, section 4.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, weight_OI: torch.Tensor) -> torch.Tensor:
        return weight_OI + (self.grid.rounded(weight_OI.detach()) - weight_OI).detach()
