"""The steps that sample, carried out by two processes, make the files that one makes."""

import shutil
from pathlib import Path

import pytest

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
    Engine.generate = lambda self, asked, *rest: sampled.extend(asked) or generate(self, asked)
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
