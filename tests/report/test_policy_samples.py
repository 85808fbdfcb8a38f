import dataclasses
import re
from pathlib import Path

import pytest

from minireason.errors import DataError
from minireason.records import PolicySample, read_records, write_records
from minireason.report.policy_samples import (
    Excerpt,
    excerpt,
    has_samples,
    response_limit,
    sampled_steps,
    whole_groups,
)


def stored(run_dir: Path) -> list[PolicySample]:
    return read_records(run_dir / "rlvr" / "samples", PolicySample)


@pytest.fixture
def run_dir(tmp_path: Path, policy_samples) -> Path:
    policy_samples(tmp_path, range(10, 51, 10), 6, 4)
    return tmp_path


def test_without_a_bound_every_stored_sample_is_shown(run_dir: Path) -> None:
    steps = sampled_steps(run_dir)
    assert [step.step for step in steps] == [10, 20, 30, 40, 50]
    assert steps[0].file == "rlvr/samples/step-000010.parquet"
    shown = [(item.sample, item.response) for step in steps for item in step.shown]
    want = {(s.step, s.question_id, s.index): s for s in stored(run_dir)}
    assert len(shown) == len(want) == 5 * 6 * 4
    for sample, response in shown:
        original = want[sample.step, sample.question_id, sample.index]
        assert dataclasses.replace(sample, response=response.start) == original
    assert all(step.left_out == {} for step in steps)


def test_a_steps_facts_count_all_that_was_stored_and_not_what_is_shown(run_dir: Path) -> None:
    step = sampled_steps(run_dir, most_per_step=8)[2]
    own = [s for s in stored(run_dir) if s.step == 30]
    rewards = [s.reward for s in own if s.reward is not None]
    assert (step.num_stored, len(step.shown)) == (24, 8)
    assert step.pass_rate == sum(s.verdict == "correct" for s in own) / 24
    assert step.mean_reward == pytest.approx(sum(rewards) / len(rewards))
    assert step.mean_tokens == pytest.approx(sum(s.num_tokens for s in own) / 24)
    assert step.num_learnt == sum(s.advantage is not None for s in own)
    assert step.num_truncated == sum(s.finish_reason == "length" for s in own)


def test_groups_are_kept_whole_and_those_left_out_are_counted(run_dir: Path) -> None:
    for step in sampled_steps(run_dir, most_per_step=10):
        by_question = [item.sample.question_id for item in step.shown]
        assert {by_question.count(name) for name in by_question} == {4}
        assert len(by_question) == 8
        assert sum(step.left_out.values()) == 16
        assert set(by_question).isdisjoint(step.left_out)


def test_the_same_questions_are_shown_at_every_step(run_dir: Path) -> None:
    first = stored(run_dir)[:24]
    for step in (20, 30):
        again = [dataclasses.replace(s, step=step, reward=-3.0, index=s.index) for s in first]
        assert whole_groups(again, 8)[1] == whole_groups(first, 8)[1]


def test_a_group_larger_than_the_room_is_cut(run_dir: Path) -> None:
    shown, left_out = whole_groups(stored(run_dir)[:24], 3)
    assert [s.index for s in shown] == [0, 1, 2]
    assert left_out[shown[0].question_id] == 1
    assert sum(left_out.values()) == 21


def test_many_steps_share_the_page_evenly(run_dir: Path) -> None:
    assert [len(step.shown) for step in sampled_steps(run_dir, most=60)] == [12] * 5


def test_the_more_samples_the_less_of_each() -> None:
    assert response_limit(1) == 12_000
    assert response_limit(10_000) == 2_400
    assert response_limit(10**7) == 800


def test_an_excerpt_and_what_it_leaves_out_make_up_the_text() -> None:
    assert excerpt("as it is", 8) == Excerpt("as it is")
    text = "".join(chr(0x4E00 + i) for i in range(1000))
    found = excerpt(text, 100)
    assert len(found.start) + len(found.end) == 100
    assert text == found.start + text[67 : 67 + found.num_left_out] + found.end


def test_a_step_without_samples_is_no_step(tmp_path: Path) -> None:
    assert not has_samples(tmp_path) and sampled_steps(tmp_path) == []
    (tmp_path / "rlvr" / "samples").mkdir(parents=True)
    write_records(tmp_path / "rlvr/samples/step-000010.parquet", [], PolicySample)
    assert not has_samples(tmp_path) and sampled_steps(tmp_path) == []


def test_a_broken_file_is_an_error_that_names_it(run_dir: Path) -> None:
    file = run_dir / "rlvr/samples/step-000020.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=re.escape(str(file))):
        sampled_steps(run_dir)
