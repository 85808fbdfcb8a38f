"""Sampling one by one: nothing finished is asked again, one failure loses nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter

import pytest
from chat_server import completion, echo

from minireason.endpoint.server import Endpoint
from minireason.endpoint.usage import Usage
from minireason.errors import RunFolderError, SamplingError
from minireason.records import Question, Rollout, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.journalled import USAGE_FILE, read_usage
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import Sample
from minireason.seeding import derive_seed

QUESTIONS = [Question(f"q{i}", f"{i}?", str(i), "test") for i in range(7)]
PARAMS = SamplingParams(seed=7)


class FakeTeacher:
    """Gives each sample `Usage(2, 1, 10, 4, 3)`; fails those in `failing`; dies after `lives`."""

    name = "fake"

    def __init__(self, lives=10**9, failing=(), order=iter):
        self.lives, self.failing, self.order, self.asked = lives, failing, order, []

    def settings(self, params):
        return {"model": "fake", "seed": params.seed, "temperature": params.temperature}

    def samples(self, jobs, params, keep):
        for question, index in self.order(jobs):
            if not self.lives:
                raise KeyboardInterrupt
            self.lives -= 1
            self.asked.append((question.id, index))
            seed = derive_seed(params.seed, question.id, index)
            rollout = Rollout(question.id, index, f"r{seed}", "fake", "stop", 4, 0.6, 0.95, seed)
            sample = Sample(question.id, index, rollout, Usage(2, 1, 10, 4, 3))
            if (question.id, index) in self.failing:
                sample = Sample(question.id, index, None, Usage(3, 2), f"{question.id} was bad")
            keep(sample)
            yield sample


def generate(teacher, folder, params=PARAMS, shard_size=3, **settings):
    return generate_rollouts(
        teacher, QUESTIONS, 2, params, folder, shard_size=shard_size, **settings
    )


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.fixture
def whole(tmp_path):
    generate(FakeTeacher(), tmp_path / "whole")
    return tmp_path / "whole"


def test_shards_hold_the_samples_in_order_and_no_journal_is_left(whole):
    rows = read_records(whole, Rollout)
    assert [(r.question_id, r.index) for r in rows] == [
        (q.id, i) for q in QUESTIONS for i in (0, 1)
    ]
    names = [f"part-0000{n}.parquet" for n in range(3)]
    assert sorted(path.name for path in whole.iterdir()) == [*names, USAGE_FILE]


@pytest.mark.parametrize("lives", range(15))
def test_killed_anywhere_it_asks_the_rest_and_ends_in_the_same_bytes(whole, tmp_path, lives):
    first, again = FakeTeacher(lives), FakeTeacher()
    if lives < 14:
        with pytest.raises(KeyboardInterrupt):
            generate(first, tmp_path / "killed")
    else:
        generate(first, tmp_path / "killed")
    generate(again, tmp_path / "killed")
    assert shards(tmp_path / "killed") == shards(whole)
    assert not set(first.asked) & set(again.asked)
    assert read_usage(tmp_path / "killed") == read_usage(whole) == Usage(28, 14, 140, 56, 42)


def test_order_of_the_answers_does_not_change_a_byte(whole, tmp_path):
    generate(FakeTeacher(order=lambda jobs: list(jobs)[::-1]), tmp_path / "reversed")
    assert shards(tmp_path / "reversed") == shards(whole)


def test_a_failed_sample_keeps_its_siblings_and_is_asked_alone_again(whole, tmp_path):
    folder, failing = tmp_path / "failed", {("q1", 0), ("q5", 1)}
    with pytest.raises(SamplingError, match=r"2 of 14 samples failed, at last by q5 was bad; q1"):
        generate(FakeTeacher(failing=failing), folder)
    assert sorted(shards(folder)) == ["part-00002.parquet"]
    again = FakeTeacher()
    generate(again, folder)
    assert set(again.asked) == failing and len(again.asked) == 2
    assert shards(folder) == shards(whole)
    assert read_usage(folder) == read_usage(whole) + Usage(6, 4)


@pytest.mark.parametrize("left", ["journal and shard", "journal, shard and account"])
def test_a_kill_between_shard_and_account_counts_once(whole, tmp_path, left):
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=5), folder)
    journal = folder / "part-00000.jsonl"
    lines = journal.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=1), folder)
    journal.write_bytes(lines)
    if left == "journal and shard":
        (folder / USAGE_FILE).unlink()
    generate(FakeTeacher(), folder)
    assert not journal.exists()
    assert shards(folder) == shards(whole)
    missing = Usage(2, 1, 10, 4, 3) if left == "journal and shard" else Usage()
    assert read_usage(folder) + missing == read_usage(whole)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (SamplingParams(seed=7, temperature=0.7), "temperature was 0.6, is now 0.7"),
        (SamplingParams(seed=8), "seed was 7, is now 8"),
    ],
)
def test_a_journal_of_other_settings_is_refused(tmp_path, params, message):
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=2), tmp_path)
    with pytest.raises(RunFolderError, match=message):
        generate(FakeTeacher(), tmp_path, params)


@pytest.mark.parametrize("shard_size", [1, 2])
def test_a_journal_of_other_shards_is_refused(tmp_path, shard_size):
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=5, order=lambda jobs: list(jobs)[8:]), tmp_path)
    with pytest.raises(RunFolderError, match=r"part-0000\d.jsonl was sampled from other"):
        generate(FakeTeacher(), tmp_path, shard_size=shard_size)


def test_progress_counts_samples_and_what_all_runs_used(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(FakeTeacher(lives=8), tmp_path)
    seen = []
    generate(FakeTeacher(), tmp_path, on_progress=lambda *told: seen.append(told))
    assert [(done, total) for done, total, _ in seen] == [(done, 14) for done in range(8, 15)]
    assert (seen[0][2].requests, seen[-1][2].requests) == (16, 28)


def test_nothing_is_asked_where_all_is_there(whole):
    teacher = FakeTeacher()
    assert generate(teacher, whole).num_resumed_shards == 3
    assert teacher.asked == []


SCRIPT = """
    from pathlib import Path
    from minireason.endpoint.server import Endpoint
    from minireason.records import Question
    from minireason.rollout.generate import generate_rollouts
    from minireason.rollout.openai import OpenAITeacher
    from minireason.rollout.sampling import SamplingParams
    questions = [Question(f"q{{i}}", f"{{i}}?", str(i), "test") for i in range(7)]
    teacher = OpenAITeacher(Endpoint({url!r}, "m", concurrency=3))
    generate_rollouts(teacher, questions, 2, SamplingParams(seed=7), Path({folder!r}), shard_size=3)
"""


def journalled(folder):
    """(question id, index) of the samples on disk, in shards and whole lines of journals."""
    import json

    found = [
        (r.question_id, r.index) for p in folder.glob("*.parquet") for r in read_records(p, Rollout)
    ]
    for path in folder.glob("part-*.jsonl"):
        lines = path.read_bytes().split(b"\n")[1:-1]
        found += [(e["question_id"], e["index"]) for e in map(json.loads, lines)]
    return set(found)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
@pytest.mark.parametrize("num_answers", [4, 9])
def test_sigkill_loses_no_finished_sample_and_asks_none_twice(serve, tmp_path, num_answers):
    free, hangs, release = threading.Semaphore(num_answers), threading.Event(), threading.Event()

    def answer(request, attempt):
        if not free.acquire(blocking=False):
            hangs.set()
            release.wait(20)
        return echo(request, attempt)

    server, folder = serve(answer), tmp_path / "killed"
    script = textwrap.dedent(SCRIPT.format(url=server.url, folder=str(folder)))
    process = subprocess.Popen([sys.executable, "-c", script])
    assert hangs.wait(30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journalled(folder)
    release.set()
    free.release(1000)
    subprocess.run([sys.executable, "-c", script], check=True)
    asked = Counter(request["seed"] for _, request in server.requests)
    assert all(asked[derive_seed(7, *one) & 0x7FFFFFFF] == 1 for one in kept)
    assert len(kept) >= num_answers - 3 and len(asked) == 14
    subprocess.run(
        [sys.executable, "-c", script.replace(str(folder), str(tmp_path / "whole"))], check=True
    )
    assert shards(folder) == shards(tmp_path / "whole")


def test_a_server_that_fails_now_and_then_ends_in_the_same_bytes(serve, tmp_path):
    def teacher(answer):
        return OpenAITeacher(Endpoint(serve(answer).url, "m", backoff_s=0.01, concurrency=5))

    faults = {1: (500, b"", {}), 2: (200, b"{", {}), 3: completion(None)}
    generate(teacher(lambda request, n: faults.get(n) or echo(request, n)), tmp_path / "faults")
    generate(teacher(echo), tmp_path / "whole")
    assert shards(tmp_path / "faults") == shards(tmp_path / "whole")
    assert read_usage(tmp_path / "faults") == read_usage(tmp_path / "whole") + Usage(42, 42)
