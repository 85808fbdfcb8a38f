"""Settings that mean nothing are refused with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from minireason.errors import SamplingError
from minireason.rollout.sampling import SamplingParams


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("temperature", -0.1, r"in \[0, 5\]"),
        ("temperature", float("nan"), r"in \[0, 5\]"),
        ("top_p", 0.0, r"in \(0, 1\]"),
        ("top_k", -1, r"0 \(all\) or more"),
        ("max_tokens", 0, "1 or more"),
        ("min_p", 1.5, r"in \[0, 1\]"),
        ("repetition_penalty", 0.0, r"in \(0, 10\]"),
        ("min_tokens", 1025, r"in \[0, max_tokens\]"),
        ("stop", "word", "a tuple of texts"),
        ("stop", ("",), "a tuple of texts"),
        ("stop_ids", (-1,), "a tuple of token ids"),
        ("thinking_budget", -1, r"0 \(no limit\) or more"),
    ],
)
def test_a_setting_out_of_range_is_an_error(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(SamplingError, match=f"{name} is .*; it must be {allowed}"):
        SamplingParams(**{name: value})
