"""Our side: the stage `rlvr`, as a recipe runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from beside_grpo.task import Measured, Task
from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.stages.rlvr import rlvr
from minireason.step import StepContext

NEVER = 10**9


def train(task: Task, folder: Path) -> list[Measured]:
    """What each step took; weights that are to be kept are in the stage's checkpoints."""
    folder.mkdir(parents=True)
    inputs = {"model": Path(task.model), "prompts": Path(task.prompts)}
    if not inputs["model"].is_dir():
        del inputs["model"]
    rlvr(StepContext(recipe(task), folder, inputs, Progress(is_quiet=True)))
    lines = zip(_lines(folder / "timing.jsonl"), _lines(folder / "metrics.jsonl"), strict=True)
    return [_measured(timing, metrics) for timing, metrics in lines]


def kept(folder: Path) -> list[Path]:
    """Where the kept weights are, in order."""
    return sorted((folder / "checkpoints").glob("step-*"))


def recipe(task: Task) -> Recipe:
    return Recipe.model_validate(
        {
            "run": {
                "seed": task.seed,
                "threads": task.threads,
                "device": "cpu",
                "stages": ["rlvr"],
            },
            "questions": {"limit": 1},  # of which this stage reads none
            "model": {"base": task.model, "max_length": 1024},
            "optimizer": {
                "weight_decay": 0.0,
                "warmup_ratio": 0.0,
                "schedule": "constant",
                "checkpoint_every": task.kept_every or NEVER,
                "keep_checkpoints": NEVER,
            },
            "rlvr": {
                "algorithm": "grpo",
                "learning_rate": task.learning_rate,
                "num_steps": task.num_steps,
                "prompts_per_step": task.prompts_per_step,
                "group_size": task.group_size,
                "micro_batch_size": task.rows,
                "max_tokens": task.max_tokens,
                "anneal_fraction": 0.0,
                "rebalance": False,
                "samples_every": NEVER,
            },
            "sampler": {"max_batch": task.max_batch},
        }
    )


def _measured(timing: dict[str, float], metrics: dict[str, float]) -> Measured:
    return Measured(
        seconds=timing["elapsed_s"] - timing.get("checkpoint_s", 0.0),
        sampling_s=timing["sample_s"],
        reward_s=0.0,
        num_responses=int(metrics["num_sampled"]),
        num_tokens=int(metrics["generated_tokens"]),
        pass_rate=metrics["pass_rate"],
        unknown_rate=metrics["unknown_rate"],
        without_signal=metrics["zero_signal_rate"],
        grad_norm=metrics["grad_norm"],
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
