import itertools

import numpy as np
import pytest

from minireason.errors import DataError
from minireason.evaluate.compare import compare, sign_flip_p_value


def slow_p_value(differences: list[float]) -> float:
    observed = abs(sum(differences))
    signs = itertools.product([1, -1], repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(row, differences, strict=True))) for row in signs]
    return sum(value >= observed - 1e-9 for value in sums) / len(sums)


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_equals_that_of_all_sign_patterns(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-4, 6, 10)
    assert sign_flip_p_value(differences) == pytest.approx(slow_p_value(differences.tolist()))


def test_checkpoints_with_different_numbers_of_samples_compare_by_rate(make_samples) -> None:
    earlier = make_samples(["10", "00", "11", "01", "00"])
    later = make_samples(["111", "010", "111", "110", "100"])
    result = compare(earlier, later)
    rates = [1 - 1 / 2, 1 / 3, 0, 2 / 3 - 1 / 2, 1 / 3]
    assert result.difference == pytest.approx(sum(rates) / 5)
    assert result.p_value == pytest.approx(slow_p_value(rates))
    assert result.ci_low <= result.difference <= result.ci_high


def test_pairing_makes_the_interval_narrower_than_two_separate_ones(make_samples) -> None:
    result = compare(make_samples(["1"] * 50 + ["0"] * 50), make_samples(["1"] * 60 + ["0"] * 40))
    assert result.difference == pytest.approx(0.1)
    assert result.ci_low > 0
    assert result.p_value == pytest.approx(2 / 2**10)


def test_equal_checkpoints_have_no_difference_and_p_one(make_samples) -> None:
    samples = make_samples(["10", "11", "00"])
    result = compare(samples, samples)
    assert (result.difference, result.p_value) == (0.0, 1.0)
    assert result.ci_low < 0 < result.ci_high


def test_from_zero_to_hundred_percent(make_samples) -> None:
    result = compare(make_samples(["00"] * 20), make_samples(["11"] * 20))
    assert (result.difference, result.ci_high) == (1.0, 1.0)
    assert 0.7 < result.ci_low < 1.0
    assert result.p_value == pytest.approx(2 / 2**20)


def test_different_question_sets_are_refused_by_name(make_samples) -> None:
    with pytest.raises(DataError, match=r"'q001' of held-out was answered by the later"):
        compare(make_samples(["1"]), make_samples(["1", "0"]))


def test_different_benchmarks_are_refused(make_samples) -> None:
    with pytest.raises(DataError, match="cannot compare held-out with other"):
        compare(make_samples(["1"]), make_samples(["1"], benchmark="other"))
