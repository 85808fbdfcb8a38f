"""A model over two processes learns what it learns in one, however it is spread."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Phi3Config, Phi3ForCausalLM

from minireason.model.attention import ATTENTION
from minireason.model.precision import compute_in_bfloat16
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Layout, PackedData, Step, StepSource, deal
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives import Objective
from minireason.train.objectives.dpo import dpo
from minireason.train.objectives.next_token import NextToken
from minireason.train.objectives.policy_gradient import PolicyGradient
from minireason.train.objectives.preference import Preference
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import TokenSequence, Unit
from minireason.train.parallel import Parallelism
from minireason.world import ALONE, World, join

SETTINGS = OptimizerSettings(1e-3, 0.1, 0.9, 0.95, 1.0, 0.0, "constant", checkpoint_every=2)
OBJECTIVES: dict[str, Objective] = {
    "next_token": NextToken(),
    "dpo": Preference(dpo, beta=0.5, nll_weight=0.2),
    "policy_gradient": PolicyGradient(average="responses", kl_weight=0.1),
}


def new_model(seed: int = 0, *, tied: bool = True) -> Any:
    torch.set_num_threads(1)
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    config = Phi3Config(
        vocab_size=97,
        hidden_size=64,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.1,
        pad_token_id=0,
        tie_word_embeddings=tied,
        rope_parameters=rope,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Phi3ForCausalLM._from_config(config, attn_implementation=ATTENTION)


def new_units(count: int = 12) -> list[Unit]:
    """Pairs of sequences, with what every objective needs."""
    rng = random.Random(0)

    def sequence() -> TokenSequence:
        length = rng.randint(3, 20)
        targets = rng.randint(1, length - 1)
        some = [[-rng.random() * 5 for _ in range(targets)] for _ in range(2)]
        values = {"advantages": rng.uniform(-1, 1), "old_logprobs": some[0]}
        ids = [rng.randrange(1, 97) for _ in range(length)]
        return TokenSequence(ids, targets, {**values, "reference_logprobs": some[1]})

    return [[sequence(), sequence()] for _ in range(count)]


class Dying(StepSource):
    """Data whose process dies before a step."""

    def __init__(self, data: PackedData, at: int) -> None:
        self.data, self.num_steps, self.at = data, data.num_steps, at

    def step(self, number: int) -> Step:
        if number == self.at:
            raise RuntimeError("died")
        return self.data.step(number)

    def largest(self) -> Any:
        return self.data.largest()


def learn(
    folder: Path,
    options: dict[str, Any],
    world: World = ALONE,
    dies_at: int = -1,
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Whole weights and metrics after six steps of three rows: one process goes without a row."""
    model = new_model(tied=options.get("tied", True))
    settings = replace(SETTINGS, name=options.get("optimizer", "adamw"))
    dtype = torch.bfloat16 if options.get("bfloat16") else torch.float32
    if options.get("bfloat16"):
        compute_in_bfloat16(model)
    parallelism = Parallelism(**options.get("parallel", {}))
    learner = Learner(model, settings, world, parallelism, dtype)
    layout = Layout(40, 3, options.get("rows", 1), "best-fit", epochs=30, max_steps=6)
    data = PackedData(new_units(), layout, seed=1, world=world)
    lines: list[dict[str, float]] = []
    watcher = Watcher(step=lambda done, total, metrics, timing: lines.append(metrics))
    objective = OBJECTIVES[options.get("objective", "next_token")]
    try:
        train(learner, Dying(data, dies_at), objective, folder, watcher)
    except RuntimeError as error:
        assert str(error) == "died"
    weights = {name: weight.numpy() for name, weight in learner.whole_weights().items()}
    return weights, lines


def learn_together(folder: Path, options: dict[str, Any], dies_at: int = -1) -> Any:
    world = join()
    if "local" in options:
        world = replace(world, size_of_machine=options["local"])
    return learn(folder, options, world, dies_at)


def assert_alike(one: Any, other: Any, by: float = 1e-5) -> None:
    """Equal losses and weights, and weights that have gone the same way."""
    start = dict(new_model(tied="lm_head.weight" not in one[0]).named_parameters())
    assert one[0].keys() == other[0].keys() and len(one[1]) == len(other[1])
    for name, weight in one[0].items():
        moved = weight - start[name].detach().numpy()
        difference = np.linalg.norm(weight - other[0][name])
        assert difference < 1e-2 * np.linalg.norm(moved), name
    for a, b in zip(one[1], other[1], strict=True):
        assert a.keys() == b.keys()
        assert a == pytest.approx(b, rel=by, abs=by)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rows": 2},
        {"tied": False},
        {"optimizer": "muon"},
        {"objective": "dpo"},
        {"objective": "policy_gradient"},
        {"local": 1, "parallel": {"sharding": "hybrid"}},
        {"parallel": {"activation_checkpointing": "full"}},
        {"parallel": {"activation_checkpointing": "selective"}},
        {"parallel": {"cpu_offload": True}},
    ],
    ids=lambda options: ",".join(f"{k}={v}" for k, v in options.items()) or "plain",
)
def test_two_processes_learn_what_one_does(
    options: dict[str, Any], processes: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "two").mkdir(), (tmp_path / "one").mkdir()
    main, other = processes(2, learn_together, tmp_path / "two", options).results()
    alone = learn(tmp_path / "one", {k: v for k, v in options.items() if k != "parallel"})
    assert_alike(alone, main)
    assert main[1] == other[1] and other[0] == {}
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 6


def test_in_bfloat16_two_processes_learn_much_what_one_does(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "two").mkdir(), (tmp_path / "one").mkdir()
    main, _ = processes(2, learn_together, tmp_path / "two", {"bfloat16": True}).results()
    alone = learn(tmp_path / "one", {"bfloat16": True})
    (tmp_path / "exact").mkdir()
    losses = [[line["loss"] for line in lines] for _, lines in (alone, main)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0] != [line["loss"] for line in learn(tmp_path / "exact", {})[1]]


@pytest.mark.parametrize("how", ["selective", "full"])
def test_recomputed_activations_change_nothing_in_one_process(how: str, tmp_path: Path) -> None:
    (tmp_path / "held").mkdir(), (tmp_path / "again").mkdir()
    held = learn(tmp_path / "held", {})
    again = learn(tmp_path / "again", {"parallel": {"activation_checkpointing": how}})
    assert_alike(held, again)


def save_and_read(folder: Path, source: Path | None) -> dict[str, np.ndarray]:
    """Take up `source`'s checkpoint (or make three updates), save it in `folder`, and return it."""
    learner = Learner(new_model(seed=0 if source is None else 1), SETTINGS, join())
    if source is None:
        for seed in range(3):
            for number, parameter in enumerate(learner.model.parameters()):
                torch.manual_seed(100 * seed + number)
                parameter.grad = torch.randn_like(parameter)
            learner.apply_gradients()
    else:
        Checkpoints(source, learner).restore()
    checkpoints = Checkpoints(folder, learner)
    checkpoints.save(1, {})
    checkpoints.wait()
    (optimizer,) = learner.optimizers
    found = {}
    for name, parameter in learner.model.named_parameters():
        state = optimizer.state[parameter]
        for part, tensor in {"weight": parameter, **state}.items():
            whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
            found[f"{name} {part}"] = whole.detach().numpy()
    return found


def test_a_checkpoint_of_two_processes_is_one_s_and_two_s_again_to_the_bit(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    first, _ = processes(2, save_and_read, a, None).results()
    second = save_and_read(b, a)
    third, _ = processes(2, save_and_read, c, b).results()
    assert first.keys() == second.keys() == third.keys() and len(first) > 40
    for name, values in first.items():
        assert np.array_equal(values, second[name]) and np.array_equal(values, third[name]), name


def test_a_run_goes_on_with_one_process_and_with_two_again(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "changing").mkdir(), (tmp_path / "straight").mkdir()
    straight = learn(tmp_path / "straight", {})
    folder = tmp_path / "changing"
    parts = [processes(2, learn_together, folder, {}, 3).results()[0]]
    parts += [learn(folder, {}, dies_at=5)]
    parts += [processes(2, learn_together, folder, {}).results()[0]]
    assert [len(lines) for _, lines in parts] == [3, 3, 2]  # from 0 to 3, 2 to 5, 4 to 6
    assert_alike(straight, (parts[-1][0], parts[0][1][:2] + parts[1][1][:2] + parts[2][1]))


def test_every_process_gets_as_many_micro_batches_and_like_costs_at_a_time() -> None:
    costs = [5, 9, 1, 7, 3, 8, 2, 6, 4]
    dealt = deal(costs, num_ranks=2, size=2)
    assert [[len(part) for part in mine] for mine in dealt] == [[2, 2, 1], [2, 2, 0]]
    assert sorted(row for mine in dealt for part in mine for row in part) == list(range(9))
    sums = [[sum(costs[row] for row in part) for part in mine] for mine in dealt]
    assert sums == [[15, 7, 1], [15, 7, 0]]


def test_one_process_keeps_the_order_of_the_rows() -> None:
    assert deal([1, 5, 3], num_ranks=1, size=2) == [[[0, 1], [2]]]
