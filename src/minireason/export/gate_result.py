"""What the gate measured, as it stands under `gate` in `export.json`.

Shares are of 1, durations in seconds, log-probabilities in nats; intervals are 95 %. What could not
be measured, because something before it failed, is null.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from minireason.export.footprint import Footprint


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Estimate(_Model):
    """A value with its interval."""

    value: float
    low: float
    high: float


class Agreement(_Model):
    """Greedy responses of both, each to its own tokens.

    `before_difference` is the share of a response's tokens that stand before the first one that
    differs, a mean over responses. `num_other_prompts` of them had other prompts: none should.
    """

    num_responses: int
    num_identical: int
    num_other_prompts: int
    identical: Estimate
    before_difference: Estimate


class Following(_Model):
    """The export fed the original's responses: every position sees the same tokens before it.

    `argmax` is the share of positions whose likeliest token is the same, `distance` and
    `distance_p95` are mean and 95th percentile of the distance between the log-probabilities of the
    token taken, `kl` is KL(original || export) a token.
    """

    num_responses: int
    num_tokens: int
    num_agreed: int
    argmax: Estimate
    distance: Estimate
    distance_p95: float
    kl: Estimate


class Loss(_Model):
    """Accuracy that the export lacks, as shares: below 0 it gained; paired by question."""

    num_questions: int
    num_samples: int
    original: float
    exported: float
    loss: Estimate
    p_value: float


class Responses(_Model):
    """How a model's responses end, and how long they are."""

    num_responses: int
    num_loops: int
    num_cut: int
    mean_tokens: float
    loop_rate: Estimate


class Gate(_Model):
    """Whether an export keeps what its original could, with every figure behind it.

    `not_run` says why nothing was measured here, else it is empty; `failures` are sentences, none
    where the export passes; `doubts` say what this gate was too short to tell.
    """

    settings: dict[str, Any]
    original: str
    weights: str
    not_run: str = ""
    following: Following | None = None
    agreement: Agreement | None = None
    overall: Loss | None = None
    benchmarks: dict[str, Loss] = {}
    original_responses: Responses | None = None
    exported_responses: Responses | None = None
    original_footprint: Footprint | None = None
    exported_footprint: Footprint | None = None
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    versions: dict[str, str] = {}

    @property
    def is_passed(self) -> bool:
        """Whether it was measured and nothing failed."""
        return not self.not_run and not self.failures
