"""The steps that sample, carried out by two processes, make the files that one makes."""

import shutil
import signal
import time
from pathlib import Path

import pytest
from processes import command

from minireason.progress import Progress
from minireason.recipe_file import load_recipe
from minireason.rollout.engine import Engine
from minireason.runfolder import read_json
from minireason.runner import Runner
from minireason.world import join


def carry_out(arguments, run_dir, step):
    """Run the step; how many requests this process has sampled."""
    sampled = []
    generate = Engine.generate
    Engine.generate = lambda self, asked, *rest: (
        sampled.extend(asked) or generate(self, asked, *rest)
    )
    recipe = load_recipe(Path(arguments[0]), arguments[2::2])
    runner = Runner(recipe, run_dir, Progress(is_quiet=True), join())
    runner.run(runner.choose(only=step))
    return len(sampled)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["evaluate-base", "pairs", "prompts"])
def test_two_processes_make_what_one_makes(step, smoke_run, smoke_arguments, processes, tmp_path):
    run_dir = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    shutil.rmtree(run_dir / step)
    assert min(processes(2, carry_out, smoke_arguments, run_dir, step).results()) >= 20
    made, expected = (read_json(path / step / "manifest.json") for path in (run_dir, smoke_run))
    assert made["files"] == expected["files"]
    assert (made["identity"], made["rows"]) == (expected["identity"], expected["rows"])


@pytest.mark.parametrize(("source", "num_sampled"), [("teacher", [0, 0]), ("student", [20, 20])])
def test_pairs_of_one_source_alone_need_no_other(
    source, num_sampled, smoke_run, smoke_arguments, processes, tmp_path
):
    run_dir = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    shutil.rmtree(run_dir / "pairs")
    arguments = [*smoke_arguments, "--set", f"dpo.rollouts_from={source}"]
    assert processes(2, carry_out, arguments, run_dir, "pairs").results() == num_sampled
    found = {path.name.split("-")[0] for path in (run_dir / "pairs" / "pairs").iterdir()}
    assert found == {source}
    rows = read_json(run_dir / "pairs" / "manifest.json")["rows"]
    assert {name.split()[0] for name in rows} == {source, "out"}


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_sigterm_to_one_process_of_an_evaluation_ends_all_and_keeps_what_is_done(
    rank, smoke_run, smoke_arguments, processes, tmp_path
):
    run_dir = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    folder = run_dir / "evaluate-base"
    shutil.rmtree(folder)
    words = ["run", *smoke_arguments, "--out", run_dir, "--only", "evaluate-base"]
    begun = processes(2, command, *words)
    while not any(folder.glob("samples/*.parquet")) and begun.members[0].is_alive():
        time.sleep(0.001)
    begun.interrupt(rank, signal.SIGTERM)
    assert begun.wait() == [0, 0]
    assert "resume with: minireason run" in begun.output(0)
    assert begun.output(1) == ""
    assert any(folder.glob("samples/*.parquet")) and not (folder / "manifest.json").exists()
    processes(2, command, *words).results()
    made, expected = (
        read_json(run / folder.name / "manifest.json") for run in (run_dir, smoke_run)
    )
    assert made["files"] == expected["files"]


def numbers(folder, pattern):
    """The numbers of the `step-NNNNNN` there."""
    return [int(path.stem[5:]) for path in folder.glob(pattern)]


@pytest.mark.slow
def test_rlvr_in_two_processes_killed_after_sampling_learns_from_those_samples(
    smoke_run, smoke_arguments, processes, tmp_path
):
    whole, killed = (Path(shutil.copytree(smoke_run, tmp_path / name)) for name in "ab")
    for run_dir in (whole, killed):
        shutil.rmtree(run_dir / "rlvr")
    arguments = [*smoke_arguments, "--set", "optimizer.checkpoint_every=1"]
    arguments += ["--set", "rlvr.oversample=1"]  # every step samples the same number
    num_sampled = sum(processes(2, carry_out, arguments, whole, "rlvr").results())
    begun = processes(2, carry_out, arguments, killed, "rlvr")
    folder = killed / "rlvr"
    while not any(numbers(folder, "buffer/*.parquet")) and begun.members[0].is_alive():
        time.sleep(0.001)
    begun.kill()
    goes_on_from = max(numbers(folder, "checkpoints/step-??????"), default=0)
    kept = [n for n in numbers(folder, "buffer/*.parquet") if n >= goes_on_from]
    again = sum(processes(2, carry_out, arguments, killed, "rlvr").results())
    assert again == num_sampled / 4 * (4 - goes_on_from - len(kept))
    made, expected = (read_json(path / "rlvr" / "manifest.json") for path in (killed, whole))
    assert (made["files"], made["identity"]) == (expected["files"], expected["identity"])
