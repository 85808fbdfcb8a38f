"""The form of `summary.json`: what one rung of the ladder measured."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

RUNGS = ("base", "midtrain", "sft", "dpo", "rlvr")


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


def rung_rank(rung: str) -> tuple[int, str]:
    """Sort key of a rung: the order of the recipe, then unknown names alphabetically."""
    return (RUNGS.index(rung) if rung in RUNGS else len(RUNGS), rung)
