"""What requests used: how often was asked, how many tokens it took, what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests sent (`retries` of them not the first), and tokens of those that were answered.

    `reasoning_tokens` are part of the completion tokens; 0 where the server does not tell.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = asdict(self), asdict(other)
        return Usage(**{name: mine[name] + theirs[name] for name in mine})

    def cost(self, prices: Sequence[float]) -> float:
        """In the unit of `prices`, those of a million prompt and of a million completion tokens."""
        prompt, completion = prices
        return (self.prompt_tokens * prompt + self.completion_tokens * completion) / 1e6


def read_usage(body: Mapping[str, Any]) -> Usage:
    """The tokens a chat completion says it took; 0 for what it does not say."""
    usage = _mapping(body.get("usage"))
    details = _mapping(usage.get("completion_tokens_details"))
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(details.get("reasoning_tokens"))
        or _count(usage.get("reasoning_tokens")),  # SGLang has it one level higher
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value < 1e15 else 0
