"""A reward for trainers that call a function on a batch of completions, as TRL's do.

GRPOTrainer(..., reward_funcs=accuracy_reward)    # the data set has a column `solution`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minireason.verify.verifier import verify_batch

Completion = str | Sequence[Mapping[str, Any]]


def accuracy_reward(
    completions: Sequence[Completion], solution: Sequence[str], **_columns: Any
) -> list[float | None]:
    """1.0 for a correct completion, 0.0 for an incorrect one, None where it cannot be read.

    A completion is a text or a list of messages, of which the last one counts; `solution` is the
    reference answer, with or without the work before it. Other columns are ignored.
    """
    texts = [c if isinstance(c, str) else str(c[-1]["content"]) for c in completions]
    items = [(text, reference, "") for text, reference in zip(texts, solution, strict=True)]
    rewards = {"correct": 1.0, "incorrect": 0.0, "unknown": None}
    return [rewards[decision.verdict] for decision in verify_batch(items)]
