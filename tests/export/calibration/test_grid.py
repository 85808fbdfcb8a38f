"""Our plain rounding against ONNX Runtime's own quantiser and gguf's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from minireason.export.calibration.grid import Grid, SeenThrough

quantizers = pytest.importorskip("onnxruntime.quantization.matmul_nbits_quantizer")

GRIDS = pytest.mark.parametrize(
    "grid", [Grid(4, 16), Grid(4, 32), Grid(4, 128), Grid(8, 32)], ids=str
)


def as_onnx_rounds(weight_OI: torch.Tensor, grid: Grid) -> torch.Tensor:
    """What `MatMulNBits` multiplies with, from what the kernel packed."""
    config = quantizers.DefaultWeightOnlyQuantConfig(
        block_size=grid.block_size, is_symmetric=True, bits=grid.bits
    )
    columns = np.ascontiguousarray(weight_OI.numpy().T)
    packed, scales, _ = quantizers.DefaultWeightOnlyQuantizer(config).qbits_block_quant(columns)
    if grid.bits == 4:
        packed = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*scales.shape, -1)
    numbers = packed.astype(np.float32) + grid.lowest
    rounded = (numbers * scales[..., None]).reshape(len(weight_OI), -1)
    return torch.from_numpy(rounded[:, : weight_OI.shape[1]])


def wild_weights(num_columns: int) -> torch.Tensor:
    """Random rows, and rows of zeros, of one value, of ties, and of very different sizes."""
    weight_OI = torch.randn(64, num_columns, generator=torch.Generator().manual_seed(0))
    weight_OI[0] = 0
    weight_OI[1], weight_OI[2] = 1, -1
    weight_OI[3] = torch.tensor([0.5, -0.5]).repeat(num_columns)[:num_columns]
    weight_OI[4] = (weight_OI[4] * 4).round() / 4
    weight_OI[5] *= torch.logspace(-12, 12, num_columns)
    return weight_OI


@GRIDS
@pytest.mark.parametrize("num_columns", [128, 200])
def test_plain_rounding_equals_that_of_onnx_to_the_bit(grid: Grid, num_columns: int) -> None:
    weight_OI = wild_weights(num_columns)
    assert torch.equal(grid.rounded(weight_OI), as_onnx_rounds(weight_OI, grid))


@GRIDS
def test_weights_on_the_grid_round_to_themselves(grid: Grid) -> None:
    rounded_OI = grid.rounded(wild_weights(200))
    assert torch.equal(grid.rounded(rounded_OI), rounded_OI)
    assert torch.equal(as_onnx_rounds(rounded_OI, grid), rounded_OI)


def test_a_block_by_hand() -> None:
    row = torch.tensor([[-4.0, 4.0, 0.9, 0.24, 0.25, -0.25, -0.26, 0.0]])
    expected = torch.tensor([[-4.0, 3.5, 1.0, 0.0, 0.5, 0.0, -0.5, 0.0]])  # in halves, -8 to 7
    assert torch.equal(Grid(4, 8).rounded(row), expected)


def test_four_bits_in_blocks_of_32_are_ggufs_q4_0_but_for_half_precision_scales() -> None:
    gguf = pytest.importorskip("gguf")
    weight_OI = torch.randn(64, 128, generator=torch.Generator().manual_seed(1))
    kind = gguf.GGMLQuantizationType.Q4_0
    theirs = gguf.quants.dequantize(gguf.quants.quantize(weight_OI.numpy(), kind), kind)
    torch.testing.assert_close(
        Grid(4, 32).rounded(weight_OI), torch.from_numpy(theirs), rtol=2**-10, atol=1e-7
    )


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    weight_OI = torch.randn(4, 64, requires_grad=True)
    given_OI = torch.randn(4, 64)
    seen_OI = SeenThrough(Grid(4, 32))(weight_OI)
    (seen_OI * given_OI).sum().backward()
    torch.testing.assert_close(seen_OI, Grid(4, 32).rounded(weight_OI.detach()))
    assert torch.equal(weight_OI.grad, given_OI)
