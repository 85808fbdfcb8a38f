"""What a step's groups show, before anything is chosen from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minireason.records import Group
from minireason.rl.groups import has_signal


def group_metrics(groups: Sequence[Group], reward_names: Sequence[str]) -> dict[str, float]:
    """Means over the sampled responses, lengths in tokens; a mean of nothing is left out.

    `zero_signal_rate` is the share of groups whose rewards are all equal. Rewards are of what could
    be told, `reward_NAME` before its weight.
    """
    verdicts = [verdict for group in groups for verdict in group.verdicts]
    tokens = np.array([len(ids) for group in groups for ids in group.response_ids])
    reasons = [reason for group in groups for reason in group.finish_reasons]
    rewards = [reward for group in groups for reward in group.rewards]
    parts = [part for group in groups for part in group.reward_parts]
    is_correct = np.array([verdict == "correct" for verdict in verdicts], dtype=bool)
    is_incorrect = np.array([verdict == "incorrect" for verdict in verdicts], dtype=bool)
    means = {
        "reward_mean": _known(rewards),
        "pass_rate": is_correct[is_correct | is_incorrect],
        "unknown_rate": ~(is_correct | is_incorrect),
        "zero_signal_rate": np.array([not has_signal(group) for group in groups]),
        "mean_tokens": tokens,
        "correct_tokens": tokens[is_correct],
        "incorrect_tokens": tokens[is_incorrect],
        "truncation_rate": np.array([reason == "length" for reason in reasons]),
    }
    if len(reward_names) > 1:
        for name, column in zip(reward_names, zip(*parts, strict=True), strict=True):
            means[f"reward_{name}"] = _known(column)
    found = {name: float(values.mean()) for name, values in means.items() if len(values)}
    return found | {
        "p95_tokens": float(np.quantile(tokens, 0.95)),
        "num_sampled": float(len(tokens)),
        "generated_tokens": float(tokens.sum()),
    }


def _known(values: Sequence[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None])
