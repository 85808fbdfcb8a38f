"""One run of every step of recipes/smoke.toml, looked at from many sides."""

import re
import shutil
from pathlib import Path

import pytest

from minireason.errors import MissingError, RecipeError, RunFolderError
from minireason.progress import Progress
from minireason.recipe_file import load_recipe
from minireason.records import (
    EvalSample,
    Example,
    Pair,
    Prompt,
    Question,
    Rollout,
    Verdict,
    read_records,
)
from minireason.runfolder import read_json
from minireason.runner import Runner

DATA = ["questions", "rollout", "verify", "curate", "pairs", "prompts"]
TRAINED = ["midtrain", "sft", "dpo", "rlvr"]
RUNGS = ["base", *TRAINED]
STEPS = [
    *["questions", "rollout", "verify", "curate", "evaluate-base", "midtrain", "evaluate-midtrain"],
    *["sft", "evaluate-sft", "pairs", "dpo", "evaluate-dpo", "prompts", "rlvr", "evaluate-rlvr"],
    "report",
]


def manifest(run_dir, step):
    return read_json(run_dir / step / "manifest.json")


def rows(run_dir, step):
    return manifest(run_dir, step)["rows"]


def dropped(counts, prefix=""):
    return sum(n for name, n in counts.items() if name.startswith(f"{prefix}dropped: "))


def runner(recipe, run_dir):
    return Runner(recipe, run_dir, Progress(is_quiet=True))


@pytest.fixture
def own_run(smoke_run, tmp_path):
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(smoke_run, tmp_path / "run"))


def test_every_step_is_finished(smoke_run):
    folders = {path.name for path in smoke_run.iterdir() if path.is_dir()}
    assert folders == set(STEPS)
    assert all((smoke_run / step / "manifest.json").is_file() for step in STEPS)
    assert list(smoke_run.rglob("*.partial")) == []


def test_the_steps_run_in_the_order_of_the_recipe(smoke_recipe, smoke_run):
    assert [step.name for step in runner(smoke_recipe, smoke_run).choose()] == STEPS
    finished = [(smoke_run / step / "manifest.json").stat().st_mtime_ns for step in STEPS]
    assert finished == sorted(finished)


def test_no_question_is_dropped_silently(smoke_run):
    counts = rows(smoke_run, "questions")
    assert counts["in"] == counts["out"] + dropped(counts) == 60
    assert len(read_records(smoke_run / "questions", Question)) == counts["out"]


def test_every_question_has_its_rollouts_and_every_rollout_its_verdict(smoke_run):
    rollouts = read_records(smoke_run / "rollout", Rollout)
    verdicts = read_records(smoke_run / "verify", Verdict)
    assert len(rollouts) == 4 * 60 == rows(smoke_run, "rollout")["out"]
    assert [(r.question_id, r.index) for r in rollouts] == [
        (v.question_id, v.index) for v in verdicts
    ]


def test_verdicts_add_up(smoke_run):
    counts = rows(smoke_run, "verify")
    labels = [counts.get(label, 0) for label in ("correct", "incorrect", "unknown")]
    methods = [number for name, number in counts.items() if name.startswith("by ")]
    assert counts["in"] == counts["out"] == sum(labels) == sum(methods)


def test_no_rollout_is_dropped_silently_by_curation(smoke_run):
    counts = rows(smoke_run, "curate")
    assert counts["in"] == rows(smoke_run, "rollout")["out"]
    assert counts["sft in"] == counts["out"]
    for name, prefix in [("midtrain", ""), ("sft", "sft ")]:
        for unit in ("", "tokens "):
            account = prefix + unit
            assert counts[f"{account}in"] == counts[f"{account}out"] + dropped(counts, account)
        examples = read_records(smoke_run / "curate" / name, Example)
        assert len(examples) == counts[f"{prefix}out"]


def test_sft_is_a_part_of_the_midtraining_set(smoke_run):
    midtrain, sft = (read_records(smoke_run / "curate" / n, Example) for n in ("midtrain", "sft"))
    known = {example.id: example for example in midtrain}
    assert sft and all(known[example.id] == example for example in sft)


def test_no_rollout_is_dropped_silently_by_pairing(smoke_run):
    counts = rows(smoke_run, "pairs")
    for who in ("teacher", "student"):
        assert counts[f"{who} in"] == counts[f"{who} out"] + dropped(counts, f"{who} ")
    pairs = read_records(smoke_run / "pairs" / "pairs", Pair)
    assert len(pairs) == counts["out"] == (counts["teacher out"] + counts["student out"]) // 2


def test_pairs_come_from_the_teacher_and_from_the_student(smoke_run):
    pairs = read_records(smoke_run / "pairs" / "pairs", Pair)
    assert {pair.id.split("/")[0] for pair in pairs} == {"teacher", "student"}
    assert len({pair.id for pair in pairs}) == len(pairs)


def test_no_prompt_is_dropped_silently(smoke_run):
    counts = rows(smoke_run, "prompts")
    assert counts["in"] == counts["out"] + dropped(counts) == 10
    assert len(read_records(smoke_run / "prompts" / "prompts.parquet", Prompt)) == counts["out"]


@pytest.mark.parametrize("stage", TRAINED)
def test_a_stage_counts_its_examples_and_logs_every_step(stage, smoke_run, smoke_recipe):
    counts = rows(smoke_run, stage)
    assert counts["in"] == counts["out"] + dropped(counts)
    settings = getattr(smoke_recipe, stage)
    num_steps = settings.num_steps if stage == "rlvr" else settings.max_steps
    lines = (smoke_run / stage / "metrics.jsonl").read_text().splitlines()
    assert [f'{{"step": {n},' for n in range(1, num_steps + 1)] == [
        re.match(r'{"step": \d+,', line)[0] for line in lines
    ]


@pytest.mark.parametrize("stage", TRAINED)
def test_a_stage_leaves_a_model_that_transformers_loads_and_nothing_half_done(stage, smoke_run):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smoke_run / stage
    assert AutoModelForCausalLM.from_pretrained(folder).config.model_type == "phi3"
    assert AutoTokenizer.from_pretrained(folder).chat_template
    assert not {"checkpoints", "started.json"} & {p.name for p in folder.iterdir()}


@pytest.mark.parametrize("stage", TRAINED)
def test_a_stage_changes_the_weights(stage, smoke_run, base):
    before = {"midtrain": base, "sft": smoke_run / "midtrain", "dpo": smoke_run / "sft"}
    folder = before.get(stage, smoke_run / "dpo")
    weights = "model.safetensors"
    assert (folder / weights).read_bytes() != (smoke_run / stage / weights).read_bytes()


def test_the_ladder_has_five_rungs_measured_on_the_same_questions(smoke_run):
    summaries = [read_json(smoke_run / f"evaluate-{rung}" / "summary.json") for rung in RUNGS]
    assert [summary["rung"] for summary in summaries] == RUNGS
    benchmarks = ["embedded-math", "embedded-hard", "embedded-choice"]
    for name in benchmarks:
        asked = {
            tuple(
                (s.question_id, s.index)
                for s in read_records(
                    smoke_run / f"evaluate-{rung}" / "samples" / f"{name}.parquet", EvalSample
                )
            )
            for rung in RUNGS
        }
        assert len(asked) == 1
        assert len(asked.pop()) == 10 * 2


def test_no_benchmark_question_is_among_the_training_questions(smoke_run):
    trained = {question.text for question in read_records(smoke_run / "questions", Question)}
    asked = read_records(smoke_run / "evaluate-base" / "samples", EvalSample)
    assert trained.isdisjoint({sample.question for sample in asked})


def test_the_report_is_one_page_that_shows_every_rung(smoke_run):
    page = (smoke_run / "report" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!")
    assert all(rung in page for rung in RUNGS)


def test_the_run_records_a_recipe_that_runs_again(smoke_run, smoke_recipe, tmp_path):
    (tmp_path / "again.toml").write_text(read_json(smoke_run / "run.json")["recipe"])
    assert load_recipe(tmp_path / "again.toml") == smoke_recipe


def test_a_second_run_does_nothing_but_the_report(own_run, smoke_recipe):
    before = {p: p.stat().st_mtime_ns for p in own_run.rglob("*") if p.is_file()}
    again = runner(smoke_recipe, own_run)
    again.run(again.choose())
    after = {p: p.stat().st_mtime_ns for p in own_run.rglob("*") if p.is_file()}
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path.relative_to(own_run).parts[0] for path in changed} == {"run.json", "report"}


def test_the_state_of_every_step_is_told(own_run, smoke_recipe):
    shutil.rmtree(own_run / "rlvr")
    (own_run / "evaluate-rlvr" / "manifest.json").rename(own_run / "evaluate-rlvr" / "started.json")
    (own_run / "report" / "manifest.json").unlink()
    asked = runner(smoke_recipe, own_run)
    states = {step.name: asked.state(step) for step in asked.choose(first="dpo", last="rlvr")}
    assert states == {"pairs": "done", "dpo": "done", "evaluate-dpo": "done"} | {
        "prompts": "done",
        "rlvr": "to do",
    }


def test_an_interrupted_step_is_told_from_one_to_do(own_run, smoke_recipe):
    (own_run / "sft" / "manifest.json").rename(own_run / "sft" / "started.json")
    asked = runner(smoke_recipe, own_run)
    assert asked.state(asked.choose(only="sft")[0]) == "interrupted"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"only": "sft"}, "sft"),
        ({"only": "dpo"}, "pairs dpo"),
        ({"only": "rlvr"}, "prompts rlvr"),
        ({"only": "rollout"}, "questions rollout"),
        ({"only": "evaluate"}, "evaluate-base"),
        ({"only": "evaluate-dpo"}, "evaluate-dpo"),
        ({"last": "rollout"}, "questions rollout"),
        ({"first": "rlvr"}, "prompts rlvr evaluate-rlvr report"),
        ({"first": "sft", "last": "dpo"}, "sft evaluate-sft pairs dpo"),
        ({"first": "verify", "last": "verify"}, "verify"),
    ],
)
def test_steps_are_chosen_by_name_and_by_group(choice, names, smoke_recipe, tmp_path):
    found = runner(smoke_recipe, tmp_path).choose(**choice)
    assert [step.name for step in found] == names.split()


def test_all_evaluations_are_chosen_where_all_models_are(smoke_recipe, smoke_run):
    found = runner(smoke_recipe, smoke_run).choose(only="evaluate")
    assert [step.name for step in found] == [f"evaluate-{rung}" for rung in RUNGS]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"only": "stf"}, "there is no step 'stf'; the nearest is 'sft', all are questions, "),
        ({"first": "reports"}, "the nearest is 'report'"),
        ({"first": "sft", "last": "rollout"}, "--from sft comes after --until rollout"),
        ({"only": "sft", "first": "sft"}, "leave out --from and --until"),
    ],
)
def test_a_choice_that_cannot_be_made_is_an_error(choice, message, smoke_recipe, tmp_path):
    with pytest.raises(RecipeError, match=message):
        runner(smoke_recipe, tmp_path).choose(**choice)


def test_a_step_whose_input_is_not_finished_says_which(smoke_recipe, tmp_path):
    asked = runner(smoke_recipe, tmp_path)
    with pytest.raises(MissingError, match=r"step sft reads curate, .*--until curate"):
        asked.run(asked.choose(only="sft"))


def test_a_changed_recipe_stops_before_anything_is_changed(own_run, smoke_arguments):
    overrides = [*smoke_arguments[2::2], "sft.batch_size=5"]
    changed = runner(load_recipe(Path(smoke_arguments[0]), overrides), own_run)
    with pytest.raises(RunFolderError, match=r"step sft .* sft.batch_size was 4, is now 5"):
        changed.run(changed.choose())
    assert (own_run / "sft" / "manifest.json").is_file()


def test_a_key_that_a_step_does_not_use_does_not_stop_it(smoke_run, smoke_arguments):
    overrides = [*smoke_arguments[2::2], "rlvr.num_steps=9"]
    changed = runner(load_recipe(Path(smoke_arguments[0]), overrides), smoke_run)
    states = [changed.state(step) for step in changed.choose(last="prompts")]
    assert set(states) == {"done"}


def test_another_base_model_is_a_changed_input(own_run, smoke_arguments, base, tmp_path):
    other = shutil.copytree(base, tmp_path / "other")
    (other / "generation_config.json").write_text("{}")
    overrides = [*smoke_arguments[2::2], f"model.base={other}"]
    changed = runner(load_recipe(Path(smoke_arguments[0]), overrides), own_run)
    with pytest.raises(RunFolderError, match=r"step evaluate-base .* input.base model was"):
        changed.run(changed.choose(only="evaluate"))


def test_another_hub_id_as_base_is_a_changed_input(tmp_path, smoke_arguments):
    def step_of(base):
        overrides = [*smoke_arguments[2::2], f"model.base={base}", "run.stages=[]"]
        chosen = runner(load_recipe(Path(smoke_arguments[0]), overrides), tmp_path)
        return chosen._folder(chosen.choose(only="evaluate-base")[0])

    step_of("owner/one").start()
    with pytest.raises(RunFolderError, match=r"base model was 'owner/one', is now 'owner/two'"):
        step_of("owner/two").check()


def test_a_new_input_made_after_a_step_is_an_error_in_that_step(own_run, smoke_recipe):
    shutil.rmtree(own_run / "verify")
    again = runner(smoke_recipe, own_run)
    again.run(again.choose(only="verify"))
    assert again.state(again.choose(only="curate")[0]) == "done"
    manifest_path = own_run / "verify" / "manifest.json"
    manifest_path.write_text(manifest_path.read_text().replace('"identity": "', '"identity": "0'))
    with pytest.raises(
        RunFolderError, match=r"step curate .* input.verify was '\w+\.\.\., is now '0"
    ):
        runner(smoke_recipe, own_run).state(again.choose(only="curate")[0])


def test_two_benchmarks_of_one_label_are_an_error(smoke_arguments, tmp_path):
    names = '["a/test.jsonl", "b/test.jsonl"]'
    recipe = load_recipe(Path(smoke_arguments[0]), [f"evaluate.benchmarks={names}"])
    with pytest.raises(RecipeError, match=r"a/test.jsonl' and 'b/test.jsonl', .* called 'test'"):
        runner(recipe, tmp_path)


@pytest.mark.slow
def test_the_carried_base_model_loads_and_answers_in_the_form_of_an_answer():
    from minireason.model.source import TINY_FOLDER

    if not TINY_FOLDER.is_dir():
        pytest.skip("the package carries no base model")
    from minireason.model.chat import Chat
    from minireason.model.load import load_model
    from minireason.problems.procedural import generate_questions
    from minireason.rollout.policy import PolicyTeacher
    from minireason.rollout.samplers import SamplerSettings, open_sampler
    from minireason.rollout.sampling import SamplingParams

    tiny = load_model("tiny")
    sampler = open_sampler(SamplerSettings(max_batch=20, max_length=320), tiny)
    policy = PolicyTeacher(sampler, Chat(tiny.tokenizer), "tiny")
    questions = generate_questions(20, 0, "eval", ["elementary"])
    params = SamplingParams(temperature=0.6, max_tokens=64)
    answers = [group[0] for group in policy.sample(questions, 1, params)]
    assert sum("\\boxed{" in answer.response for answer in answers) >= 15
    assert sum(answer.finish_reason == "stop" for answer in answers) >= 15
