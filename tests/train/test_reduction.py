"""Metrics become one number by their names."""

from __future__ import annotations

import pytest

from minireason.train.reduction import mean, total


@pytest.mark.parametrize(
    ("name", "whole", "average"),
    [("loss", 6, 2), ("ratio_max", 3, 3), ("ratio_min", 1, 1), ("max", 6, 2), ("min_ratio", 6, 2)],
)
def test_extremes_go_by_the_end_of_the_name(name: str, whole: float, average: float) -> None:
    assert total(name, [2.0, 3.0, 1.0]) == whole
    assert mean(name, [2.0, 3.0, 1.0]) == average
