import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minireason.evaluate.intervals import t_quantile
from minireason.export.agreement import (
    BrokenError,
    compare_positions,
    joined,
    num_same,
    ratio_interval,
    rows_per_block,
)


def logits(*probabilities):
    """Logits whose softmax is this: a constant is of no matter."""
    return np.log(np.array(probabilities, dtype=np.float32)) + 3


def test_hand_computed_positions():
    original = logits([0.5, 0.25, 0.25], [0.1, 0.8, 0.1])
    exported = logits([0.25, 0.5, 0.25], [0.1, 0.8, 0.1])
    found = compare_positions(original, exported, [0, 2])
    assert found.is_agreed.tolist() == [False, True]
    assert found.distance == pytest.approx([math.log(2), 0], abs=1e-6)
    # 0.5 ln 2 + 0.25 ln 1/2 + 0
    assert found.kl == pytest.approx([0.25 * math.log(2), 0], abs=1e-6)


def test_equals_torch_in_float64():
    torch.manual_seed(0)
    ours, theirs = (torch.randn(40, 501) * 6 for _ in range(2))
    taken = torch.randint(501, (40,))
    found = compare_positions(ours.numpy(), theirs.numpy(), taken.tolist())
    p, q = (x.double().log_softmax(-1) for x in (ours, theirs))
    kl = F.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    distance = (p - q).gather(1, taken[:, None])[:, 0].abs()
    assert found.kl == pytest.approx(kl.numpy(), rel=1e-9)
    assert found.distance == pytest.approx(distance.numpy(), rel=1e-9)
    assert found.is_agreed.tolist() == (ours.argmax(1) == theirs.argmax(1)).tolist()


def test_large_logits_do_not_overflow():
    found = compare_positions(
        np.array([[3e4, 0, -3e4]], np.float32), np.array([[3e4, 0, -3e4]], np.float32), [2]
    )
    assert found.kl == 0 and found.distance == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_no_distribution(wrong):
    exported = np.zeros((2, 3), np.float32)
    exported[1, 2] = wrong
    with pytest.raises(BrokenError, match="1 of 6 logits of the export are not finite"):
        compare_positions(np.zeros((2, 3), np.float32), exported, [0, 1])


def test_another_vocabulary_is_refused():
    with pytest.raises(BrokenError, match="2 x 4 where the original's are 2 x 3"):
        compare_positions(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32), [0, 1])


def test_parts_join_to_the_whole():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 7, 5)).astype(np.float32)
    taken = [0, 1, 2, 3, 4, 0, 1]
    whole = compare_positions(ours, theirs, taken)
    parts = joined(
        [compare_positions(ours[a:b], theirs[a:b], taken[a:b]) for a, b in ((0, 3), (3, 7))]
    )
    assert np.array_equal(whole.kl, parts.kl)
    assert np.array_equal(whole.distance, parts.distance)
    assert np.array_equal(whole.is_agreed, parts.is_agreed)


def test_a_block_of_a_large_vocabulary_is_a_few_positions():
    assert rows_per_block(200_064) == 20
    assert rows_per_block(10**9) == 1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [([1, 2, 3], [1, 2, 3], 3), ([1, 2, 3], [1, 9, 3], 1), ([1, 2], [1, 2, 3], 2), ([1], [2], 0)],
)
def test_tokens_before_the_first_difference(one, other, expected):
    assert num_same(one, other) == expected


def test_a_ratio_weighs_responses_by_their_tokens():
    found = ratio_interval([9, 20], [10, 30])
    assert found.value == 29 / 40
    # residuals 9 - 7.25 = 1.75 and 20 - 21.75 = -1.75, two responses, 40 tokens
    half = t_quantile(1) * math.sqrt(2 * 1.75**2 * 2 / 1) / 40
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_a_ratio_of_equal_sizes_has_the_interval_of_a_mean():
    values = np.array([0.2, 0.9, 0.4, 0.5, 0.7])
    found = ratio_interval(list(values), [1] * 5)
    half = t_quantile(4) * values.std(ddof=1) / math.sqrt(5)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half)


def test_the_interval_covers_a_ratio_of_clustered_tokens():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        sizes = rng.integers(20, 200, size=40)
        rates = rng.beta(8, 2, size=40)  # each response has its own
        hits = rng.binomial(sizes, rates)
        found = ratio_interval(hits.tolist(), sizes.tolist())
        covered += found.low <= 0.8 <= found.high
    assert 0.91 <= covered / 400 <= 0.98


def test_one_response_has_no_width():
    assert ratio_interval([3], [4]).low == ratio_interval([3], [4]).high == 0.75
