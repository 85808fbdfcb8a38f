"""Which questions have become too easy."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from minireason.rl.history import History

GROUPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from([-1.0, 0.0, 0.9, 1.0]), max_size=4))
)


def after(*groups: tuple[str, list[float]]) -> History:
    history = History()
    for question_id, rewards in groups:
        history.record(question_id, rewards)
    return history


def test_only_a_question_whose_responses_were_all_correct_is_too_easy() -> None:
    history = after(("solved", [1, 0.9]), ("mixed", [1, -1]), ("hard", [-1, -1]), ("zero", [0, 1]))
    assert history.is_too_easy("solved")
    assert not any(map(history.is_too_easy, ["mixed", "hard", "zero", "never asked"]))


def test_the_newest_group_decides() -> None:
    assert after(("a", [-1, -1]), ("a", [1, 1])).is_too_easy("a")
    assert not after(("a", [1, 1]), ("a", [1, -1])).is_too_easy("a")


def test_a_group_in_which_nothing_could_be_judged_says_nothing() -> None:
    assert not after(("a", [])).is_too_easy("a")
    assert after(("a", [1, 1]), ("a", [])).is_too_easy("a")


@given(GROUPS)
def test_what_is_saved_as_json_goes_on_as_before(groups: list[tuple[str, list[float]]]) -> None:
    half = len(groups) // 2
    resumed = History()
    resumed.load_state_dict(json.loads(json.dumps(after(*groups[:half]).state_dict())))
    for question_id, rewards in groups[half:]:
        resumed.record(question_id, rewards)
    assert resumed.state_dict() == after(*groups).state_dict()


@given(GROUPS, st.randoms())
def test_the_order_of_different_questions_changes_no_byte(groups, random) -> None:  # type: ignore[no-untyped-def]
    newest = list(dict(groups).items())
    shuffled = random.sample(newest, len(newest))
    assert json.dumps(after(*newest).state_dict()) == json.dumps(after(*shuffled).state_dict())


def test_a_checkpoint_without_history_begins_anew() -> None:
    history = after(("a", [1]))
    history.load_state_dict({})
    assert not history.is_too_easy("a")
