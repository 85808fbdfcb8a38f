"""When a beam search ends, and what it keeps in place, on two steps written down by hand."""

from __future__ import annotations

from typing import Any

import pytest

from minireason.rollout.beam_paths import BeamSettings, Search

STOP = 0


def after_two_steps(**settings: Any) -> Search:
    """Two have ended, with totals -0.5 and -5; the paths that go on have -1.01 and -9."""
    settings = {"num_beams": 2, "num_best": 2, "max_tokens": 1000} | settings
    search = Search([3], BeamSettings(**settings), frozenset({STOP}))
    search.extend([[STOP, 1, 2]], [[-0.5, -1.0, -6.0]])
    assert not search.is_done and len(search.ended) == 1
    search.extend([[1, STOP, 2], [1, 2, STOP]], [[-0.01, -4.0, -9.0], [-3.0, -4.0, -5.0]])
    return search


@pytest.mark.parametrize(
    ("early_stopping", "length_penalty", "is_done"),
    [
        (True, 1.0, True),  # two have ended
        (False, 1.0, False),  # -1.01 / 2 is better than -5 / 2
        ("never", 1.0, False),
        ("never", -0.5, False),  # -1.01 * 2**0.5 is: a longer path only falls
    ],
)
def test_a_search_ends_when_no_path_may_beat_the_worst_beam(
    early_stopping: Any, length_penalty: float, is_done: bool
) -> None:
    search = after_two_steps(early_stopping=early_stopping, length_penalty=length_penalty)
    assert search.is_done is is_done


def test_beams_are_ranked_by_their_scores_and_keep_their_tokens() -> None:
    first, second = after_two_steps(length_penalty=1.0).ended
    assert (first.token_ids, first.score, first.logprobs) == ([STOP], -0.5, [-0.5])
    assert (second.token_ids, second.score, second.logprobs) == ([1, STOP], -2.5, [-1.0, -4.0])
    assert first.finish_reason == second.finish_reason == "stop"


def test_the_first_continuation_of_a_path_stays_in_its_place() -> None:
    search = after_two_steps()
    search.extend([[1, 2, STOP], [3, 4, STOP]], [[-9.0, -9.5, -9.9], [-0.1, -2.0, -9.0]])
    assert [path.parent for path in search.paths] == [0, 1]  # -9.1 of path 1 is the likelier
    assert [path.total for path in search.paths] == pytest.approx([-10.01, -9.1])
