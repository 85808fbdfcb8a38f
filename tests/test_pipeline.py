"""What the steps of a recipe read."""

from dataclasses import replace
from pathlib import Path

import pytest

from minireason.errors import RunFolderError
from minireason.progress import Progress
from minireason.recipe_file import load_recipe
from minireason.runfolder import StepFolder
from minireason.runner import Runner

SMOKE = Path(__file__).parents[1] / "recipes" / "smoke.toml"


def runner_with(reward, run_dir):
    recipe = load_recipe(SMOKE, [f'rlvr.rewards={{"{reward}:reward" = 1.0}}'])
    return Runner(recipe, run_dir, Progress(is_quiet=True))


def test_an_edited_reward_of_one_s_own_is_a_changed_input_of_rlvr(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def reward(question, response, answer):\n    return 1.0\n")
    runner = runner_with(mine, tmp_path / "run")
    (rlvr,) = runner.choose(only="rlvr")[1:]
    for name in rlvr.reads.values():
        read = StepFolder(name, tmp_path / "run" / name, {}, {})
        read.start()
        read.finish({}, seed=0, seconds=0.0)
    runner.run([replace(rlvr, work=lambda step: {"in": 1, "out": 1})])
    assert runner_with(mine, tmp_path / "run").state(rlvr) == "done"
    mine.write_text("def reward(question, response, answer):\n    return 2.0\n")
    with pytest.raises(RunFolderError, match=r"step rlvr .* another recipe or input: .*mine\.py"):
        runner_with(mine, tmp_path / "run").state(rlvr)
