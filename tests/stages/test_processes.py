"""Every training stage over two processes: as one process, and through deaths and signals."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import command
from safetensors.numpy import load_file

STAGES = ["midtrain", "sft", "dpo", "rlvr"]


@pytest.fixture
def to_do(smoke_run, smoke_arguments, tmp_path):
    """A run in which one stage is to do: the command that does it, and the stage's folder."""

    def prepare(stage, name="run"):
        run_dir = Path(shutil.copytree(smoke_run, tmp_path / name))
        shutil.rmtree(run_dir / stage)
        return ["train", stage, *smoke_arguments, "--out", str(run_dir)], run_dir / stage

    return prepare


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_train_as_one(stage, smoke_run, base, to_do, processes):
    words, folder = to_do(stage)
    processes(2, command, *words).results(timeout_s=100)
    one, two = metrics(smoke_run / stage), metrics(folder)
    assert [line.keys() for line in one] == [line.keys() for line in two]
    for a, b in zip(one, two, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5, abs=1e-5)
        assert a == pytest.approx(b, rel=1e-4, abs=1e-4)
    weights = [load_file(where / "model.safetensors") for where in (smoke_run / stage, folder)]
    start = load_file(base / "model.safetensors")
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        difference = np.abs(weight - weights[1][name]).max()
        assert difference < 1e-5 and difference < 0.1 * np.abs(weight - start[name]).max(), name


@pytest.mark.parametrize("stage", ["midtrain", "rlvr"])
def test_a_process_killed_at_a_random_moment_changes_nothing(stage, to_do, processes):
    words, straight = to_do(stage, "straight")
    processes(2, command, *words).results(timeout_s=100)
    words, folder = to_do(stage, "killed")
    rng = random.Random(stage)
    for awaited in ("metrics.jsonl", "checkpoints/step-000002", "checkpoints/step-000004"):
        world = processes(2, command, *words)
        _wait_for(folder / awaited, world)
        time.sleep(rng.random() * 0.3)
        world.interrupt(rng.randrange(2), signal.SIGKILL)
        world.kill()
    processes(2, command, *words).results(timeout_s=100)
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes(), name


@pytest.mark.parametrize("rank", [0, 1])
def test_sigterm_to_one_process_saves_and_ends_all_with_what_to_do_next(rank, to_do, processes):
    words, folder = to_do("midtrain")
    words += ["--set", "midtrain.max_steps=30"]
    world = processes(2, command, *words)
    _wait_for(folder / "metrics.jsonl", world)
    world.interrupt(rank, signal.SIGTERM)
    assert world.wait() == [0, 0]
    assert "resume with: minireason train midtrain" in world.output(0)
    assert world.output(1) == ""
    done = len(metrics(folder))
    assert [p.name for p in (folder / "checkpoints").iterdir()] == [f"step-{done:06d}"]
    processes(2, command, *words).results(timeout_s=100)
    assert [line["step"] for line in metrics(folder)] == list(range(1, 31))


def test_an_error_in_the_main_process_is_said_once(to_do, processes):
    words, folder = to_do("midtrain")
    (folder.parent / "curate" / "manifest.json").unlink()
    world = processes(2, command, *words)
    assert world.wait() == [2, 2]
    assert "reads curate, which is not finished" in world.output(0)
    assert world.output(1) == ""


@pytest.mark.slow
def test_one_option_starts_several_processes_that_end_together(to_do):
    words, folder = to_do("midtrain")
    line = [sys.executable, "-m", "minireason", *words, "--processes", "2"]
    starter = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    _wait_for(folder / "metrics.jsonl", starter)
    children = subprocess.run(
        ["pgrep", "-P", str(starter.pid)], capture_output=True, text=True, check=True
    )
    ranks = [int(word) for word in children.stdout.split()]
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    _, said = starter.communicate(timeout=60)
    assert starter.returncode != 0 and "Traceback" not in said
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    again = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert again.returncode == 0 and (folder / "manifest.json").is_file(), again.stderr


def _wait_for(path, world, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not (path.exists() and (path.is_dir() or path.read_bytes())):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.002)
