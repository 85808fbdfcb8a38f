import pytest

from minireason.errors import DataError
from minireason.records import Question, Rollout, write_records
from minireason.shards import shard_jobs

QUESTIONS = [Question(f"q{i}", f"{i}?", "1", "t") for i in range(6)]


@pytest.fixture
def shard(tmp_path):
    """Writes a shard of rollouts of these questions, two of each."""

    def write(name, *ids):
        rollouts = [Rollout(id, index, "r", "m", "stop") for id in ids for index in range(2)]
        write_records(tmp_path / name, rollouts, Rollout)
        return tmp_path / name

    return write


def found(jobs):
    return [(job.rollouts.name, [q.id for q in job.questions]) for job in jobs]


def test_each_shard_comes_with_its_questions_and_those_without_rollouts_are_passed_over(shard):
    shards = [shard("a", "q0", "q2"), shard("b"), shard("c", "q3", "q5")]
    assert found(shard_jobs(QUESTIONS, shards, [False] * 3)) == [
        ("a", ["q0", "q2"]),
        ("b", []),
        ("c", ["q3", "q5"]),
    ]


def test_shards_that_are_done_are_left_out(shard):
    shards = [shard("a", "q0"), shard("b", "q1"), shard("c", "q2")]
    assert found(shard_jobs(QUESTIONS, shards, [False, True, False])) == [
        ("a", ["q0"]),
        ("c", ["q2"]),
    ]


@pytest.mark.parametrize("ids", [["q1", "q0"], ["other"]])
def test_rollouts_out_of_the_questions_order_are_an_error_that_names_the_shard(shard, ids):
    with pytest.raises(DataError, match=rf"a answers '{ids[-1]}', which is not among"):
        found(shard_jobs(QUESTIONS, [shard("a", *ids)], [False]))
