"""What a run folder holds, read for the report.

A part that is absent is None or empty, and the page says so. A part that is there but cannot be
read raises DataError naming the file: a page with a silent hole would be believed.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from minireason.errors import DataError, MissingError
from minireason.evaluate.schema import RUNGS, Summary, read_summary
from minireason.records import EvalSample, read_records
from minireason.report.policy_samples import has_samples

STAGES = ("pretrain", "midtrain", "sft", "dpo", "rlvr")
DATA_STEPS = ("questions", "rollout", "verify", "curate", "pairs", "prompts")
STEPS = (*DATA_STEPS[:4], "pretrain", "midtrain", "sft", "pairs", "dpo", "prompts", "rlvr")

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Rung:
    """An evaluated rung; `samples` is empty where the evaluation kept none."""

    summary: Summary
    samples: dict[str, list[EvalSample]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A training stage: for each metric its (step, value) points, in step order."""

    metrics: dict[str, Points]
    timing: dict[str, Points]


@dataclass(frozen=True, slots=True)
class Step:
    """A finished step: its row counts by name, and the seconds it took, where known."""

    name: str
    rows: dict[str, Any]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything the report shows; `rungs`, `stages` and `steps` hold what has run, in order."""

    name: str
    rungs: dict[str, Rung]
    stages: dict[str, Stage]
    steps: list[Step]
    recipe: str = ""
    command: str = ""
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    has_policy_samples: bool = False


def load_run(run_dir: Path) -> RunData:
    """Read a run folder. Raises MissingError when it is not a folder, DataError when unreadable."""
    if not run_dir.is_dir():
        raise MissingError(f"{run_dir} is not a run folder; give the folder that `run` wrote")
    run = _read_object(run_dir / "run.json") or {}
    command = run.get("command") or ""
    recipe = run.get("recipe") or ""
    versions = run.get("versions") or {}
    if not isinstance(versions, dict):
        raise DataError(f"{run_dir / 'run.json'}: versions must be an object of name: version")
    rungs = {name: _load_rung(run_dir / f"evaluate-{name}") for name in RUNGS}
    stages = {name: _load_stage(run_dir / name) for name in STAGES}
    steps = [_load_step(run_dir / name, name) for name in STEPS]
    return RunData(
        name=str(run.get("name") or run_dir.resolve().name),
        rungs={name: rung for name, rung in rungs.items() if rung is not None},
        stages={name: stage for name, stage in stages.items() if stage is not None},
        steps=[step for step in steps if step is not None],
        recipe=recipe if isinstance(recipe, str) else json.dumps(recipe, indent=2),
        command=shlex.join(command) if isinstance(command, list) else str(command),
        created=str(run.get("created") or ""),
        versions={str(key): str(value) for key, value in versions.items()},
        has_policy_samples=has_samples(run_dir),
    )


def _read_object(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a JSON object, not {type(content).__name__}")
    return content


def _load_rung(folder: Path) -> Rung | None:
    path = folder / "summary.json"
    if not path.exists():
        return None
    summary = read_summary(path)
    samples: dict[str, list[EvalSample]] = defaultdict(list)
    for file in sorted((folder / "samples").glob("*.parquet")):
        try:
            for sample in read_records(file, EvalSample):
                samples[sample.benchmark].append(sample)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{file} is not a readable Parquet file: {error}") from error
    return Rung(summary, dict(samples))


def _load_stage(folder: Path) -> Stage | None:
    path = folder / "metrics.jsonl"
    if not path.exists():
        return None
    timing = folder / "timing.jsonl"
    return Stage(_read_series(path), _read_series(timing) if timing.exists() else {})


def _read_series(path: Path) -> dict[str, Points]:
    """Each numeric key as points over "step"; a step logged twice counts as logged last."""
    series: dict[str, dict[float, float]] = defaultdict(dict)
    for number, row in _read_lines(path):
        step = row.get("step")
        if step is None or not _is_number(step):
            raise DataError(f'{path}, line {number} has no numeric "step"')
        for key, value in row.items():
            if key != "step" and _is_number(value):
                series[key][step] = float(value)
    return {key: sorted(values.items()) for key, values in series.items()}


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number} is not readable JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number} must be a JSON object")
        yield number, row


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _load_step(folder: Path, name: str) -> Step | None:
    path = folder / "manifest.json"
    content = _read_object(path)
    if content is None:
        return None
    rows = content.get("rows") or {}
    if not isinstance(rows, dict):
        raise DataError(f"{path}: rows must be an object of name: count")
    seconds = content.get("seconds")
    return Step(name, rows, float(seconds) if _is_number(seconds) else None)  # type: ignore[arg-type]
