"""Evaluating a model: every benchmark asked, judged, measured and written into one folder.

settings.json          with what, exactly
samples/LABEL.parquet  ScoredSample; LABEL.jsonl until all are there
summary.json           Results
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minireason.evaluate.benchmarks import Asked, check_labels
from minireason.evaluate.results import Results, measure
from minireason.evaluate.sample import ScoredSample
from minireason.evaluate.sampling import Sampling, sample_benchmark
from minireason.evaluate.settings import (
    benchmark_settings,
    open_settings,
    sampling_settings,
)
from minireason.inference.backend import Backend
from minireason.progress import Progress
from minireason.runfolder import lock, read_json, versions, write_json
from minireason.verify.verifier import Verifier

SUMMARY = "summary.json"
SPEED = frozenset({"threads", "batch"})  # of no influence on the samples


def evaluate(
    backend: Backend,
    benchmarks: Sequence[Asked],
    sampling: Sampling,
    folder: Path,
    about: Mapping[str, Mapping[str, Any]],
    progress: Progress,
    *,
    prompt: str = "published",
) -> Results:
    """Ask what is missing in `folder`, and write what is measured.

    What was evaluated in it before stays and is among the results. `about` says what the `model` is
    and on which `engine` it runs. Raises RunFolderError where the folder was made with other
    settings or is in use, DataError where two benchmarks have one label, SamplingError where
    samples fail; what is finished stays.
    """
    check_labels(
        benchmarks,
        "their samples would lie in one file; rename one, or evaluate it into another --out",
    )
    engine = dict(about["engine"])
    made_with = {"versions": versions(), "engine": engine}
    kept = {"versions": made_with["versions"], "engine": _without_speed(engine)}
    with lock(folder), Verifier() as verifier:
        settings = open_settings(
            folder,
            {"name": backend.name, **about["model"]},
            sampling_settings(sampling, prompt),
            {one.label: benchmark_settings(one, sampling, made_with) for one in benchmarks},
            sampling.scorer,
        )
        samples: dict[str, list[ScoredSample]] = {}
        (folder / "samples").mkdir(exist_ok=True)
        for one in benchmarks:
            with progress.track(one.label) as advance:
                samples[one.label] = sample_benchmark(
                    backend, one, sampling, verifier, folder / "samples", kept, advance
                )
        asked = {one.label: one for one in benchmarks}
        results = measure(samples, asked, verifier, settings, sampling.scorer)
        everything = results.model_dump()
        path = folder / SUMMARY
        earlier = read_json(path)["benchmarks"] if path.is_file() else {}
        everything["benchmarks"] = earlier | everything["benchmarks"]
        write_json(path, everything)
    return Results.model_validate(everything)


def _without_speed(engine: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in engine.items() if name not in SPEED}
