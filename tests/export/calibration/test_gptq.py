"""GPTQ against the slow way: solve for all columns left, after each that was rounded."""

from __future__ import annotations

import pytest
import torch

from minireason.export.calibration.gptq import _damped, _numbers, change, gptq, searched
from minireason.export.calibration.grid import Grid

GRID = Grid(4, 16)


def layer(num_inputs: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights, and the second moment of correlated inputs of uneven sizes."""
    generator = torch.Generator().manual_seed(3)
    weight_OI = torch.randn(12, num_inputs, generator=generator)
    mixed_II = torch.randn(num_inputs, num_inputs, generator=generator) * 0.3 + 0.5
    sizes_I = torch.logspace(-1, 1, num_inputs)[torch.randperm(num_inputs, generator=generator)]
    inputs_NI = torch.randn(400, num_inputs, generator=generator) @ mixed_II * sizes_I
    return weight_OI, (inputs_NI.T @ inputs_NI).double()


def slowly(
    weight_OI: torch.Tensor,
    moment_II: torch.Tensor,
    scales_OK: torch.Tensor,
    anchors_OK: torch.Tensor,
) -> torch.Tensor:
    """Row by row, column by column: the best values of the columns left for the errors so far."""
    numbers_OI = torch.zeros_like(weight_OI)
    order = moment_II.diagonal().argsort(descending=True, stable=True).tolist()
    for row, weight_I in enumerate(weight_OI):
        done: list[int] = []
        error_I = torch.zeros_like(weight_I)
        for place in order:
            left = [other for other in order if other not in done]
            pull = moment_II[left][:, done] @ error_I[done]
            wanted = weight_I[left] - torch.linalg.solve(moment_II[left][:, left], pull)
            block, offset = divmod(place, GRID.block_size)
            scale = scales_OK[row, block]
            number = (wanted[left.index(place)] / scale).round().clamp(-8, 7)
            if anchors_OK[row, block] == offset:
                number = torch.tensor(-8.0)
            numbers_OI[row, place] = number
            error_I[place] = number * scale - weight_I[place]
            done.append(place)
    return numbers_OI


def test_the_errors_are_made_up_for_as_the_slow_way_makes_up_for_them() -> None:
    weight_OI, moment_II = layer()
    weight_OI, moment_II = weight_OI.double(), _damped(moment_II, 0.01)
    scales_OK, anchors_OK = searched(weight_OI, moment_II.diagonal(), GRID)
    ours_OI = _numbers(weight_OI, moment_II, GRID, scales_OK, anchors_OK)
    assert torch.equal(ours_OI, slowly(weight_OI, moment_II, scales_OK, anchors_OK))


@pytest.mark.parametrize("grid", [GRID, Grid(4, 32), Grid(8, 16)], ids=str)
def test_no_row_is_further_from_its_outputs_than_by_plain_rounding(grid: Grid) -> None:
    weight_OI, moment_II = layer(56)
    found_O = change(weight_OI, gptq(weight_OI, moment_II, grid), moment_II)
    plain_O = change(weight_OI, grid.rounded(weight_OI), moment_II)
    assert (found_O <= plain_O * (1 + 1e-9)).all()
    assert found_O.sum() < 0.5 * plain_O.sum()


@pytest.mark.parametrize("grid", [GRID, Grid(4, 32), Grid(8, 16)], ids=str)
def test_plain_rounding_changes_nothing_any_more(grid: Grid) -> None:
    weight_OI, moment_II = layer(56)
    weight_OI[0], weight_OI[1, :16] = 0, 0
    found_OI = gptq(weight_OI, moment_II, grid)
    assert torch.equal(grid.rounded(found_OI), found_OI)
    assert not torch.equal(found_OI, grid.rounded(weight_OI))


def test_inputs_that_never_come_are_rounded_like_others() -> None:
    weight_OI, moment_II = layer()
    moment_II[:, :16] = moment_II[:16] = 0  # a whole block
    found_OI = gptq(weight_OI, moment_II, GRID)
    steps_OI = GRID.scales(weight_OI).abs().repeat_interleave(16, 1)
    assert ((found_OI - weight_OI).abs() <= 1.01 * steps_OI)[:, :16].all()


def test_a_search_never_does_worse_than_the_largest_weight_as_extreme() -> None:
    weight_OI, moment_II = layer()
    energy_I = moment_II.diagonal()
    scales_OK, _ = searched(weight_OI.double(), energy_I, GRID)

    def loss(rounded_OI: torch.Tensor) -> torch.Tensor:
        return ((rounded_OI - weight_OI).square() * energy_I).sum()

    found, plain = GRID.rounded(weight_OI, scales_OK.float()), GRID.rounded(weight_OI)
    assert loss(found) < loss(plain)
