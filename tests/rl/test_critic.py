"""A critic that learns beside its policy: alone, over two processes, and through a death."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minireason.model.adapters import LoraSettings, add_adapters
from minireason.model.precision import compute_in_bfloat16
from minireason.model.tiny import build_model
from minireason.rl.algorithms.ppo import PPO
from minireason.rl.critic import Critic, CriticSettings, explained_variance
from minireason.rl.gae import generalized_advantages, whiten
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Step, StepSource, make_updates
from minireason.train.forward import ValueScorer
from minireason.train.learner import Learner
from minireason.train.loop import train
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import MicroBatch, TokenSequence, Unit, collate
from minireason.world import ALONE, World, join

SETTINGS = OptimizerSettings(1e-3, 0.0, 0.9, 0.95, 1.0, 0.2, "cosine", checkpoint_every=2)
GOOD, BAD = 7, 11
"""Tokens of the prompt that foretell the reward."""


def new_units(count: int = 10, seed: int = 0) -> tuple[list[Unit], list[float]]:
    """Responses with old log-probabilities, and their rewards."""
    rng = random.Random(seed)
    units: list[Unit] = []
    rewards = []
    for _ in range(count):
        is_good, length = rng.random() < 0.5, rng.randint(1, 14)
        ids = [5, GOOD if is_good else BAD, *(rng.randrange(20, 90) for _ in range(length))]
        units.append([TokenSequence(ids, length, {"old_logprobs": [-4.5] * length})])
        rewards.append(1.0 if is_good else -1.0)
    return units, rewards


def new_learner(
    world: World = ALONE, seed: int = 0, settings: OptimizerSettings = SETTINGS, **options: Any
) -> Learner:
    torch.set_num_threads(1)
    return Learner(build_model(97, seed, num_layers=2), settings, world, **options)


def new_critic(world: World = ALONE, seed: int = 0, **settings: Any) -> Critic:
    peak = replace(SETTINGS, learning_rate=settings.pop("learning_rate", 3e-3))
    learner = new_learner(world, seed, peak, scorer=ValueScorer)
    return Critic(learner, CriticSettings(**{"lam": 0.9, **settings}))


def taught_critic(world: World = ALONE, num_updates: int = 3, **settings: Any) -> Critic:
    """One whose values are not all 0."""
    critic = new_critic(world, **settings)
    units, rewards = new_units()
    for _ in range(num_updates):
        critic.learn(critic.assess(units, rewards))
    return critic


def test_a_value_does_not_depend_on_what_else_is_asked_for() -> None:
    critic, (units, _) = taught_critic(), new_units(seed=1)
    alone = [critic.values([unit])[0] for unit in units]
    assert [len(values) for values in alone] == [unit[0].num_targets for unit in units]
    assert np.concatenate(alone).std() > 0.01
    for size in (1, 3):
        critic.settings = replace(critic.settings, micro_batch_size=size)
        for one, other in zip(critic.values(units), alone, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_nothing_to_value_is_nothing_to_learn() -> None:
    critic = new_critic()
    assert critic.values([]) == critic.assess([], []) == []
    assert critic.learn([]) == {}


def test_assessed_units_carry_whitened_advantages_returns_and_old_values() -> None:
    critic, (units, rewards) = taught_critic(gamma=0.95), new_units(seed=1)
    values = critic.values(units)
    expected = [
        generalized_advantages(reward, v, 0.9, 0.95)
        for reward, v in zip(rewards, values, strict=True)
    ]
    whitened = whiten([advantages for advantages, _ in expected])
    assessed = critic.assess(units, rewards)
    for i, (sequence,) in enumerate(assessed):
        assert sequence.ids == units[i][0].ids and "old_logprobs" in sequence.values
        np.testing.assert_array_equal(sequence.values["old_values"], values[i])
        np.testing.assert_array_equal(sequence.values["returns"], expected[i][1])
        np.testing.assert_array_equal(sequence.values["advantages"], whitened[i])


def test_a_critic_comes_to_foretell_the_reward() -> None:
    critic, (units, rewards) = new_critic(lam=1.0), new_units(24)
    lines = [critic.learn(critic.assess(units, rewards)) for _ in range(50)]
    assert lines[0]["critic_loss"] == pytest.approx(0.5)  # every value is 0
    assert lines[0]["critic_explained_variance"] == pytest.approx(0, abs=1e-6)
    assert lines[-1]["critic_loss"] < 0.05
    assert lines[-1]["critic_explained_variance"] > 0.9
    unseen, their_rewards = new_units(12, seed=1)
    for reward, values in zip(their_rewards, critic.values(unseen), strict=True):
        assert values[0] * reward > 0


def test_explained_variance_by_hand() -> None:
    values = {"returns": [1.0, -1.0, 1.0, -1.0], "old_values": [0.5, -0.5, 0.5, -0.5]}
    assert explained_variance([[TokenSequence(range(5), 4, values)]]) == 0.75
    equal = {"returns": [1.0, 1.0], "old_values": [0.5, -0.5]}
    assert explained_variance([[TokenSequence(range(3), 2, equal)]]) == 0


class Practice(StepSource):
    """Six steps of PPO on given responses; a state and a file that count what it was asked for."""

    num_steps = 6

    def __init__(self, critic: Critic, written: Path, dies_at: int = -1) -> None:
        self.critic, self.written, self.dies_at = critic, written, dies_at
        self.companions = {"critic": critic.learner}
        self.begun = 0

    def step(self, number: int) -> Step:
        if number == self.dies_at:
            raise RuntimeError("died")
        self.begun += 1
        assert self.begun == number + 1
        units = self.critic.assess(*new_units(9, seed=number))
        metrics = self.critic.learn(units)
        return Step(make_updates(units, 1, 1, self.critic.learner.world), metrics=metrics)

    def largest(self) -> MicroBatch:
        return collate([new_units(2)[0]])

    def state_dict(self) -> dict[str, Any]:
        return {"begun": self.begun}

    def files(self) -> dict[str, Path]:
        self.written.write_text(str(self.begun))
        return {"begun.txt": self.written}

    def load_state_dict(self, state: dict[str, Any], files: Mapping[str, Path]) -> None:
        self.begun = state.get("begun", 0)
        assert [path.read_text() for path in files.values()] == [str(self.begun)] * bool(self.begun)


def practise(
    folder: Path, world: World = ALONE, dies_at: int = -1, **settings: Any
) -> dict[str, np.ndarray]:
    """Weights of policy and critic after PPO from the newest checkpoint, as a new process would."""
    folder.mkdir(exist_ok=True)
    policy = new_learner(world)
    critic = new_critic(world, updates_per_step=2, **settings)
    try:
        train(
            policy,
            Practice(critic, folder / "begun.txt", dies_at),
            PPO.objective(max_tokens=14),
            folder,
        )
    except RuntimeError as error:
        assert str(error) == "died"
    return {
        f"{name}/{parameter}": weight.numpy()
        for name, learner in (("policy", policy), ("critic", critic.learner))
        for parameter, weight in learner.whole_weights().items()
    }


def practise_together(folder: Path, dies_at: int = -1) -> dict[str, np.ndarray]:
    return practise(folder, join(), dies_at)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """The weights and the folder of six steps that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    yield practise(folder), folder


@pytest.mark.parametrize("step", [1, 2, 5])
def test_death_in_any_step_changes_neither_policy_nor_critic(
    step: int, straight: tuple[Any, Path], tmp_path: Path
) -> None:
    expected, folder = straight
    practise(tmp_path, dies_at=step)
    found = practise(tmp_path)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    one, other = ((path / "metrics.jsonl").read_bytes() for path in (tmp_path, folder))
    assert one == other


def test_a_critic_with_adapters_trains_them_and_its_head() -> None:
    pytest.importorskip("peft")
    model = build_model(97, 0, num_layers=2)
    add_adapters(model, LoraSettings(rank=2, alpha=4.0))
    critic = Critic(Learner(model, SETTINGS, scorer=ValueScorer), CriticSettings())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    units, rewards = new_units()
    for _ in range(3):
        critic.learn(critic.assess(units, rewards))
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if "lora_" in name or name == "lm_head.weight"}


def test_a_critic_s_values_are_float32_where_its_layers_compute_in_bfloat16() -> None:
    exact = taught_critic()
    model = build_model(97, 0, num_layers=2)
    compute_in_bfloat16(model)
    rounded = Critic(
        Learner(model, SETTINGS, dtype=torch.bfloat16, scorer=ValueScorer), exact.settings
    )
    model.load_state_dict(exact.learner.model.state_dict())
    units, _ = new_units()
    pairs = zip(exact.values(units), rounded.values(units), strict=True)
    for one, other in pairs:
        assert other.dtype == np.float32 and not np.array_equal(one, other)
        np.testing.assert_allclose(one, other, atol=0.05)


def test_a_critic_s_rate_follows_the_schedule_to_a_peak_of_its_own(
    straight: tuple[Any, Path],
) -> None:
    lines = [json.loads(line) for line in (straight[1] / "metrics.jsonl").read_text().splitlines()]
    assert max(line["lr"] for line in lines) == 1e-3
    assert [line["critic_lr"] for line in lines] == pytest.approx([3 * x["lr"] for x in lines])


def assert_moved_alike(found: Any, expected: Any) -> None:
    start = dict(build_model(97, 0, num_layers=2).named_parameters())
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        before = start[name.partition("/")[2]].detach().numpy() if "lm_head" not in name else 0.0
        difference, moved = np.linalg.norm(found[name] - weight), np.linalg.norm(weight - before)
        assert difference < 1e-2 * moved, name


def test_two_processes_practise_as_one_does_and_one_goes_on_with_what_they_saved(
    processes: Callable[..., Any], straight: tuple[Any, Path], tmp_path: Path
) -> None:
    main, other = processes(2, practise_together, tmp_path / "two").results()
    assert other == {}
    assert_moved_alike(main, straight[0])
    processes(2, practise_together, tmp_path / "changing", 3).results()
    practise(tmp_path / "changing", dies_at=5)
    main, _ = processes(2, practise_together, tmp_path / "changing").results()
    assert_moved_alike(main, straight[0])


def values_together(seed: int) -> list[np.ndarray]:
    return taught_critic(join(), micro_batch_size=2).values(new_units(seed=seed)[0])


def test_two_processes_value_as_one_does(processes: Callable[..., Any]) -> None:
    both = processes(2, values_together, 1).results()
    alone = taught_critic(micro_batch_size=2).values(new_units(seed=1)[0])
    for expected, *found in zip(alone, *both, strict=True):
        assert np.array_equal(*found)
        np.testing.assert_allclose(found[0], expected, atol=1e-4)


def save_and_read(folder: Path, source: Path | None) -> dict[str, np.ndarray]:
    """Take up `source`'s checkpoint (or teach anew), save it in `folder`, and return the critic's
    weights and moments."""
    world = join()
    policy = new_learner(world)
    critic = new_critic(world, seed=1) if source else taught_critic(world)
    companions = {"critic": critic.learner}
    if source:
        Checkpoints(source, policy, companions=companions).restore()
    checkpoints = Checkpoints(folder, policy, companions=companions)
    checkpoints.save(1, {})
    checkpoints.wait()
    (optimizer,) = critic.learner.optimizers
    found = {}
    for name, parameter in critic.learner.model.named_parameters():
        for part, tensor in {"weight": parameter, **optimizer.state[parameter]}.items():
            whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
            found[f"{name} {part}"] = whole.detach().numpy()
    assert not policy.optimizers[0].state or source  # it has not begun, and is left so
    return found


def test_a_critic_saved_by_two_processes_is_one_s_and_two_s_again_to_the_bit(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    first, _ = processes(2, save_and_read, a, None).results()
    second = save_and_read(b, a)
    third, _ = processes(2, save_and_read, c, b).results()
    assert first.keys() == second.keys() == third.keys() and len(first) > 40
    for name, values in first.items():
        assert np.array_equal(values, second[name]) and np.array_equal(values, third[name]), name
