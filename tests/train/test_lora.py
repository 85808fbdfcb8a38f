"""Training with adapters: the update is peft's, resuming is exact, the base stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from minireason.model.adapters import LoraSettings, adapter_weights, add_adapters
from minireason.model.precision import compute_in_bfloat16
from minireason.train.data import Layout, PackedData
from minireason.train.learner import Learner
from minireason.train.loop import train
from minireason.train.objectives.next_token import NextToken
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import Unit, collate
from minireason.train.parallel import Parallelism
from minireason.world import join, leave

SETTINGS = OptimizerSettings(1e-2, 0.1, 0.9, 0.95, 1.0, 0.0, "constant", checkpoint_every=3)
LORA = LoraSettings(rank=4, alpha=8.0, seed=5)


def adapted(model: Any, settings: LoraSettings = LORA) -> Any:
    add_adapters(model, settings)
    return model


def said(name: str) -> Callable[[str], str]:
    return lambda text: f"{name}: {text}"


def reference_loss(model: Any, units: list[Unit]) -> torch.Tensor:
    """Mean over all target tokens, one sequence at a time, by transformers' own loss."""
    total, count = torch.tensor(0.0), 0
    for unit in units:
        for sequence in unit:
            ids = torch.tensor([sequence.ids])
            labels = ids.clone()
            labels[:, : -sequence.num_targets] = -100
            loss = model(input_ids=ids, labels=labels, use_cache=False).loss
            total, count = total + loss * sequence.num_targets, count + sequence.num_targets
    return total / count


def test_three_steps_are_those_of_peft_and_plain_adamw(
    make_model: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    units, mine = make_units(3), adapted(make_model())
    start = {name: weight.clone() for name, weight in adapter_weights(mine).items()}
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    theirs = get_peft_model(make_model(attention="eager"), config)
    trained = [p for p in theirs.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter, value in zip(trained, start.values(), strict=True):
            parameter.copy_(value)
    optimizer = torch.optim.AdamW(trained, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        reference_loss(theirs, units).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    data = PackedData(units, Layout(40, 3, 2, False, epochs=3), seed=0)  # a step is an epoch
    train(Learner(mine, SETTINGS), data, NextToken(), tmp_path)
    for (name, found), expected in zip(adapter_weights(mine).items(), trained, strict=True):
        # Adam blows up the last digits of a tiny gradient, so not each number on its own
        moved = (expected.detach() - start[name]).norm()
        assert (found - expected.detach()).norm() <= 1e-3 * moved, name


def test_the_optimizer_and_the_gradient_norm_see_adapters_alone(
    make_model: Callable[..., Any],
) -> None:
    learner = Learner(adapted(make_model()), SETTINGS)
    (optimizer,) = learner.optimizers
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    named = dict(learner.model.named_parameters())
    assert held == {id(named[name]) for name in adapter_weights(learner.model)}
    for parameter in named.values():
        parameter.grad = torch.ones_like(parameter)
    count = sum(weight.numel() for weight in adapter_weights(learner.model).values())
    assert learner.gradient_norm() == pytest.approx(count**0.5)


class ProcessDiedError(Exception):
    """Stands for the death of the process."""


@pytest.fixture
def run(make_model: Callable[..., Any], make_units: Callable[..., Any]) -> Callable[..., Any]:
    """Train adapters with dropout in a folder, as a new process would; it may die in a step."""

    def go(folder: Path, dying_at: int = -1) -> Any:
        folder.mkdir(exist_ok=True)
        data = PackedData(make_units(30), Layout(40, 2, 1, True, epochs=9, max_steps=8), seed=4)
        steps = data.step

        def step(number: int) -> Any:
            if number == dying_at:
                raise ProcessDiedError
            return steps(number)

        data.step = step  # type: ignore[method-assign]
        model = adapted(make_model(), replace(LORA, dropout=0.3))
        train(Learner(model, SETTINGS), data, NextToken(), folder)
        return model

    return go


@pytest.mark.parametrize("step", [1, 4, 7])
def test_death_in_training_with_dropout_changes_nothing(
    step: int, run: Callable[..., Any], make_model: Callable[..., Any], tmp_path: Path
) -> None:
    straight = run(tmp_path / "straight")
    with pytest.raises(ProcessDiedError):
        run(tmp_path / "again", dying_at=step)
    again = run(tmp_path / "again")
    for (name, one), other in zip(again.named_parameters(), straight.parameters(), strict=True):
        assert torch.equal(one, other), name
    base = {p.data_ptr(): p for p in straight.parameters() if not p.requires_grad}
    for mine, start in zip(base.values(), make_model().parameters(), strict=True):
        assert torch.equal(mine, start)


def test_a_checkpoint_holds_the_adapters_alone(run: Callable[..., Any], tmp_path: Path) -> None:
    from torch.distributed.checkpoint import FileSystemReader

    with pytest.raises(ProcessDiedError):
        run(tmp_path, dying_at=4)
    (checkpoint,) = (tmp_path / "checkpoints").glob("step-*")
    names = FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    assert sum(name.startswith("model.") for name in names) == 16
    assert all("lora_" in name or "param_groups" in name for name in names)


def gradients(model: Any, units: list[Unit], how: Any) -> dict[str, torch.Tensor]:
    model.train()
    learner = Learner(model, SETTINGS, parallelism=Parallelism(activation_checkpointing=how))
    torch.manual_seed(0)  # for dropout
    batch = collate([[unit] for unit in units])
    learner.score(batch, 1.0, with_entropy=False).logprobs_N.mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("how", ["selective", "full"])
def test_recomputed_activations_give_the_same_gradients(
    how: str, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    settings = replace(LORA, dropout=0.3)
    expected = gradients(adapted(make_model(), settings), make_units(4), "none")
    found = gradients(adapted(make_model(), settings), make_units(4), how)
    assert len(found) == 16 and found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], msg=said(name))
    assert sum(gradient.abs().sum() for gradient in found.values()) > 0


def test_adapters_stay_in_float32_where_the_forward_pass_is_in_bfloat16(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    units, model = make_units(4), make_model()
    compute_in_bfloat16(model)
    found = gradients(adapted(model), units, "none")
    exact = gradients(adapted(make_model()), units, "none")
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert (gradient - exact[name]).norm() <= 0.05 * exact[name].norm(), name


def learn_together(given: Path) -> dict[str, Any]:
    """The adapters after four steps in this world, which a sampler's copy of the model has too."""
    torch.set_num_threads(1)
    world = join()
    model, units = torch.load(given, weights_only=False)
    copy = adapted(deepcopy(model))
    learner = Learner(adapted(model), SETTINGS, world)
    data = PackedData(units, Layout(40, 4, 1, True, epochs=9, max_steps=4), seed=4, world=world)
    train(learner, data, NextToken(), given.with_name(f"of-{world.size}"))
    weights = adapter_weights(model)
    learner.copy_weights_to(copy)
    if learner.is_sharded:
        assert all(torch.equal(w, weights[name]) for name, w in adapter_weights(copy).items())
    leave()
    return {name: weight.numpy() for name, weight in weights.items()}


def test_two_processes_train_the_adapters_that_one_trains(
    processes: Any,
    make_model: Callable[..., Any],
    make_units: Callable[..., Any],
    tmp_path: Path,
) -> None:
    given = tmp_path / "given.pt"
    for size in (1, 2):
        (tmp_path / f"of-{size}").mkdir()
    torch.save((make_model(), make_units(30)), given)
    alone = learn_together(given)
    for together in processes(2, learn_together, given).results():
        assert together.keys() == alone.keys() and len(alone) == 16
        for name, weight in together.items():
            np.testing.assert_allclose(weight, alone[name], atol=1e-4, rtol=1e-3, err_msg=name)
