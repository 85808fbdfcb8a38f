"""What came of a finished run of a variant."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from minireason.errors import DataError
from minireason.evaluate.metrics import Grid, sample_grid
from minireason.records import EvalSample, read_records
from minireason.runfolder import read_json


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's answers by benchmark, its means over steps, and the noise of its first gradient.

    Reward and response length, in tokens, are means over the last quarter of the steps.
    """

    grids: Mapping[str, Grid]
    zero_signal: float
    reward: float
    response_tokens: float
    generated_tokens: float
    num_steps: int
    noise: Mapping[str, float]


def read_outcome(run_dir: Path, noise_step: str) -> Outcome:
    """Read the run folder of a variant in which every step is finished."""
    lines = metrics_lines(run_dir)
    if not lines:
        raise DataError(f"{run_dir}/rlvr/metrics.jsonl holds no step; delete {run_dir}/rlvr")
    last = lines[-math.ceil(len(lines) / 4) :]
    return Outcome(
        grids=read_grids(run_dir / "evaluate-rlvr"),
        zero_signal=_mean(lines, "zero_signal_rate"),
        reward=_mean(last, "reward_mean"),
        response_tokens=_mean(last, "mean_tokens"),
        generated_tokens=generated_tokens(lines),
        num_steps=len(lines),
        noise=read_json(run_dir / noise_step / "noise.json"),
    )


def read_grids(folder: Path) -> dict[str, Grid]:
    """The answers of an evaluation, by benchmark."""
    settings = read_json(folder / "summary.json")
    names = list(settings["benchmarks"])
    return {
        name: sample_grid(read_records(folder / "samples" / f"{name}.parquet", EvalSample))
        for name in names
    }


def metrics_lines(run_dir: Path) -> list[dict[str, Any]]:
    """The steps that a run has logged so far; the last line may be half written."""
    path = run_dir / "rlvr" / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def generated_tokens(lines: Sequence[Mapping[str, Any]]) -> float:
    return math.fsum(line["generated_tokens"] for line in lines)


def _mean(lines: Sequence[Mapping[str, Any]], name: str) -> float:
    """The mean over the steps that have the metric: a mean of nothing is left out of a line.

    Raises DataError where none has.
    """
    values = [line[name] for line in lines if line.get(name) is not None]
    if not values:
        raise DataError(
            f"no step of {len(lines)} has {name}: none of its responses could be judged; see "
            "whether the verifier reads the answers of these questions"
        )
    return fmean(values)
