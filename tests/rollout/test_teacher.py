"""The embedded teacher and existing traces."""

from statistics import fmean

import pytest

from minireason.errors import DataError, SamplingError
from minireason.problems.procedural import generate_questions
from minireason.records import LEVELS, Question
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import EmbeddedTeacher, TraceTeacher
from minireason.seeding import derive_seed

PARAMS = SamplingParams(seed=5)


def question(id="q", level="", solution=""):
    return Question(id, "1 + 1?", "2", "test", level=level, solution=solution)


@pytest.fixture
def solver(monkeypatch):
    """Stands in for the procedural families: says what it was asked for."""
    import sys
    from types import ModuleType

    fake = ModuleType("minireason.problems.procedural")
    fake.worked_solution = lambda id, rng, *, is_correct, style=None: (
        f"{id} {'right' if is_correct else 'wrong'} {rng.randrange(10**9)}"
    )
    monkeypatch.setitem(sys.modules, fake.__name__, fake)


@pytest.mark.parametrize("accuracy", [0.0, 0.2, 0.75, 0.9, 1.0])
def test_one_number_is_the_average_over_levels_and_harder_is_never_easier(accuracy):
    teacher = EmbeddedTeacher(accuracy)
    values = [teacher.probability(question(level=level)) for level in LEVELS]
    assert fmean(values) == pytest.approx(accuracy)
    assert values == sorted(values, reverse=True)
    assert all(0.0 <= value <= 1.0 for value in values)


def test_a_table_is_taken_as_it_is_and_lacking_levels_are_named():
    teacher = EmbeddedTeacher({"high": 0.3})
    assert teacher.probability(question(level="high")) == 0.3
    with pytest.raises(SamplingError, match=r"'middle'.*high"):
        teacher.probability(question(level="middle"))


@pytest.mark.parametrize("accuracy", [-0.1, 1.1, {}, {"high": 2.0}, float("nan")])
def test_accuracy_outside_of_the_range_is_refused(accuracy):
    with pytest.raises(SamplingError):
        EmbeddedTeacher(accuracy)


def test_embedded_rollouts_are_right_about_as_often_as_set(solver):
    teacher = EmbeddedTeacher({"high": 0.7})
    questions = [question(f"q{i}", "high") for i in range(200)]
    rollouts = [r for group in teacher.sample(questions, 5, PARAMS) for r in group]
    assert fmean("right" in r.response for r in rollouts) == pytest.approx(0.7, abs=0.05)
    assert {(r.finish_reason, r.num_tokens, r.model) for r in rollouts} == {("stop", 0, "embedded")}


def test_embedded_rollout_depends_on_its_question_and_index_alone(solver):
    teacher = EmbeddedTeacher()
    few = list(teacher.sample([question("b", "high")], 2, PARAMS))
    many = list(teacher.sample([question("a", "high"), question("b", "high")], 4, PARAMS))
    assert few[0] == many[1][:2]
    assert few[0][1].seed == derive_seed(5, "b", 1)


def test_embedded_teacher_solves_procedural_questions():
    questions = generate_questions(40, 1, "train")
    right = list(EmbeddedTeacher(1.0).sample(questions, 2, PARAMS))
    wrong = list(EmbeddedTeacher(0.0).sample(questions, 2, PARAMS))
    assert [group[0].question_id for group in right] == [q.id for q in questions]
    for question, good, bad in zip(questions, right, wrong, strict=True):
        assert all(question.answer in rollout.response for rollout in good)
        assert not {r.response for r in good} & {r.response for r in bad}


def test_trace_is_the_only_rollout():
    [[rollout]] = TraceTeacher().sample([question(solution=" It is \\boxed{2}. ")], 8, PARAMS)
    assert (rollout.index, rollout.response, rollout.finish_reason) == (
        0,
        "It is \\boxed{2}.",
        "stop",
    )


def test_trace_of_gsm8k_ends_in_a_boxed_answer():
    [[rollout]] = TraceTeacher().sample([question(solution="1+1=2\n#### 2")], 1, PARAMS)
    assert rollout.response == "1+1=2\nThe answer is \\boxed{2}."


def test_question_without_a_trace_is_an_error_or_counted():
    questions = [question("a", solution="2"), question("b")]
    with pytest.raises(DataError, match="'b' has no solution"):
        list(TraceTeacher().sample(questions, 1, PARAMS))
    lenient = TraceTeacher(allow_missing=True)
    assert len(list(lenient.sample(questions, 1, PARAMS))) == 1
    assert lenient.num_missing == 1
