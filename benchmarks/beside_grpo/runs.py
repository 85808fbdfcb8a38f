"""What one process measures, by the part of the benchmark that it is for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from beside_grpo import ours
from beside_grpo.held_out import pass_rates
from beside_grpo.task import lay_prompts, task_of

Run = dict[str, Any]


def carry_out(run: Run) -> Any:
    """The number, or the numbers, of a run."""
    # the stage sets ours, and deterministic algorithms, which cost time and TRL is spared
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return PARTS[run["part"]](run)


def prepare(run: Run) -> None:
    folder = Path(run["prompts"])
    folder.mkdir(parents=True)
    lay_prompts(run["model"], folder, run["num_held_out"], only_open=run["only_open"])


def train(run: Run) -> list[dict[str, float]]:
    """The steps of a training, with what was kept in `folder`."""
    return [asdict(step) for step in _side(run).train(task_of(run), Path(run["folder"]))]


def held_out(run: Run) -> list[float]:
    """Pass rates on what was held out: of the model itself (no side), or of what a training kept"""
    weights = _side(run).kept(Path(run["folder"])) if "side" in run else [None]
    return pass_rates(task_of(run | {"num_steps": 0}), weights)


def _side(run: Run) -> Any:
    if run["side"] == "ours":
        return ours
    from beside_grpo import theirs

    return theirs


PARTS: dict[str, Callable[[Run], Any]] = {"prepare": prepare, "train": train, "held_out": held_out}
