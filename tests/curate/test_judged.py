import pytest

from minireason.curate.judged import judged_groups, pass_rate
from minireason.errors import DataError


def places(groups):
    return [[(j.question.id, j.rollout.index) for j in group] for group in groups]


def test_groups_follow_the_questions_and_a_question_without_rollouts_has_none(judged):
    world = judged({"b": "c1 i2", "a": "", "c": "u3"})
    assert places(judged_groups(*world)) == [[("b", 0), ("b", 1)], [("c", 0)]]


def test_rollouts_of_a_question_are_sorted_by_index(judged):
    questions, rollouts, verdicts = judged({"a": "c1 i2 c3"})
    assert places(judged_groups(questions, rollouts[::-1], verdicts[::-1])) == [
        [("a", 0), ("a", 1), ("a", 2)]
    ]


def test_the_next_shard_goes_on_with_the_questions_that_are_left(judged):
    questions, rollouts, verdicts = judged({"a": "c1", "b": "", "c": "i1 i2", "d": "u1"})
    coming = iter(questions)
    assert places(judged_groups(coming, rollouts[:1], verdicts[:1])) == [[("a", 0)]]
    assert next(coming).id == "b"
    assert places(judged_groups(coming, rollouts[1:3], verdicts[1:3])) == [[("c", 0), ("c", 1)]]
    assert places(judged_groups(coming, rollouts[3:], verdicts[3:])) == [[("d", 0)]]


def test_one_question_is_read_at_a_time(judged):
    questions, rollouts, verdicts = judged({"a": "c1", "b": "c1", "c": "c1"})
    read = []
    stream = (read.append(r.question_id) or r for r in rollouts)
    next(judged_groups(questions, stream, verdicts))
    assert read == ["a", "b"]


def test_unknown_counts_as_not_correct_in_the_pass_rate(judged):
    [group] = judged_groups(*judged({"a": "c1 i2 u3 c4"}))
    assert pass_rate(group) == 0.5


def test_length_is_in_characters_where_tokens_were_not_counted(judged):
    [[first, second]] = judged_groups(*judged({"a": "c7 c0"}))
    assert (first.length, second.length) == (7, len("a response 1"))


def test_records_that_do_not_belong_together_are_refused(judged):
    questions, rollouts, verdicts = judged({"a": "c1 i2", "b": "c1"})
    twice = [rollouts[0], rollouts[0]], [verdicts[0], verdicts[0]]
    for wrong, message in [
        ((questions, *twice), "given twice"),
        ((questions, rollouts, verdicts[:2]), "has no verdict"),
        ((questions, rollouts, verdicts[::-1]), "has no verdict"),
        ((questions, rollouts[:2], verdicts), "a verdict on rollout .*'b', 0.*not there"),
        ((questions[1:], rollouts, verdicts), "'a', which is not among the questions"),
        ((questions[::-1], rollouts, verdicts), "'b', which .* stands out of their order"),
    ]:
        with pytest.raises(DataError, match=message):
            list(judged_groups(*wrong))
