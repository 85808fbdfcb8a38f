"""Several models on the same questions: each against the first, paired by question.

With more than one comparison some differ by chance alone, so p-values are also given adjusted by
Holm's method (Scandinavian Journal of Statistics 6(2), 1979) over all of them: below 0.05 there,
the chance of even one false difference among them is at most 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minireason.errors import DataError, MissingError
from minireason.evaluate.compare import PairedDifference, compare
from minireason.evaluate.metrics import PassRate, pass_rate, sample_grid
from minireason.evaluate.schema import RUNGS
from minireason.records import EvalSample, read_records
from minireason.runfolder import read_json

COMPARED_SETTINGS = ("temperature", "top_p", "max_tokens", "prompt", "system_prompt")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One model's samples by benchmark, and how they were sampled."""

    name: str
    samples: dict[str, list[EvalSample]]
    sampling: dict[str, Any]

    def rate(self, benchmark: str) -> PassRate:
        """pass@1 on a benchmark."""
        return pass_rate(sample_grid(self.samples[benchmark]))


@dataclass(frozen=True, slots=True)
class Difference:
    """What a model reaches beyond the first one; `adjusted_p` counts all comparisons."""

    benchmark: str
    model: str
    found: PairedDifference
    adjusted_p: float

    @property
    def is_beyond(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.found.ci_low > 0 or self.found.ci_high < 0


def read_evaluated(folders: Sequence[Path]) -> list[Evaluated]:
    """The evaluations in these folders; a run folder has one for each of its rungs.

    Raises MissingError for a folder that holds none.
    """
    found: list[tuple[Path, str]] = []
    for folder in folders:
        rungs = [folder / f"evaluate-{rung}" for rung in RUNGS]
        parts = [part for part in rungs if (part / "samples").is_dir()]
        if (folder / "samples").is_dir():
            found.append((folder, folder.resolve().name))
        elif parts:
            name = folder.resolve().name
            found += [(part, f"{name} {part.name.removeprefix('evaluate-')}") for part in parts]
        else:
            raise MissingError(
                f"{folder} holds no evaluation; give a folder that `minireason evaluate` wrote, or "
                f"a run folder with evaluated rungs"
            )
    names = [name for _, name in found]
    # folders of one name are told apart by their paths
    is_clear = len(set(names)) == len(names)
    return [_read(part, name if is_clear else str(part)) for part, name in found]


def differences(models: Sequence[Evaluated]) -> list[Difference]:
    """Every later model against the first, benchmark by benchmark of those that both have.

    Raises DataError for fewer than two models, for no common benchmark, and where a benchmark was
    asked with other questions.
    """
    if len(models) < 2:
        raise DataError(f"there is {len(models)} evaluation; a comparison needs two or more")
    first, *others = models
    pairs = [
        (benchmark, other, compare(first.samples[benchmark], other.samples[benchmark]))
        for benchmark in first.samples
        for other in others
        if benchmark in other.samples
    ]
    if not pairs:
        raise DataError(f"{first.name} has no benchmark in common with the others")
    adjusted = holm([found.p_value for _, _, found in pairs])
    return [
        Difference(benchmark, other.name, found, p)
        for (benchmark, other, found), p in zip(pairs, adjusted, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def sampled_differently(models: Sequence[Evaluated]) -> list[str]:
    """What of the sampling differs between the models: a line a setting."""
    lines = []
    for name in COMPARED_SETTINGS:
        values = [model.sampling.get(name) for model in models]
        known = [value for value in values if value is not None]
        if any(value != known[0] for value in known):
            said = ", ".join(f"{m.name} {v!r}" for m, v in zip(models, values, strict=True))
            lines.append(f"{name} differs: {said}")
    return lines


def _read(folder: Path, name: str) -> Evaluated:
    paths = sorted((folder / "samples").glob("*.parquet"))
    summary = read_json(folder / "summary.json") if (folder / "summary.json").is_file() else None
    if not paths or summary is None:
        raise MissingError(f"{folder} is not finished; run its evaluation again to go on")
    if not isinstance(summary, dict):
        raise DataError(f"{folder / 'summary.json'} is no summary; run its evaluation again")
    samples = {path.stem: read_records(path, EvalSample) for path in paths}
    return Evaluated(name, samples, dict(summary.get("sampling", {})))
