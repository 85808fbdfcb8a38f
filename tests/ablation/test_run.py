"""Two variants on the smoke run's model: carried out, gone on with, and what goes wrong."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from minireason.ablation import run as run_module
from minireason.ablation.design import Study, Variant
from minireason.ablation.outcome import generated_tokens, metrics_lines
from minireason.ablation.run import Ablation, Means
from minireason.errors import MinireasonError, RunFolderError
from minireason.progress import Progress
from minireason.runfolder import read_json

STUDY = Study(("rebalancing",), num_seeds=1, noise_steps=2)
TOKENS = 400
NAMES = ["grpo+rebalancing", "grpo"]


def ablation(recipe, base, out, study=STUDY, tokens=TOKENS, jobs=2):
    return Ablation(recipe, study, out, Means(base, tokens, jobs), Progress(is_quiet=True))


@pytest.fixture(scope="module")
def done(smoke_recipe, smoke_run, tmp_path_factory):
    """A finished ablation and its summary; do not write to it."""
    out = tmp_path_factory.mktemp("ablation") / "out"
    return out, ablation(smoke_recipe, smoke_run, out).run()


def finished(out):
    return {path: path.stat().st_mtime_ns for path in out.rglob("manifest.json")}


@pytest.mark.slow
def test_every_variant_is_a_run_of_its_own_with_the_same_start(done, smoke_run):
    out, summary = done
    assert [row.name for row in summary.rows] == NAMES and summary.failed == {}
    for name in NAMES:
        folder = out / name / "seed-0"
        steps = {path.parent.name for path in folder.glob("*/manifest.json")}
        assert steps >= {"questions", "dpo", "prompts", "rlvr", "evaluate-rlvr"}
        assert steps >= {"evaluate-dpo", "gradient-noise-2"}
        started = (folder / "dpo" / "model.safetensors").stat()
        assert started.st_ino == (smoke_run / "dpo" / "model.safetensors").stat().st_ino
    config = read_json(out / "grpo" / "seed-0" / "rlvr" / "manifest.json")["config"]["rlvr"]
    assert (config["rebalance"], config["token_budget"]) == (False, TOKENS)


@pytest.mark.slow
def test_every_run_ends_within_the_step_that_reaches_the_budget(done):
    out, summary = done
    for name, row in zip(NAMES, summary.rows, strict=True):
        lines = metrics_lines(out / name / "seed-0")
        assert generated_tokens(lines) == row.generated_tokens >= TOKENS
        assert generated_tokens(lines[:-1]) < TOKENS


@pytest.mark.slow
def test_variants_with_the_same_prompts_select_them_once(done):
    out, _ = done
    one, other = (out / name / "seed-0" / "prompts" / "manifest.json" for name in NAMES)
    assert one.stat().st_ino == other.stat().st_ino


@pytest.mark.slow
def test_the_model_before_is_that_of_the_base_run(done, smoke_run):
    _, summary = done
    known = read_json(smoke_run / "evaluate-dpo" / "summary.json")["benchmarks"]
    for name, found in known.items():
        assert summary.before[name].value == pytest.approx(found["pass_at_1"])
        assert summary.before[name].low == pytest.approx(found["ci_low"])


@pytest.mark.slow
def test_a_second_call_does_nothing_anew_and_says_the_same(
    done, smoke_recipe, smoke_run, monkeypatch
):
    out, summary = done
    before = finished(out)
    monkeypatch.setattr(run_module, "run_jobs", lambda *_: pytest.fail("there is nothing to do"))
    assert ablation(smoke_recipe, smoke_run, out).run() == summary
    assert finished(out) == before


@pytest.mark.slow
def test_another_budget_in_the_same_folder_is_an_error(done, smoke_recipe, smoke_run):
    out, _ = done
    with pytest.raises(RunFolderError, match="token_budget was 400, is now 500"):
        ablation(smoke_recipe, smoke_run, out, tokens=500).run()


@pytest.mark.slow
def test_another_base_in_the_same_folder_is_an_error(done, smoke_recipe, smoke_run, tmp_path):
    out, _ = done
    other = Path(shutil.copytree(smoke_run, tmp_path / "other"))
    manifest = other / "dpo" / "manifest.json"
    text = manifest.read_text().replace(read_json(manifest)["identity"], "0" * 64)
    manifest.write_text(text)
    with pytest.raises(RunFolderError, match="is not the step that is in"):
        ablation(smoke_recipe, other, out).run()


@pytest.mark.slow
def test_a_run_that_fails_loses_no_other_and_is_tried_again(
    done, smoke_recipe, smoke_run, tmp_path
):
    out = Path(shutil.copytree(done[0], tmp_path / "out"))
    broken = out / "grpo" / "seed-0" / "rlvr"
    shutil.rmtree(broken)
    shutil.rmtree(out / NAMES[0] / "seed-0" / "evaluate-rlvr")
    broken.write_text("in the way")
    summary = ablation(smoke_recipe, smoke_run, out).run()
    assert list(summary.failed) == ["grpo, seed 0"] and "see " in summary.failed["grpo, seed 0"]
    assert [row.name for row in summary.rows] == NAMES[:1] and summary.effects == []
    broken.unlink()
    assert ablation(smoke_recipe, smoke_run, out).run() == done[1]


@pytest.mark.slow
def test_without_a_budget_the_first_run_sets_it(smoke_recipe, smoke_run, tmp_path):
    study = Study(("temperature_annealing",), num_seeds=1, noise_steps=2)
    summary = ablation(smoke_recipe, smoke_run, tmp_path, study, tokens=0).run()
    first, other = summary.rows
    assert first.num_steps == smoke_recipe.rlvr.num_steps
    assert summary.tokens == first.generated_tokens <= other.generated_tokens


@pytest.mark.slow
def test_prompts_that_cannot_be_had_end_it_with_the_reason(smoke_recipe, smoke_run, tmp_path):
    rlvr = smoke_recipe.rlvr.model_copy(update={"min_pass_rate": 1.0, "max_pass_rate": 1.0})
    recipe = smoke_recipe.model_copy(update={"rlvr": rlvr})
    with pytest.raises(MinireasonError, match=r"every run failed.*no prompts left"):
        ablation(recipe, smoke_run, tmp_path).run()


def test_another_seed_and_nothing_else_makes_a_repetition(smoke_recipe, tmp_path):
    made = ablation(smoke_recipe, None, tmp_path, Study(("rebalancing",), num_seeds=2))
    first, second = (made._run_of(Variant("grpo"), seed, tokens=9).recipe for seed in (0, 1))
    assert second.rlvr.seed == first.rlvr.seed + 1
    assert first == second.model_copy(
        update={"rlvr": second.rlvr.model_copy(update={"seed": first.rlvr.seed})}
    )


@pytest.mark.slow
def test_ctrl_c_saves_what_the_runs_have_done_and_the_same_command_goes_on(
    smoke_arguments, smoke_run, start, tmp_path
):
    options = ["--toggle", "rebalancing", "--seeds", 1, "--noise-steps", 2, "--jobs", 2]
    words = ["ablate", *smoke_arguments, *options, "--tokens", 1500]
    words += ["--from", smoke_run, "--out", tmp_path / "out"]
    process = start(*words)
    folders = [tmp_path / "out" / name / "seed-0" for name in NAMES]
    deadline = time.monotonic() + 100
    while process.is_alive() and not all(map(metrics_lines, folders)):
        assert time.monotonic() < deadline, process.output.read_text()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join(100)
    said = process.output.read_text()
    assert process.exitcode == 130, said
    assert said.endswith("interrupted; run the same command again to go on\n")
    for folder in folders:
        is_done = (folder / "rlvr" / "manifest.json").exists()  # on a machine that is fast enough
        assert is_done or list((folder / "rlvr").glob("checkpoints/step-*"))
    process = start(*words)
    process.join(200)
    assert process.exitcode == 0, process.output.read_text()
    assert "report: " in process.output.read_text()
