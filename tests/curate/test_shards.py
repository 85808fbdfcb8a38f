import subprocess
import sys
import time
from pathlib import Path

import pytest

from minireason.curate.midtrain import MidtrainSelection
from minireason.curate.shards import ShardRules, annotate_shards
from minireason.errors import DataError
from minireason.records import (
    Annotation,
    Example,
    Question,
    Rollout,
    Verdict,
    read_records,
    write_records,
)
from minireason.shards import shard_jobs

QUESTIONS = [Question(f"q{i}", f"{i} + 1?", str(i + 1), "t") for i in range(6)]
NAMES = ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]


@pytest.fixture
def folders(tmp_path):
    """Three shards, two questions each, two rollouts a question, the first one correct."""
    for name in ("rollout", "verify"):
        (tmp_path / name).mkdir()
    for number, name in enumerate(NAMES):
        keys = [(q.id, i) for q in QUESTIONS[2 * number : 2 * number + 2] for i in range(2)]
        rollouts = [Rollout(q, i, f"so {q} is {i}", "m", "stop") for q, i in keys]
        labels = ("correct", "incorrect")
        verdicts = [Verdict(q, i, labels[i], "", "", "") for q, i in keys]
        write_records(tmp_path / "rollout" / name, rollouts, Rollout)
        write_records(tmp_path / "verify" / name, verdicts, Verdict)
    return tmp_path


@pytest.fixture
def annotate(folders):
    """Annotates the shards that are not done into a folder; how many were reported done."""

    def run(out, num_workers=1, questions=QUESTIONS):
        made = {name: folders / out / name for name in ("midtrain", "annotations")}
        for folder in made.values():
            folder.mkdir(parents=True, exist_ok=True)
        rules = ShardRules(MidtrainSelection(), "Think.", "tiny", folders / "verify", **made)
        done = [(made["annotations"] / name).is_file() for name in NAMES]
        jobs = shard_jobs(questions, [folders / "rollout" / name for name in NAMES], done)
        return list(annotate_shards(jobs, rules, num_workers)), made

    return run


def contents(made):
    return (
        read_records(made["midtrain"], Example),
        read_records(made["annotations"], Annotation),
    )


def test_every_shard_has_its_annotations_and_examples(annotate):
    progress, made = annotate("one")
    examples, annotations = contents(made)
    assert progress == [1, 2, 3]
    assert [e.id for e in examples] == [f"q{i}#0" for i in range(6)]
    assert [a.dropped for a in annotations] == ["", "incorrect"] * 6
    assert all(a.num_tokens > 0 for a in annotations)


def test_several_processes_write_the_same(annotate):
    progress, made = annotate("two", num_workers=2)
    assert progress == [1, 2, 3]
    assert contents(made) == contents(annotate("one")[1])


def test_a_shard_that_is_done_is_passed_over(annotate):
    _, made = annotate("out")
    whole = contents(made)
    (made["annotations"] / NAMES[1]).unlink()
    kept = (made["annotations"] / NAMES[2]).stat().st_mtime_ns
    assert annotate("out")[0] == [1]
    assert contents(made) == whole
    assert (made["annotations"] / NAMES[2]).stat().st_mtime_ns == kept


@pytest.mark.parametrize("num_workers", [1, 2])
def test_rollouts_of_an_unknown_question_are_an_error_that_names_the_shard(annotate, num_workers):
    with pytest.raises(DataError, match=r"part-00001.parquet answers 'q3', which is not among"):
        annotate("out", num_workers, questions=QUESTIONS[:3])


def test_an_error_in_a_process_is_told_and_finished_shards_stay(annotate, folders):
    write_records(folders / "verify" / NAMES[2], [], Verdict)
    with pytest.raises(DataError, match="has no verdict; verify the rollouts first"):
        annotate("out", num_workers=2)
    assert not (folders / "out" / "annotations" / NAMES[2]).exists()
    assert (folders / "out" / "annotations" / NAMES[0]).is_file()


ONE_JOB_THEN_NONE = """
import multiprocessing, sys, time
from pathlib import Path
from minireason.curate.midtrain import MidtrainSelection
from minireason.curate.shards import ShardRules, annotate_shards
from minireason.records import Question
from minireason.shards import ShardJob

if __name__ == "__main__":
    root = Path(sys.argv[1])
    out = root / "out"
    rules = ShardRules(MidtrainSelection(), "", "tiny", root / "verify", out, root / "annotations")

    def jobs():
        questions = [Question(f"q{i}", "?", "1", "t") for i in range(2)]
        yield ShardJob(root / "rollout" / "part-00000.parquet", questions)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(60)

    out.mkdir()
    (root / "annotations").mkdir()
    list(annotate_shards(jobs(), rules, 2))
"""


def test_processes_end_with_a_parent_that_is_killed(folders):
    script = folders / "script.py"
    script.write_text(ONE_JOB_THEN_NONE)
    parent = subprocess.Popen([sys.executable, script, folders], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def is_running(pid):
    """Whether there is such a process; one that ended and that nobody waits for is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
