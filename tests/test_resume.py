"""A run that is killed at random points and gone on with equals one that was not, bit for bit.

Every step starts from a copy of an uninterrupted run without its own folder. It is killed at
seeded random moments - after a time, or right after a file has appeared - and started again until
it is done; then its files are compared with those of the uninterrupted run by their hashes.
"""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from minireason.runfolder import read_json

# After which files a step is killed, in turn; `name:n` waits for n lines. Every list is followed
# by one kill after a random part of the step's time.
KILLS = {
    "questions": ["started.json"],
    "rollout": ["part-00000.parquet", "part-00004.parquet"],
    "verify": ["started.json", "part-00002.parquet"],
    "curate": ["started.json"],
    "evaluate-base": ["samples/embedded-math.parquet", "samples/embedded-hard.parquet"],
    "midtrain": [
        "tokens/part-00000",
        "checkpoints/step-000002.partial",
        "metrics.jsonl:3",
        "checkpoints/step-000004",
    ],
    "evaluate-midtrain": ["samples/embedded-math.parquet"],
    "sft": [
        "tokens/part-00000.partial",
        "metrics.jsonl:1",
        "checkpoints/step-000002",
        "model.safetensors",
    ],
    "evaluate-sft": ["samples/embedded-hard.parquet"],
    "pairs": ["started.json", "rollouts/part-00000.parquet"],
    "dpo": [
        "started.json",
        "reference/part-00000.parquet",
        "tokens/reference_logprobs.bin",
        "checkpoints/step-000002",
    ],
    "evaluate-dpo": ["samples/embedded-math.parquet"],
    "prompts": ["rollouts/round-1/part-00000.parquet", "rollouts/round-2/part-00000.parquet"],
    "rlvr": ["buffer/step-000001.parquet", "checkpoints/step-000002", "metrics.jsonl:3"],
    "evaluate-rlvr": ["samples/embedded-choice.parquet"],
}
TIMEOUT_S = 120.0


@pytest.fixture
def step_of(smoke_run, smoke_arguments, start, tmp_path):
    """A run in which one step is to do: how to start it, and its folder."""

    def prepare(step):
        run_dir = Path(shutil.copytree(smoke_run, tmp_path / "run"))
        shutil.rmtree(run_dir / step)
        arguments = ["run", *smoke_arguments, "--out", run_dir, "--only", step]
        return (lambda: start(*arguments, name=step)), run_dir / step

    return prepare


def has_appeared(folder, what):
    name, _, lines = what.partition(":")
    path = folder / name
    if lines and path.is_file():
        return path.read_bytes().count(b"\n") >= int(lines)
    return not lines and path.exists()


def wait_for(process, folder, what):
    """Wait until the file is there or the process has ended."""
    deadline = time.monotonic() + TIMEOUT_S
    while process.is_alive() and not has_appeared(folder, what):
        assert time.monotonic() < deadline, f"{what} did not appear"
        time.sleep(0.001)


def kill(process):
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()


def finish(process):
    process.join(TIMEOUT_S)
    assert process.exitcode == 0, process.output.read_text()


def assert_equal(folder, reference):
    """The same files with the same contents, nothing left over, and one identity."""
    made, expected = (read_json(path / "manifest.json") for path in (folder, reference))
    assert made["files"] == expected["files"]
    assert (made["identity"], made["rows"]) == (expected["identity"], expected["rows"])
    on_disk = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert on_disk - {"manifest.json", "timing.jsonl", "README.md"} == set(expected["files"])


@pytest.mark.slow
@pytest.mark.parametrize("step", KILLS)
def test_a_step_killed_again_and_again_ends_as_if_it_was_not(step, step_of, smoke_run):
    begin, folder = step_of(step)
    rng = random.Random(step)
    num_interrupted = 0
    for what in KILLS[step] * 2:
        process = begin()
        wait_for(process, folder, what)
        time.sleep(rng.uniform(0, 0.005))
        kill(process)
        if (folder / "manifest.json").exists():  # too late, on a busy machine
            shutil.rmtree(folder)
        else:
            num_interrupted += 1
    process = begin()
    wait_for(process, folder, "started.json")
    time.sleep(rng.uniform(0, 0.8) * read_json(smoke_run / step / "manifest.json")["seconds"])
    kill(process)
    finish(begin())
    assert_equal(folder, smoke_run / step)
    assert num_interrupted or step in ("questions", "curate"), "every kill came too late"


@pytest.mark.slow
@pytest.mark.parametrize("step", ["midtrain", "rlvr"])
def test_ctrl_c_finishes_the_step_saves_and_goes_on_to_the_same_end(step, step_of, smoke_run):
    begin, folder = step_of(step)
    process = begin()
    wait_for(process, folder, "metrics.jsonl:1")
    os.kill(process.pid, signal.SIGINT)
    process.join(TIMEOUT_S)
    assert process.exitcode == 130
    output = process.output.read_text()
    assert output.endswith("interrupted; run the same command again to go on\n")
    assert "Traceback" not in output
    assert not (folder / "manifest.json").exists()
    num_lines = (folder / "metrics.jsonl").read_text().count("\n")
    assert (folder / "checkpoints" / f"step-{num_lines:06d}").is_dir()
    finish(begin())
    assert_equal(folder, smoke_run / step)


@pytest.mark.slow
def test_ctrl_c_between_two_benchmarks_goes_on_to_the_same_end(step_of, smoke_run):
    begin, folder = step_of("evaluate-base")
    for _ in range(5):  # on a busy machine the step may be over before the signal is sent
        process = begin()
        wait_for(process, folder, "samples/embedded-math.parquet")
        os.kill(process.pid, signal.SIGINT)
        process.join(TIMEOUT_S)
        if process.exitcode == 130:
            break
        shutil.rmtree(folder)
    assert process.exitcode == 130
    assert process.output.read_text().endswith("run the same command again to go on\n")
    finish(begin())
    assert_equal(folder, smoke_run / "evaluate-base")


@pytest.mark.slow
def test_the_commands_of_the_steps_make_what_run_makes(start, smoke_run, smoke_arguments, tmp_path):
    commands = ["rollout", "verify", "curate", "train midtrain", "train sft", "train dpo"]
    for words in [*commands, "train rlvr", "evaluate", "report"]:
        finish(start(*words.split(), *smoke_arguments, "--out", tmp_path / "run", name="commands"))
    for manifest in sorted(smoke_run.glob("*/manifest.json")):
        step = manifest.parent.name
        if step != "report":
            assert_equal(tmp_path / "run" / step, smoke_run / step)
    assert (tmp_path / "run" / "report" / "report.html").is_file()
