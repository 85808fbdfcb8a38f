"""Sharded, resumable sampling."""

import random

import pytest

from minireason.errors import DataError, RunFolderError, SamplingError
from minireason.records import Question, Rollout, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import TraceTeacher
from minireason.seeding import derive_seed

QUESTIONS = [Question(f"q{i}", f"{i}?", str(i), "test", solution=f"It is {i}.") for i in range(11)]
PARAMS = SamplingParams(seed=7)


class FakeTeacher:
    """Answers in a given order; dies after `lives` questions."""

    name = "fake"

    def __init__(self, lives=10**9, order=lambda questions: questions):
        self.lives, self.order, self.asked = lives, order, []

    def sample(self, questions, num_rollouts, params):
        self.asked.append([q.id for q in questions])
        for question in self.order(list(questions)):
            if not self.lives:
                raise KeyboardInterrupt
            self.lives -= 1
            seeds = [derive_seed(params.seed, question.id, i) for i in range(num_rollouts)]
            yield [
                Rollout(question.id, i, f"r{s}", "fake", "length" if i else "stop", 2, seed=s)
                for i, s in enumerate(seeds)
            ]


def generate(teacher, folder, num_rollouts=2, shard_size=3, questions=QUESTIONS, **settings):
    return generate_rollouts(
        teacher, questions, num_rollouts, PARAMS, folder, shard_size=shard_size, **settings
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_hold_the_questions_in_order(tmp_path):
    counts = generate(FakeTeacher(), tmp_path)
    assert sorted(contents(tmp_path)) == [f"part-{i:05d}.parquet" for i in range(4)]
    rows = read_records(tmp_path, Rollout)
    assert [(r.question_id, r.index) for r in rows] == [
        (q.id, i) for q in QUESTIONS for i in (0, 1)
    ]
    assert counts.as_dict() == {
        "num_questions": 11,
        "num_unanswered": 0,
        "num_rollouts": 22,
        "num_truncated": 11,
        "num_tokens": 44,
        "num_shards": 4,
        "num_resumed_shards": 0,
    }


def test_order_of_the_answers_does_not_change_a_byte(tmp_path):
    generate(FakeTeacher(), tmp_path / "a")
    generate(FakeTeacher(order=lambda q: random.Random(1).sample(q, len(q))), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("lives", range(11))
def test_killed_anywhere_goes_on_to_the_same_bytes(tmp_path, lives):
    whole = generate(FakeTeacher(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=lives), tmp_path / "killed")
    (tmp_path / "killed" / "part-00003.parquet.partial").write_bytes(b"half a shard")
    again = FakeTeacher()
    resumed = generate(again, tmp_path / "killed")
    assert contents(tmp_path / "whole") == contents(tmp_path / "killed")
    assert resumed.num_resumed_shards == lives // 3
    assert again.asked == [[q.id for q in QUESTIONS[3 * (lives // 3) :]]]  # one shard lost at most
    assert resumed.num_rollouts == whole.num_rollouts


def test_finished_folder_asks_the_teacher_nothing(tmp_path):
    generate(FakeTeacher(), tmp_path)
    teacher = FakeTeacher()
    assert generate(teacher, tmp_path).num_resumed_shards == 4
    assert teacher.asked == []


def test_progress_counts_questions_from_where_it_went_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=7), tmp_path)
    seen = []
    generate(
        FakeTeacher(), tmp_path, on_progress=lambda done, total, usage: seen.append((done, total))
    )
    assert seen == [(done, 11) for done in range(6, 12)]


@pytest.mark.parametrize(
    "changed", [{"shard_size": 4}, {"questions": QUESTIONS[::-1]}, {"num_rollouts": 1}]
)
def test_shards_of_another_run_are_refused(tmp_path, changed):
    generate(FakeTeacher(), tmp_path)
    with pytest.raises(RunFolderError, match=r"part-0000\d.parquet was sampled from other"):
        generate(FakeTeacher(), tmp_path, **changed)


def test_left_out_questions_are_counted(tmp_path):
    some = [
        q if i % 3 else Question(q.id, q.text, q.answer, "test") for i, q in enumerate(QUESTIONS)
    ]
    teacher = TraceTeacher(allow_missing=True)
    counts = generate(teacher, tmp_path, num_rollouts=1, questions=some)
    assert (counts.num_rollouts, counts.num_unanswered, teacher.num_missing) == (7, 4, 4)


def test_answer_to_a_question_that_was_not_asked_is_an_error(tmp_path):
    doubled = FakeTeacher(order=lambda questions: [*questions, questions[0]])
    with pytest.raises(SamplingError, match="'q0' unasked or twice"):
        generate(doubled, tmp_path)


def test_broken_shard_is_named(tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"part-00000\.parquet is not a readable Parquet file"):
        generate(FakeTeacher(), tmp_path)


@pytest.mark.parametrize("questions", [[], [QUESTIONS[0], QUESTIONS[0]]])
def test_no_questions_or_repeated_ids_are_refused(tmp_path, questions):
    with pytest.raises(DataError):
        generate(FakeTeacher(), tmp_path, questions=questions)
