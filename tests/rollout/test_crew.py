"""Two real processes that sample as one."""

import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from minireason.errors import Preempted, SamplingError
from minireason.rollout.crew import even_parts, lead
from minireason.rollout.engine import Engine
from minireason.rollout.request import Completion, Request
from minireason.rollout.sampling import SamplingParams
from minireason.world import ALONE, join

PROMPTS = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]


def requests(num_samples=5):
    return [
        Request(prompt, SamplingParams(max_tokens=12, seed=100 * number + sample))
        for number, prompt in enumerate(PROMPTS)
        for sample in range(num_samples)
    ]


def engine():
    from minireason.model.tiny import build_model

    return Engine(build_model(64, seed=0, num_layers=1), stop_ids=[0], max_batch=8, max_length=32)


def policy(of=None):
    made = SimpleNamespace(engine=of or engine())
    made.generate = made.engine.generate
    return made


def plain(completions):
    return [(c.token_ids, c.logprobs, c.finish_reason) for c in completions]


def sampled_together():
    world, mine = join(), policy()
    finished = []
    mine.engine.generate = counted(mine.engine.generate)

    def work():
        first = plain(mine.generate(requests(), lambda index, c: finished.append(index)))
        return first, plain(mine.generate(requests(1))), plain(mine.generate([]))

    made = lead(world, mine, work)
    return made, finished, mine.engine.generate.sizes


def counted(generate):
    def count(requests):
        count.sizes.append(len(requests))
        return generate(requests)

    count.sizes = []
    return count


def test_two_processes_sample_what_one_does_in_the_same_order(processes):
    expected = [plain(engine().generate(asked)) for asked in (requests(), requests(1), [])]
    (made, finished, sizes), (theirs, _, their_sizes) = processes(2, sampled_together).results()
    for found, wanted in zip(made, expected, strict=True):
        assert [(ids, reason) for ids, _, reason in found] == [(t, r) for t, _, r in wanted]
        for (_, logprobs, _), (_, wanted_logprobs, _) in zip(found, wanted, strict=True):
            assert logprobs == pytest.approx(wanted_logprobs, abs=1e-5)
    assert theirs == made
    assert finished == list(range(15))
    assert (sizes, their_sizes) == ([7, 1, 0], [8, 2, 0])


class Broken:
    """An engine that samples nothing in the process `rank`."""

    def __init__(self, rank, error):
        self.rank, self.error = rank, error

    def check(self, requests):
        pass

    def generate(self, requests):
        if join().rank == self.rank:
            raise self.error
        return [Completion([1], [0.0], "stop") for _ in requests]


def fails_in(rank):
    mine = policy(Broken(rank, SamplingError("no logits")))
    try:
        lead(join(), mine, lambda: mine.generate(requests()))
    except SamplingError as error:
        return str(error)


@pytest.mark.parametrize("rank", [0, 1])
def test_what_goes_wrong_in_one_process_is_an_error_in_all(processes, rank):
    assert processes(2, fails_in, rank).results() == ["no logits"] * 2


def asks_again_after_an_error():
    mine = policy(Broken(1, SamplingError("no logits")))

    def work():
        for _ in range(2):
            with pytest.raises(SamplingError):
                mine.generate(requests())
        return "done"

    return lead(join(), mine, work)


def test_the_leader_may_go_on_after_an_error(processes):
    assert processes(2, asks_again_after_an_error).results() == ["done"] * 2


def refuses_at_once():
    mine = policy()
    long = Request([1], SamplingParams(max_tokens=99))
    try:
        lead(join(), mine, lambda: mine.generate([*requests(), long]))
    except SamplingError as error:
        return str(error)


def test_a_request_that_cannot_be_served_is_named_by_its_place_among_all(processes):
    first, second = processes(2, refuses_at_once).results()
    assert first == second
    assert first.startswith("request 15 needs 100 positions")


def stops(error):
    def work():
        raise error

    try:
        lead(join(), policy(Broken(None, None)), work)
    except KeyboardInterrupt as stop:
        return type(stop).__name__


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Preempted()], ids=repr)
def test_the_others_are_released_when_the_leader_stops(processes, error):
    assert processes(2, stops, error).results() == [type(error).__name__] * 2


class Endless(Broken):
    def generate(self, requests):
        print("sampling", flush=True)
        while True:
            time.sleep(0.01)


def is_interrupted():
    mine = policy(Endless(None, None))
    try:
        lead(join(), mine, lambda: mine.generate(requests()))
    except KeyboardInterrupt:
        return "interrupted"


def test_ctrl_c_while_all_sample_stops_all(processes):
    begun = processes(2, is_interrupted)
    begun.wait_for("sampling")
    for rank in (1, 0):
        begun.interrupt(rank)
    assert begun.results(20) == ["interrupted"] * 2


def sleeps_while_they_wait():
    def work():
        print("at work", flush=True)
        time.sleep(1000)

    try:
        lead(join(), policy(Broken(None, None)), work)
    except KeyboardInterrupt:
        return "interrupted"


def test_ctrl_c_while_the_others_wait_releases_them(processes):
    begun = processes(2, sleeps_while_they_wait)
    begun.wait_for("at work", ranks=[0])
    time.sleep(0.2)
    for rank in (1, 0):
        begun.interrupt(rank)
    assert begun.results(20) == ["interrupted"] * 2


def works_on():
    def work():
        print("at work", flush=True)
        while not stop.exists():
            time.sleep(0.01)
        return "done"

    stop = Path("stop")
    try:
        return lead(join(), policy(Broken(None, None)), work)
    except Preempted:
        return "preempted"


def test_a_process_that_is_asked_to_end_while_it_waits_ends_all_after_the_work(
    processes, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    begun = processes(2, works_on)
    begun.wait_for("at work", ranks=[0])
    time.sleep(0.2)
    begun.interrupt(1, signal.SIGTERM)
    Path("stop").touch()
    assert begun.results(20) == ["preempted"] * 2


def test_a_leader_that_is_killed_leaves_nobody_waiting(processes):
    begun = processes(2, sleeps_while_they_wait)
    begun.wait_for("at work", ranks=[0])
    begun.members[0].kill()
    codes = begun.wait(20)
    assert codes[0] == -9 and codes[1] not in (0, None)


def test_alone_the_work_is_just_done():
    assert lead(ALONE, None, lambda: 7) == 7


@pytest.mark.parametrize(("count", "size"), [(7, 2), (2, 4), (0, 3), (8, 4), (1, 1)])
def test_parts_are_even_and_miss_nothing(count, size):
    parts = even_parts(range(count), size)
    assert [item for part in parts for item in part] == list(range(count))
    lengths = [len(part) for part in parts]
    assert len(lengths) == size and max(lengths) - min(lengths) <= 1
