"""The form of `summary.json`: what one rung of the ladder measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from minireason.errors import DataError

# A run starts from a base model or, in the demo's own recipe, by pretraining one.
RUNGS = ("pretrain", "base", "midtrain", "sft", "dpo", "rlvr")


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Rate(_Model):
    """pass@1 of some questions with its 95 % interval; shares of 1."""

    pass_at_1: float
    ci_low: float
    ci_high: float
    num_questions: int


class LengthHistogram(_Model):
    """Counts of response lengths; bin i holds edges[i] <= tokens < edges[i + 1]."""

    edges: list[float]
    counts: list[int]


class Lengths(_Model):
    """Response lengths in tokens; a mean is null where no response is of its kind."""

    correct_mean: float | None
    incorrect_mean: float | None
    histogram: LengthHistogram


class Change(_Model):
    """The paired change of pass@1 since an earlier rung."""

    rung: str
    difference: float
    ci_low: float
    ci_high: float
    p_value: float

    @property
    def is_beyond(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.ci_low > 0 or self.ci_high < 0


class BenchmarkSummary(Rate):
    """One benchmark of one rung."""

    num_samples: int
    mean_tokens: float
    truncation_rate: float
    unknown_rate: float
    by_domain: dict[str, Rate]
    by_level: dict[str, Rate]
    lengths: Lengths
    against_previous: Change | None = None


class Summary(_Model):
    """One rung: the model, how it was sampled, and what each benchmark gave."""

    rung: str
    model: str
    sampling: dict[str, Any] = Field(default_factory=dict)
    benchmarks: dict[str, BenchmarkSummary]


def read_summary(path: Path) -> Summary:
    """Read a `summary.json`. Raises DataError naming the file, and the field where one is wrong."""
    try:
        return Summary.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"{path}: {where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable JSON: {error}") from error


def rung_rank(rung: str) -> tuple[int, str]:
    """Sort key of a rung: the order of the recipe, then unknown names alphabetically."""
    return (RUNGS.index(rung) if rung in RUNGS else len(RUNGS), rung)
