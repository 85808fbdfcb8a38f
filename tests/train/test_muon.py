"""Muon against the exact polar factor, torch's own Muon, and a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.train.checkpoint import Checkpoints
from minireason.train.learner import Learner
from minireason.train.muon import Muon, orthogonalized
from minireason.train.optimizer import OptimizerSettings, build_optimizers

SETTINGS = OptimizerSettings(1e-2, 0.1, 0.9, 0.95, 1.0, 0.0, "constant", 100, name="muon")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 16, 48), (2, 48, 16), (1, 24, 24)])
def test_directions_are_kept_and_sizes_made_alike(shape: tuple[int, int, int]) -> None:
    matrices = normal(*shape)
    near = orthogonalized(matrices).double()
    left, _, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    # in the basis of the singular vectors the result is diagonal, with values near 1
    inside = left.mT @ near @ right.mT
    diagonal = inside.diagonal(dim1=-2, dim2=-1)
    assert float((inside - torch.diag_embed(diagonal)).abs().max()) < 1e-4
    assert float(diagonal.min()) > 0.2 and float(diagonal.max()) < 1.3
    assert float(diagonal.median()) > 0.65


def test_a_matrix_in_a_batch_is_treated_as_alone() -> None:
    matrices = normal(4, 8, 20)
    alone = torch.cat([orthogonalized(matrix[None]) for matrix in matrices])
    torch.testing.assert_close(orthogonalized(matrices), alone)


def test_no_gradient_at_all_gives_no_update() -> None:
    assert torch.equal(orthogonalized(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def test_several_steps_equal_torch_s_muon_up_to_its_bfloat16() -> None:
    shapes = [(12, 30), (30, 12), (12, 30)]
    ours = [torch.nn.Parameter(normal(*shape, seed=i)) for i, shape in enumerate(shapes)]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    before = [p.detach().clone() for p in ours]
    settings: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.95}
    mine = Muon(ours, **settings)
    reference = torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **settings)
    for step in range(4):
        for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            one.grad = normal(*one.shape, seed=10 * step + i)
            other.grad = one.grad.clone()
        mine.step()
        reference.step()
    for start, one, other in zip(before, ours, theirs, strict=True):
        moved, expected = one.detach() - start, other.detach() - start
        assert float((moved - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize("architecture", ["phi3", "qwen2"])
def test_muon_takes_the_matrices_inside_and_adamw_the_rest(
    make_model: Callable[..., Any], architecture: str
) -> None:
    model = make_model(architecture)
    parts = build_optimizers(model, SETTINGS)
    adamw, muon = ([p for g in part.param_groups for p in g["params"]] for part in parts)
    assert {id(p) for p in adamw} | {id(p) for p in muon} == {id(p) for p in model.parameters()}
    assert len(adamw) + len(muon) == len(list(model.parameters()))
    assert {p.ndim for p in muon} == {2}
    ends = {id(m.weight) for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    assert {id(p) for p in adamw if p.ndim == 2} == ends


def test_a_restored_optimizer_goes_on_bit_for_bit(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    def step(learner: Learner, seed: int) -> None:
        for i, parameter in enumerate(learner.model.parameters()):
            parameter.grad = normal(*parameter.shape, seed=1000 * seed + i)
        learner.apply_gradients()
        learner.forget_gradients()

    learner = Learner(make_model(), replace(SETTINGS, learning_rate=3e-3))
    resumed = Learner(make_model(seed=1), SETTINGS)
    step(learner, 1)
    checkpoints = Checkpoints(tmp_path, learner)
    checkpoints.save(1, {})
    checkpoints.close()
    assert Checkpoints(tmp_path, resumed).restore() == {"step": 1}
    rates = [
        [g["lr"] for o in one.optimizers for g in o.param_groups] for one in (learner, resumed)
    ]
    assert rates[0] == rates[1]
    for one in (learner, resumed):
        step(one, 2)
    pairs = zip(learner.model.parameters(), resumed.model.parameters(), strict=True)
    for one, two in pairs:
        assert torch.equal(one, two)
