import pytest

from minireason.curate.judged import join, pass_rate
from minireason.errors import DataError


def test_groups_follow_the_questions_and_rollouts_their_index(judged):
    questions, rollouts, verdicts = judged({"b": "c1 i2", "a": "", "c": "u3"})
    groups = join(questions, rollouts[::-1], verdicts)
    assert [[(j.question.id, j.rollout.index) for j in group] for group in groups] == [
        [("b", 0), ("b", 1)],
        [],
        [("c", 0)],
    ]


def test_unknown_counts_as_not_correct_in_the_pass_rate(judged):
    [group] = join(*judged({"a": "c1 i2 u3 c4"}))
    assert pass_rate(group) == 0.5


def test_length_is_in_characters_where_tokens_were_not_counted(judged):
    [[first, second]] = join(*judged({"a": "c7 c0"}))
    assert (first.length, second.length) == (7, len("a response 1"))


def test_records_that_do_not_belong_together_are_refused(judged):
    questions, rollouts, verdicts = judged({"a": "c1 i2"})
    with pytest.raises(DataError, match="given twice"):
        join(questions * 2, rollouts, verdicts)
    with pytest.raises(DataError, match="given twice"):
        join(questions, rollouts * 2, verdicts)
    with pytest.raises(DataError, match="has no verdict"):
        join(questions, rollouts, verdicts[:1])
    with pytest.raises(DataError, match="not among those given"):
        join([], rollouts, verdicts)
