import struct
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minireason.records import Group
from minireason.rollout.buffer import Kept, RolloutBuffer, SampledBy, weights_identity

BY = SampledBy("abc", 0.1 + 0.2, lag=0, seed=7)


def group(logprobs):
    return Group(
        question_id="a",
        prompt_ids=[1, 2],
        response_ids=[[3], []],
        logprobs=[logprobs, []],
        rewards=[1.0, None],
        finish_reasons=["stop", "length"],
        verdicts=["correct", "unknown"],
        extracted=["3", ""],
        reward_parts=[[1.0, 0.5], [None, 0.5]],
    )


GROUP = group([-0.1])


@pytest.fixture
def buffer(tmp_path):
    return RolloutBuffer(tmp_path / "buffer")


def files(buffer):
    return sorted(path.name for path in buffer.folder.iterdir())


def test_groups_come_back_for_their_step_alone(buffer):
    assert buffer.read(4, BY) is None
    buffer.write(4, [GROUP, GROUP], BY, oldest=4)
    assert buffer.read(4, BY) == Kept([GROUP, GROUP], BY)
    assert buffer.read(5, BY) is None


def test_a_step_without_groups_is_a_step(buffer):
    buffer.write(0, [], BY, oldest=0)
    assert buffer.read(0, BY) == Kept([], BY)


@pytest.mark.parametrize(
    "changed", [{"weights": "abd"}, {"temperature": 0.3}, {"seed": 1}, {"lag": 1}]
)
def test_what_was_sampled_by_something_else_is_not_taken(buffer, changed):
    buffer.write(4, [GROUP], BY, oldest=4)
    assert buffer.read(4, replace(BY, **changed)) is None


def test_only_the_newest_step_is_kept(buffer):
    for number in (8, 9, 10):
        buffer.write(number, [GROUP], BY, oldest=number)
    assert files(buffer) == ["step-000010.parquet"]


def test_what_was_sampled_ahead_stays_until_it_is_learnt(buffer):
    for number in (8, 9, 10):
        buffer.write(number, [GROUP], BY, oldest=number - 1)
    assert files(buffer) == ["step-000009.parquet", "step-000010.parquet"]


def test_a_file_that_lies_elsewhere_says_what_sampled_it(buffer, tmp_path):
    by = replace(BY, lag=2, weights="0f" * 32)
    buffer.write(9, [GROUP], by, oldest=9)
    there = buffer.path(9).rename(tmp_path / "elsewhere")
    assert buffer.take_in({"step-000009.parquet": there}) == {9: Kept([GROUP], by)}
    assert buffer.read(9, by) == Kept([GROUP], by)


def test_going_on_from_an_older_checkpoint_leaves_the_newest_step_until_it_is_reached(buffer):
    for number in (10, 8, 9):
        buffer.write(number, [GROUP], BY, oldest=number)
    assert files(buffer) == ["step-000009.parquet", "step-000010.parquet"]


@given(st.lists(st.floats()))
def test_logprobs_come_back_bit_for_bit(tmp_path_factory, logprobs):
    buffer = RolloutBuffer(tmp_path_factory.mktemp("buffer"))
    buffer.write(0, [group(logprobs)], BY, oldest=0)
    (found,) = buffer.read(0, BY).groups
    code = f"{len(logprobs)}d"
    assert struct.pack(code, *found.logprobs[0]) == struct.pack(code, *logprobs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_smallest_change_of_one_weight_is_another_identity(dtype, monkeypatch):
    monkeypatch.setattr("minireason.rollout.buffer.CHUNK", 4)
    model = torch.nn.Linear(3, 5).to(dtype)
    before = weights_identity(model)
    assert weights_identity(model) == before
    with torch.no_grad():
        model.weight[4, 2] = model.weight[4, 2].nextafter(torch.tensor(9.0, dtype=dtype))
    assert weights_identity(model) != before
