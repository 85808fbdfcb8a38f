"""RLVR with each algorithm, several rewards and sampling ahead: trains, repeats and resumes."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from processes import command
from safetensors.numpy import load_file

from minireason.records import PolicySample, read_records

AHEAD = ["rlvr.staleness=1", "rlvr.updates_per_step=2", "optimizer.checkpoint_every=1"]
PPO = ["rlvr.algorithm=ppo", "rlvr.critic_learning_rate=1e-4", "optimizer.checkpoint_every=1"]


@pytest.fixture
def rlvr(smoke_run, smoke_arguments, tmp_path):
    """A run in which RLVR is to do, by these overrides: the command, and the stage's folder."""

    def prepare(overrides, name="run"):
        run_dir = Path(shutil.copytree(smoke_run, tmp_path / name))
        shutil.rmtree(run_dir / "rlvr")
        words = [word for override in overrides for word in ("--set", override)]
        only = ["--out", str(run_dir), "--only", "rlvr"]
        arguments = ["run", *smoke_arguments, *words, *only]
        return arguments, run_dir / "rlvr"

    return prepare


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def train(world, words):
    world(1, command, *words).results(timeout_s=100)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["dr_grpo", "dapo", "rloo", "reinforce_pp", "srpo", "ppo"])
def test_every_algorithm_trains(algorithm, rlvr, processes, smoke_run):
    words, folder = rlvr([f"rlvr.algorithm={algorithm}", "rlvr.kl_weight=0.01"])
    train(processes, words)
    found = metrics(folder)
    assert len(found) == 4
    learnt = [line for line in found if line["num_kept"]]
    assert learnt, "no step had anything to learn from"
    for line in learnt:
        assert line["ratio_min"] == pytest.approx(1, abs=1e-4)  # one update: exactly on-policy
        assert line["ratio_max"] == pytest.approx(1, abs=1e-4)
        assert line["kl"] >= 0 and line["grad_norm"] > 0
    before = load_file(smoke_run / "dpo" / "model.safetensors")
    after = load_file(folder / "model.safetensors")
    assert any(np.any(after[name] != before[name]) for name in before)
    if algorithm == "ppo":
        assert all("critic_loss" in line for line in learnt)
    if algorithm == "dapo":
        assert "reward_overlong" in found[0]


@pytest.mark.slow
def test_rewards_add_up_and_are_kept_with_the_samples(rlvr, processes, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def brevity(question, response, answer): return 1 / (1 + len(response))\n")
    rewards = f'{{correct = 1.0, format = 0.5, "{file}:brevity" = 0.25}}'
    words, folder = rlvr([f"rlvr.rewards={rewards}", "rlvr.samples_every=2"])
    train(processes, words)
    parts = sorted((folder / "samples").iterdir())
    assert [path.name for path in parts] == ["step-000002.parquet", "step-000004.parquet"]
    samples = [sample for path in parts for sample in read_records(path, PolicySample)]
    assert len(samples) >= 2 * 4 * 4
    for sample in samples:
        assert sample.reward_names == ["correct", "format", f"{file}:brevity"]
        correct, form, brief = sample.reward_parts
        assert brief == pytest.approx(1 / (1 + len(sample.response)))
        if sample.verdict == "unknown":
            assert correct is None and sample.reward is None and sample.advantage is None
        else:
            assert sample.reward == pytest.approx(correct + 0.5 * form + 0.25 * brief)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [AHEAD, PPO], ids=["ahead", "ppo"])
def test_a_kill_and_a_resume_end_as_if_nothing_had_been(overrides, rlvr, processes):
    words, straight = rlvr(overrides, "straight")
    train(processes, words)
    words, folder = rlvr(overrides, "killed")
    for awaited in ("buffer/step-000001.parquet", "checkpoints/step-000002", "metrics.jsonl"):
        world = processes(1, command, *words)
        while not (folder / awaited).exists() and world.members[0].is_alive():
            time.sleep(0.001)
        world.kill()
    train(processes, words)
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes(), name


@pytest.mark.slow
def test_sampling_ahead_is_learnt_from_with_importance(rlvr, processes):
    words, folder = rlvr(AHEAD)
    train(processes, words)
    found = metrics(folder)
    assert [line["staleness"] for line in found] == [0, 1, 1, 1]
    assert "importance_mean" not in found[0]
    assert [line["importance_mean"] for line in found[1:]] == pytest.approx([1] * 3, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [AHEAD, PPO], ids=["ahead", "ppo"])
def test_two_processes_train_as_one(overrides, rlvr, processes):
    words, alone = rlvr(overrides, "alone")
    train(processes, words)
    words, together = rlvr(overrides, "together")
    processes(2, command, *words).results(timeout_s=100)
    for one, two in zip(metrics(alone), metrics(together), strict=True):
        assert one == pytest.approx(two, rel=1e-3, abs=1e-4)
