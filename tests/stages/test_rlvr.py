"""Prompt optimisation and the stage itself, on the smoke run."""

from dataclasses import replace
from pathlib import Path

import pytest

from minireason.progress import Progress
from minireason.recipe_file import load_recipe
from minireason.records import Rollout, parquet_files, read_records, write_records
from minireason.stages.rlvr import prompts, rounds
from minireason.step import StepContext


def first_round(smoke_run, folder):
    """The first round of the smoke run's trials, one response of each of four much longer."""
    theirs = smoke_run / "prompts" / "rollouts" / "round-1"
    uneven = sorted({r.question_id for r in read_records(theirs, Rollout)})[:4]
    folder.mkdir(parents=True)
    for shard in parquet_files(theirs):
        changed = [
            replace(r, num_tokens=6000) if r.question_id in uneven and r.index == 0 else r
            for r in read_records(shard, Rollout)
        ]
        write_records(folder / shard.name, changed, Rollout)


@pytest.mark.parametrize(("is_on", "num_prompts"), [("true", 6), ("false", 10)])
def test_prompt_optimisation_drops_uneven_lengths_unless_it_is_off(
    is_on, num_prompts, smoke_run, smoke_arguments, tmp_path
):
    overrides = ["rlvr.max_length_spread=0.9", f"rlvr.prompt_optimization={is_on}"]
    recipe = load_recipe(Path(smoke_arguments[0]), [*smoke_arguments[2::2], *overrides])
    inputs = {"questions": smoke_run / "questions", "model": smoke_run / "dpo"}
    first_round(smoke_run, tmp_path / "rollouts" / "round-1")
    counts = prompts(StepContext(recipe, tmp_path, inputs, Progress(is_quiet=True)))
    assert (counts["in"], counts["out"]) == (10, num_prompts)
    assert counts.get("dropped: response lengths not uniform", 0) == 10 - num_prompts
    tried = {r.question_id for r in read_records(tmp_path / "rollouts" / "round-2", Rollout)}
    assert len(tried) == num_prompts


def test_trials_are_spread_over_rounds_of_two_at_least():
    assert rounds(8, 2) == [(0, 4), (4, 8)]
    assert rounds(5, 2) == [(0, 2), (2, 5)]
    assert rounds(3, 9) == [(0, 3)]
