"""Whose responses a model is calibrated on, and to which questions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from minireason.errors import DataError
from minireason.export.calibration.rollouts import (
    RolloutSettings,
    calibration_questions,
    own_correct_rollouts,
    refuse_benchmarks,
)
from minireason.model.load import load_model
from minireason.problems.benchmarks import load_benchmark
from minireason.problems.procedural import generate_questions
from minireason.progress import Progress
from minireason.records import Question, Rollout, read_records, write_records


def choices(count: int) -> list[Question]:
    return generate_questions(count, 0, "train", ["middle"], choice_fraction=1.0)


def test_questions_of_the_training_split_are_let_in() -> None:
    refuse_benchmarks(generate_questions(300, 1, "train"))


@pytest.mark.parametrize("name", ["embedded-math", "embedded-hard", "embedded-choice"])
def test_a_benchmarks_question_is_refused_by_its_id_and_by_its_text(name: str) -> None:
    question = load_benchmark(name)[-1]
    renamed = dataclasses.replace(question, id="mine")
    reworded = dataclasses.replace(question, text="What is 1+1?")
    shouted = dataclasses.replace(question, id="mine", text=f"  {question.text} ")
    for one in (question, renamed, reworded, shouted):
        with pytest.raises(DataError, match="is a benchmark's question"):
            refuse_benchmarks([*choices(3), one])


def test_a_run_folder_stands_for_the_questions_it_was_trained_on(tmp_path: Path) -> None:
    asked = choices(12)
    (tmp_path / "questions").mkdir()
    write_records(tmp_path / "questions" / "part-00000.parquet", asked, Question)
    found = calibration_questions(str(tmp_path), RolloutSettings(num_questions=5))
    assert len(found) == 5
    assert {question.id for question in found} <= {question.id for question in asked}


def test_a_file_with_a_benchmarks_question_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "asked.parquet"
    write_records(path, [*choices(3), load_benchmark("embedded-hard")[0]], Question)
    with pytest.raises(DataError, match="benchmark"):
        calibration_questions(str(path), RolloutSettings())


def test_only_different_correct_responses_of_the_model_itself_are_kept(
    base: Path, tmp_path: Path
) -> None:
    language_model = load_model(str(base))
    asked = choices(8)
    settings = RolloutSettings(num_rollouts=6, max_tokens=24, temperature=1.0)
    own = own_correct_rollouts(language_model, asked, settings, tmp_path, Progress(is_quiet=True))
    answers = {question.id: question.answer for question in asked}
    expected: dict[str, set[str]] = {}
    for rollout in read_records(tmp_path, Rollout):
        is_right = f"\\boxed{{{answers[rollout.question_id]}}}" in rollout.response
        if is_right and rollout.finish_reason == "stop" and rollout.response.count("boxed") == 1:
            expected.setdefault(rollout.question_id, set()).add(rollout.response)
    said = [
        {
            language_model.tokenizer.decode(
                unit[0].ids[-unit[0].num_targets :], skip_special_tokens=True
            )
            for unit in units
        }
        for units in own
    ]
    assert said == [expected[q.id] for q in asked if q.id in expected]
    assert 0 < len(said) < len(asked) or len(expected) == len(asked)


def test_a_model_that_answers_nothing_correctly_is_told_so(base: Path, tmp_path: Path) -> None:
    asked = [dataclasses.replace(q, answer="12345", answer_kind="integer") for q in choices(2)]
    settings = RolloutSettings(num_rollouts=1, max_tokens=12)
    with pytest.raises(DataError, match="none of 2 questions"):
        own_correct_rollouts(
            load_model(str(base)), asked, settings, tmp_path, Progress(is_quiet=True)
        )
