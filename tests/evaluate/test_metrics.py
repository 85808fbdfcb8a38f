import dataclasses

import pytest

from minireason.errors import DataError
from minireason.evaluate.metrics import (
    MAX_BINS,
    length_histogram,
    mean_tokens,
    pass_rate,
    pass_rates_by,
    sample_grid,
    share,
)


def test_pass_at_1_is_the_mean_over_questions_of_the_share_correct(make_samples) -> None:
    rate = pass_rate(sample_grid(make_samples(["11", "10", "00", "01"])))
    assert rate.pass_at_1 == pytest.approx((1 + 0.5 + 0 + 0.5) / 4)
    assert rate.num_questions == 4
    assert rate.ci_low < rate.pass_at_1 < rate.ci_high


def test_an_unknown_verdict_is_not_correct_but_is_counted(make_samples) -> None:
    samples = make_samples(["1?", "??"])
    assert pass_rate(sample_grid(samples)).pass_at_1 == pytest.approx(0.25)
    assert share(samples, "verdict", "unknown") == pytest.approx(0.75)


def test_the_order_of_the_samples_does_not_matter(make_samples) -> None:
    samples = make_samples(["110", "001", "111"])
    assert pass_rate(sample_grid(samples[::-1])) == pass_rate(sample_grid(samples))


def test_a_question_with_too_few_samples_is_named(make_samples) -> None:
    with pytest.raises(DataError, match=r"'q001' of held-out lacks sample 2 of 3"):
        sample_grid(make_samples(["110", "11", "111"]))


def test_a_gap_in_the_indices_is_named(make_samples) -> None:
    samples = make_samples(["11", "11"])
    with pytest.raises(DataError, match=r"'q000' of held-out lacks sample 0"):
        sample_grid(samples[1:])


def test_an_expected_question_without_samples_is_named(make_samples) -> None:
    with pytest.raises(DataError, match=r"'q007' of held-out has no sample"):
        sample_grid(make_samples(["1", "0"]), ["q000", "q001", "q007"])


def test_a_question_outside_the_benchmark_is_named(make_samples) -> None:
    with pytest.raises(DataError, match=r"'q001' is not in held-out"):
        sample_grid(make_samples(["1", "0"]), ["q000"])


def test_a_repeated_sample_and_a_strange_verdict_are_refused(make_samples) -> None:
    samples = make_samples(["1", "0"])
    with pytest.raises(DataError, match=r"'q000' .* sample 0 twice"):
        sample_grid([*samples, samples[0]])
    with pytest.raises(DataError, match=r"verdict 'maybe'; it must be one of correct"):
        sample_grid([dataclasses.replace(samples[0], verdict="maybe")])


def test_samples_of_two_benchmarks_are_not_mixed(make_samples) -> None:
    with pytest.raises(DataError, match="one benchmark at a time"):
        sample_grid(make_samples(["1"]) + make_samples(["1"], benchmark="other"))


def test_no_samples_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="no samples"):
        sample_grid([])


def test_groups_come_in_the_order_of_the_levels_with_their_counts(make_samples) -> None:
    samples = make_samples(["11", "10", "00"])
    levels = {"q000": "high", "q001": "elementary", "q002": "high"}
    samples = [dataclasses.replace(s, level=levels[s.question_id]) for s in samples]
    rates = pass_rates_by(samples, "level")
    assert list(rates) == ["elementary", "high"]
    assert (rates["high"].pass_at_1, rates["high"].num_questions) == (0.5, 2)
    assert (rates["elementary"].ci_low, rates["elementary"].ci_high) == (0.0, 1.0)


def test_questions_without_a_domain_are_shown_as_unlabelled_only_beside_others(
    make_samples,
) -> None:
    samples = make_samples(["1", "0"])
    assert pass_rates_by(samples, "domain") == {}
    labelled = [dataclasses.replace(samples[0], domain="algebra"), samples[1]]
    assert list(pass_rates_by(labelled, "domain")) == ["algebra", "unlabelled"]


def test_lengths_fall_into_bins_that_are_powers_of_two(make_samples) -> None:
    samples = make_samples(["1"] * 4)
    lengths = [0, 31, 32, 63]
    samples = [dataclasses.replace(s, num_tokens=n) for s, n in zip(samples, lengths, strict=True)]
    histogram = length_histogram(samples)
    assert histogram.edges == list(range(0, 66, 2))
    assert [histogram.counts[i] for i in (0, 15, 16, 31)] == [1, 1, 1, 1]
    assert len(histogram.counts) <= MAX_BINS
    assert mean_tokens(samples) == pytest.approx(126 / 4)
    assert mean_tokens([]) is None


@pytest.mark.parametrize("longest", [0, 1, 31, 32, 33, 1000, 32768])
def test_every_length_has_a_bin(make_samples, longest: int) -> None:
    histogram = length_histogram(make_samples(["1"], num_tokens=longest))
    assert sum(histogram.counts) == 1
    assert histogram.edges[-2] <= longest < histogram.edges[-1]
    assert len(histogram.counts) <= MAX_BINS
