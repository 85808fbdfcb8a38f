"""Batches in order, each from the weights of `lag` steps before, whatever is faster."""

import threading
import time

import pytest
import torch
from policies import FakeSampler, fake_learner, prompt, referee

from minireason.recipe.reinforcement import Rlvr
from minireason.records import Group, read_records
from minireason.rl.groups import GroupSampler, has_signal
from minireason.rl.stream import RolloutStream, Source
from minireason.rollout.buffer import RolloutBuffer
from minireason.world import join


class Trained:
    """A model whose only weight says how many updates it has had, and copies of it."""

    def __init__(self, num_copies):
        self.model = torch.nn.Linear(1, 1, bias=False)
        self.model.weight.data.fill_(0)
        self.copies = [torch.nn.Linear(1, 1, bias=False) for _ in range(num_copies)]
        self.learner = fake_learner()
        self.learner.copy_weights_to = self.copy_to
        self.sources = [Source(SamplerOf(m), m) for m in self.copies or [self.model]]

    def copy_to(self, model):
        if model is not self.model:
            model.weight.data.copy_(self.model.weight.data)

    def update(self):
        self.model.weight.data += 1


class SamplerOf:
    def __init__(self, model):
        self.model = model

    def load_weights(self, model):
        assert model is self.model


def group(token):
    return Group("q", [1], [[token]], [[0.0]], [1.0], ["stop"], ["correct"], ["1"], [[1.0]])


def stream_of(trained, folder, lag, num_steps=6, delay=0.0, sampled=None):
    """Groups whose only token is the version of the weights that sampled them."""

    def plan(number, sampler):
        def sample():
            time.sleep(delay)
            if sampled is not None:
                sampled.append((number, threading.current_thread().name))
            return [group(int(sampler.model.weight.item()))]

        return 1.0 - number / 100, sample

    return RolloutStream(
        trained.learner, trained.sources, plan, RolloutBuffer(folder / "buffer"), num_steps, lag
    )


def versions(stream, trained, steps):
    """The version that sampled each step's batch, and how old it was."""
    found = []
    for number in steps:
        batch = stream.take(number)
        found.append((batch.groups[0].response_ids[0][0], batch.sampled_by.lag))
        assert batch.sampled_by.temperature == 1.0 - number / 100
        trained.update()
    return found


@pytest.mark.parametrize("delay", [0.0, 0.01])
@pytest.mark.parametrize("lag", [0, 1, 2, 4, 9])
def test_batches_are_sampled_by_the_weights_of_just_so_many_steps_before(lag, delay, tmp_path):
    trained = Trained(lag)
    found = versions(stream_of(trained, tmp_path, lag, delay=delay), trained, range(6))
    assert found == [(max(0, n - lag), min(n, lag)) for n in range(6)]


def test_sampling_ahead_is_done_beside_the_training_thread(tmp_path):
    sampled = []
    for lag in (0, 1):
        trained = Trained(lag)
        stream = stream_of(trained, tmp_path / str(lag), lag, sampled=sampled)
        (tmp_path / str(lag)).mkdir()
        stream.take(0)
        stream.files()
        stream.close()
    names = [name for _, name in sampled]
    assert [number for number, _ in sampled] == [0, 0, 1]
    assert names[0] == threading.current_thread().name
    assert names[1] == names[2] != names[0]


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_resume_with_the_checkpoints_files_goes_on_as_if_nothing_had_been(lag, tmp_path):
    whole = Trained(lag)
    expected = versions(stream_of(whole, tmp_path / "whole", lag), whole, range(6))
    (tmp_path / "kept").mkdir()
    trained, sampled = Trained(lag), []
    first = stream_of(trained, tmp_path / "cut", lag, sampled=sampled)
    found = versions(first, trained, range(2))
    files = {name: tmp_path / "kept" / name for name in first.files()}
    for name, path in first.files().items():
        files[name].write_bytes(path.read_bytes())
    first.take(2)  # goes beyond the checkpoint before it is killed
    first.close()
    for name in files:  # as where the newest steps are beyond the checkpoint
        (tmp_path / "cut" / "buffer" / name).unlink(missing_ok=True)
    again = Trained(lag)
    again.model.weight.data.fill_(2)
    second = stream_of(again, tmp_path / "cut", lag, sampled=sampled)
    second.load_files(files)
    assert all(path.is_file() for path in second.files().values())
    found += versions(second, again, range(2, 6))
    assert found == expected
    numbers = [number for number, _ in sampled]
    assert sorted(numbers) == list(range(6))  # what lay in the buffer was not sampled again


def test_what_other_weights_have_sampled_is_not_taken_from_the_buffer(tmp_path):
    trained = Trained(0)
    stream_of(trained, tmp_path, 0).take(0)
    trained.update()
    assert versions(stream_of(trained, tmp_path, 0), trained, [0]) == [(1, 0)]


def test_the_buffer_forgets_what_has_been_learnt(tmp_path):
    trained = Trained(2)
    stream = stream_of(trained, tmp_path, 2)
    versions(stream, trained, range(4))
    stream.files()
    names = sorted(path.name for path in (tmp_path / "buffer").iterdir())
    assert names[-1] == "step-000005.parquet" and names[0] >= "step-000003.parquet"


def test_an_error_of_sampling_ahead_is_raised_where_the_batch_is_asked_for(tmp_path):
    trained = Trained(1)

    def plan(number, sampler):
        def sample():
            if number == 1:
                raise RuntimeError("no answer")
            return [group(number)]

        return 1.0, sample

    buffer = RolloutBuffer(tmp_path / "buffer")
    stream = RolloutStream(trained.learner, trained.sources, plan, buffer, 4, 1)
    stream.take(0)
    with pytest.raises(RuntimeError, match="no answer"):
        stream.take(1)


class SamplerAfter(FakeSampler):
    """Samples once it has done something else."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def generate(self, requests, on_finish=None):
        self.work()
        return super().generate(requests, on_finish)


def together(folder, before):
    """A stream two steps ahead, each process sampling one of a step's two prompts.

    `before(rank, number)` comes before this process samples for that step.
    """
    trained = Trained(2)
    world = trained.learner.world = join()
    settings = Rlvr(prompts_per_step=2, group_size=2, oversample=1)

    def plan(number, _):
        prompts = [prompt(f"{number}{name}", "ci") for name in "ab"]
        sampler = SamplerAfter(lambda: before(world.rank, number))
        groups = GroupSampler(sampler, referee(), settings, 0, stream.world)
        return 1.0, lambda: groups.sample(number, 1.0, prompts, 0, has_signal)

    buffer = RolloutBuffer(folder / "buffer")
    stream = RolloutStream(trained.learner, trained.sources, plan, buffer, num_steps=6, lag=2)
    return stream


def kept(folder):
    """The questions in each file of the buffer."""
    return {
        path.stem: sorted(group.question_id for group in read_records(path, Group))
        for path in sorted((folder / "buffer").iterdir())
    }


def fail_in_one(folder, failing_rank):
    """Learn until sampling fails; the questions of what was learnt, and the error."""

    def before(rank, number):
        if (rank, number) == (failing_rank, 1):
            raise RuntimeError(f"no answer in process {rank}")

    stream, learnt = together(folder, before), []
    try:
        for number in range(6):
            learnt.append(sorted(group.question_id for group in stream.take(number).groups))
    except RuntimeError as error:
        stream.close()
        return learnt, str(error)


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_process_sampling_ahead_is_raised_in_all(rank, processes, tmp_path):
    told = processes(2, fail_in_one, tmp_path, rank).results()
    assert told == [([["0a", "0b"]], f"no answer in process {rank}")] * 2
    # What was begun besides is whole: no process takes an answer to another step's question.
    assert kept(tmp_path) == {"step-000000": ["0a", "0b"], "step-000002": ["2a", "2b"]}


def close_while_sampling(folder, first):
    """Close while a batch is sampled and one is queued; the other process once that is begun."""
    begun, closing = [threading.Event() for _ in range(6)], threading.Event()

    def before(rank, number):
        begun[number].set()
        if number == 1:
            closing.wait()

    stream = together(folder, before)
    stream.take(0)
    begun[1].wait()
    threading.Timer(0.2, closing.set).start()  # once close() waits
    if stream.world.rank != first:
        begun[2].wait()
    stream.close()


@pytest.mark.parametrize("first", [0, 1])
def test_processes_that_stop_at_different_moments_all_end(first, processes, tmp_path):
    processes(2, close_while_sampling, tmp_path, first).results()
    assert kept(tmp_path) == {f"step-{n:06d}": [f"{n}a", f"{n}b"] for n in range(3)}
