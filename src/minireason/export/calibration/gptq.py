"""GPTQ (Frantar et al. 2022, arXiv 2210.17323, algorithm 1) onto the grid of plain rounding.

Column after column is rounded, and its error made up for in the columns not yet rounded, so that
what the layer puts out changes least on the calibration tokens. Ours beside the paper's:

1. Columns go by falling energy of their inputs, as the authors' code may (`act-order`), with every
   scale chosen beforehand, since the blocks of the grid are of neighbouring columns.
2. Scales are searched: a block's extreme, of either sign, may be cut down to a part of itself where
   the other weights gain by more (errors weighed by the energy of the inputs).
3. That extreme always gets the lowest number, so that plain rounding finds the same scale again.
4. A row for which plain rounding does better stays plainly rounded.
"""

from __future__ import annotations

import torch

from minireason.export.calibration.grid import Grid

PARTS = tuple(1 - i / 50 for i in range(21))
"""What a block's extreme may be cut down to, as parts of itself."""


def gptq(
    weight_OI: torch.Tensor, moment_II: torch.Tensor, grid: Grid, damping: float = 0.01
) -> torch.Tensor:
    """The weights on the grid that change `weight_OI @ inputs` least, as far as GPTQ finds them.

    `moment_II` is the sum of the inputs' outer products. `damping` times the mean of its diagonal
    is added to the diagonal.
    """
    moment_II = _damped(moment_II.double(), damping)
    scales_OK, anchors_OK = searched(weight_OI.double(), moment_II.diagonal(), grid)
    numbers_OI = _numbers(weight_OI.double(), moment_II, grid, scales_OK, anchors_OK)
    scales_OI = scales_OK.repeat_interleave(grid.block_size, 1)[:, : weight_OI.shape[1]]
    found_OI = (numbers_OI * scales_OI).to(weight_OI.dtype)
    plain_OI = grid.rounded(weight_OI)
    is_better_O = change(weight_OI, found_OI, moment_II) < change(weight_OI, plain_OI, moment_II)
    return torch.where(is_better_O[:, None], found_OI, plain_OI)


def change(
    weight_OI: torch.Tensor, other_OI: torch.Tensor, moment_II: torch.Tensor
) -> torch.Tensor:
    """By how much [O] the outputs differ: the sum of squares over the inputs of the moment."""
    error_OI = (other_OI - weight_OI).to(moment_II.dtype)
    return ((error_OI @ moment_II) * error_OI).sum(1)


def searched(
    weight_OI: torch.Tensor, energy_I: torch.Tensor, grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scales [O, K] of least weighed error, and where in its block the extreme of each is."""
    blocks_OKB = grid.blocks(weight_OI)
    energy_1KB = grid.blocks(energy_I[None])
    best_OK = torch.full_like(blocks_OKB[..., 0], torch.inf)
    scales_OK = torch.zeros_like(best_OK)
    anchors_OK = torch.zeros_like(best_OK, dtype=torch.long)
    for extremes in (blocks_OKB.max(2), blocks_OKB.min(2)):
        for part in PARTS:
            tried_OK = (part * extremes.values / grid.lowest).float().to(weight_OI.dtype)
            error_OKB = grid.numbers(weight_OI, tried_OK) * tried_OK[..., None] - blocks_OKB
            loss_OK = (error_OKB.square() * energy_1KB).sum(2)
            is_better_OK = loss_OK < best_OK
            best_OK = torch.where(is_better_OK, loss_OK, best_OK)
            scales_OK = torch.where(is_better_OK, tried_OK, scales_OK)
            anchors_OK = torch.where(is_better_OK, extremes.indices, anchors_OK)
    return scales_OK, anchors_OK


def _numbers(
    weight_OI: torch.Tensor,
    moment_II: torch.Tensor,
    grid: Grid,
    scales_OK: torch.Tensor,
    anchors_OK: torch.Tensor,
) -> torch.Tensor:
    """The whole numbers [O, I] of the weights, the error of each handed on to those after it."""
    order_I = moment_II.diagonal().argsort(descending=True, stable=True)
    upper_II = _inverse_factor(moment_II[order_I][:, order_I])
    left_OI, numbers_OI = weight_OI[:, order_I], torch.zeros_like(weight_OI)
    for column, place in enumerate(order_I.tolist()):
        block, offset = divmod(place, grid.block_size)
        scale_O = scales_OK[:, block]
        number_O = torch.where(scale_O == 0, 0, left_OI[:, column] / scale_O).round()
        number_O = number_O.clamp(grid.lowest, -grid.lowest - 1)
        number_O[anchors_OK[:, block] == offset] = grid.lowest
        error_O = (left_OI[:, column] - number_O * scale_O) / upper_II[column, column]
        left_OI[:, column:] -= error_O[:, None] * upper_II[column, column:]
        numbers_OI[:, place] = number_O
    return numbers_OI


def _damped(moment_II: torch.Tensor, damping: float) -> torch.Tensor:
    mean = moment_II.diagonal().mean().clamp(min=torch.finfo(torch.float32).tiny)
    return moment_II + damping * mean * torch.eye(len(moment_II)).to(moment_II)


def _inverse_factor(moment_II: torch.Tensor) -> torch.Tensor:
    """The upper triangular U with U^T U the inverse of the moment."""
    inverse_II = torch.cholesky_inverse(torch.linalg.cholesky(moment_II))
    return torch.linalg.cholesky(inverse_II, upper=True)
