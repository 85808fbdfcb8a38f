"""What a reward is given: a response, its question and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minireason.records import FinishReason
from minireason.verify.verifier import Decision


@dataclass(frozen=True, slots=True)
class Response:
    """A response as it was sampled; `num_tokens` counts its stop token too, of `max_tokens`."""

    question: str
    answer: str
    answer_kind: str
    text: str
    num_tokens: int
    finish_reason: FinishReason
    max_tokens: int


@dataclass(frozen=True, slots=True)
class JudgedResponse(Response):
    """A response with the verifier's decision."""

    decision: Decision


Reward = Callable[[JudgedResponse], float | None]
"""A pure function of one response. None: it cannot be told, and the response leaves its group."""
