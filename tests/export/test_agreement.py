import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minireason.export.agreement import (
    BrokenError,
    compare_positions,
    joined,
    num_same,
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
