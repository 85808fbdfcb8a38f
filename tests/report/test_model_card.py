"""The model cards of a real run: readable by the hub, true to the manifests, kind to edits."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM

from minireason.evaluate.schema import read_summary
from minireason.report import write_model_cards
from minireason.report.card_facts import without_paths
from minireason.report.model_card import SECTIONS, is_ours
from minireason.runfolder import StepFolder, read_json

TRAINED = ["midtrain", "sft", "dpo", "rlvr"]
RUNGS = {"Base": "base", "Mid-train": "midtrain", "SFT": "sft", "DPO": "dpo", "RLVR": "rlvr"}


@pytest.fixture
def own_run(smoke_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(smoke_run, tmp_path / "run"))


def card(run_dir: Path, stage: str) -> str:
    return (run_dir / stage / "README.md").read_text(encoding="utf-8")


def table(text: str, first_cell: str) -> list[list[str]]:
    """The rows of the table whose heading starts with a cell."""
    lines = text[text.index(f"| {first_cell} |") :].split("\n\n")[0].splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])
    ]


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", text)]


@pytest.mark.parametrize("stage", TRAINED)
def test_the_hub_reads_the_front_matter(stage: str, smoke_run: Path) -> None:
    data = ModelCard.load(smoke_run / stage / "README.md").data
    assert (data.pipeline_tag, data.library_name) == ("text-generation", "transformers")
    assert stage in data.tags
    assert data.base_model is None  # a folder is no id of the hub


@pytest.mark.parametrize("stage", TRAINED)
def test_the_ladder_is_that_of_the_summaries_up_to_the_model(stage: str, smoke_run: Path) -> None:
    (_, *benchmarks), *rows = table(card(smoke_run, stage), "model")
    assert [row[0] for row in rows] == list(RUNGS)[: TRAINED.index(stage) + 2]
    for label, *cells in rows:
        summary = read_summary(smoke_run / f"evaluate-{RUNGS[label]}" / "summary.json")
        assert list(summary.benchmarks) == benchmarks
        for cell, measured in zip(cells, summary.benchmarks.values(), strict=True):
            expected = (measured.pass_at_1, measured.ci_low, measured.ci_high)
            assert numbers(cell) == pytest.approx([100 * share for share in expected], abs=0.05)


@pytest.mark.parametrize("stage", TRAINED)
def test_the_card_has_the_sections_of_a_good_one(stage: str, smoke_run: Path) -> None:
    found = re.findall(r"^## (.*)$", card(smoke_run, stage), flags=re.MULTILINE)
    assert found == list(SECTIONS)
    template = Path(huggingface_hub.__file__).parent / "templates" / "modelcard_template.md"
    asked = re.findall(r"^## (.*)$", template.read_text(encoding="utf-8"), flags=re.MULTILINE)
    optional = {"Glossary", "Technical Specifications", "Model Examination"}
    optional |= {"More Information", "Model Card Authors", "Model Card Contact"}
    names = {name.removesuffix(" [optional]") for name in asked}
    assert names - optional <= set(found)


def test_what_safety_benchmarks_gave_stands_by_itself(own_run: Path) -> None:
    assert "Not measured: neither refusals" in card(own_run, "rlvr")
    for rung in RUNGS.values():
        path = own_run / f"evaluate-{rung}" / "summary.json"
        path.write_text(path.read_text().replace('"embedded-hard": {', '"safety-hard": {'))
    write_model_cards(own_run)
    results, safety = card(own_run, "rlvr").split("## Safety")
    assert "safety-hard" not in results.split("## Evaluation")[1]
    assert table(safety, "model")[0] == ["model", "safety-hard"]
    assert "Not measured" not in safety.split("## Bias")[0]


def test_results_on_data_sets_of_the_hub_are_listed_for_it(own_run: Path) -> None:
    path = own_run / "evaluate-rlvr" / "summary.json"
    summary = read_json(path)
    assert ModelCard.load(own_run / "rlvr" / "README.md").data.eval_results is None
    summary["sampling"] |= {"benchmarks": ["hf:owner/sums:main", "embedded-math"], "limit": 0}
    summary["benchmarks"]["sums-main"] = summary["benchmarks"]["embedded-math"]
    path.write_text(json.dumps(summary))
    write_model_cards(own_run)
    (result,) = ModelCard.load(own_run / "rlvr" / "README.md").data.eval_results
    assert (result.dataset_type, result.dataset_config) == ("owner/sums", "main")
    assert result.metric_value == round(100 * summary["benchmarks"]["sums-main"]["pass_at_1"], 1)
    summary["sampling"]["limit"] = 10
    path.write_text(json.dumps(summary))
    write_model_cards(own_run)
    assert ModelCard.load(own_run / "rlvr" / "README.md").data.eval_results is None


def test_the_parameters_are_counted(smoke_run: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(smoke_run / "sft", device_map="meta")
    count = sum(weight.numel() for weight in model.parameters())
    assert f"- **Parameters:** {count:,}\n" in card(smoke_run, "sft")


def test_a_recipe_for_others_names_no_place_of_this_machine() -> None:
    recipe = 'base = "/home/me/models/phi/"\nsources = ["~/q.jsonl", "hf:a/b", "data/q.jsonl"]'
    shown = 'base = "…/phi"\nsources = ["…/q.jsonl", "hf:a/b", "data/q.jsonl"]'
    assert without_paths(recipe) == shown


@pytest.mark.parametrize("stage", TRAINED)
def test_the_chain_is_that_of_the_manifests(stage: str, smoke_run: Path) -> None:
    _, *rows = table(card(smoke_run, stage), "step")
    assert rows[-1][0] == stage
    made: set[str] = set()
    for name, identity, inputs in rows:
        manifest = read_json(smoke_run / name / "manifest.json")
        assert identity == f"`{manifest['identity'][:16]}`"
        read = [i for i in inputs.split(", ") if i != "the recipe" and "base model" not in i]
        assert set(read) <= made, "an input comes before what is made of it"
        assert len(read) == len(manifest["inputs"].keys() - {"base model"})
        made.add(name)


def test_the_card_says_what_each_training_took(smoke_run: Path) -> None:
    text = card(smoke_run, "rlvr")
    for stage in TRAINED:
        manifest = read_json(smoke_run / stage / "manifest.json")
        lines = (smoke_run / stage / "metrics.jsonl").read_text().splitlines()
        tokens = sum(int(re.findall(r'"num_tokens": (\d+)', line)[0]) for line in lines)
        assert f"{manifest['rows']['out']} of {manifest['rows']['in']} " in text
        assert f"{len(lines)} steps, {tokens:,} tokens, seed 0" in text
        assert manifest["finished"] in text
        assert f"`learning_rate = {manifest['config'][stage]['learning_rate']}`" in text
    base = read_json(smoke_run / "midtrain" / "manifest.json")["inputs"]["base model"]
    assert f"identity `{base}`" in text
    recipe = read_json(smoke_run / "run.json")["recipe"].strip()
    base = re.findall(r'base = "(.*)"', recipe)[0]
    assert recipe.replace(base, f"…/{Path(base).name}") in text
    assert str(Path(base).parent) not in text, "a path of this machine"


def test_the_code_of_the_card_runs(
    smoke_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", card(smoke_run, "sft"), flags=re.DOTALL)
    monkeypatch.chdir(smoke_run / "sft")
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["outputs"].shape[1] > found["inputs"]["input_ids"].shape[1]
    assert "boxed" in capsys.readouterr().out


def test_a_card_changes_no_identity_and_is_in_no_manifest(smoke_run: Path) -> None:
    for stage in TRAINED:
        assert "README.md" not in read_json(smoke_run / stage / "manifest.json")["files"]
    identity = StepFolder("sft", smoke_run / "sft", {}, {}).identity()
    assert read_json(smoke_run / "dpo" / "manifest.json")["inputs"]["model"] == identity


def test_a_second_writing_changes_nothing(own_run: Path) -> None:
    before = {stage: (own_run / stage / "README.md").stat().st_mtime_ns for stage in TRAINED}
    assert write_model_cards(own_run) == 4
    after = {stage: (own_run / stage / "README.md").stat().st_mtime_ns for stage in TRAINED}
    assert after == before


def test_a_card_that_was_edited_or_is_not_ours_is_left_alone(own_run: Path) -> None:
    edited = card(own_run, "sft").replace("## Safety", "## Safety\n\nBeware of geometry.")
    (own_run / "sft" / "README.md").write_text(edited, encoding="utf-8")
    (own_run / "dpo" / "README.md").write_text("My own words.\n")
    shutil.rmtree(own_run / "evaluate-rlvr")
    assert write_model_cards(own_run) == 2
    assert card(own_run, "sft") == edited
    assert card(own_run, "dpo") == "My own words.\n"
    assert "This model itself has not been measured." in card(own_run, "rlvr")


def test_a_rung_measured_on_a_model_made_anew_since_is_not_shown(own_run: Path) -> None:
    path = own_run / "sft" / "manifest.json"
    path.write_text(path.read_text().replace('"identity": "', '"identity": "0'))
    write_model_cards(own_run)
    assert [row[0] for row in table(card(own_run, "sft"), "model")[1:]] == ["Base", "Mid-train"]


def test_without_an_evaluation_the_card_says_so(own_run: Path) -> None:
    for rung in RUNGS.values():
        shutil.rmtree(own_run / f"evaluate-{rung}")
    write_model_cards(own_run)
    assert "Nothing has been measured." in card(own_run, "rlvr")


def test_a_stage_that_is_not_finished_gets_no_card(own_run: Path) -> None:
    shutil.rmtree(own_run / "rlvr")
    (own_run / "dpo" / "manifest.json").rename(own_run / "dpo" / "started.json")
    (own_run / "dpo" / "README.md").unlink()
    assert write_model_cards(own_run) == 2
    assert not (own_run / "dpo" / "README.md").exists()


def test_a_base_of_the_hub_is_named_and_a_local_one_gives_its_licence(
    own_run: Path, tmp_path: Path
) -> None:
    path = own_run / "run.json"
    base = re.search(r'base = \\"(.*?)\\"', path.read_text())
    assert base is not None
    original = path.read_text()
    path.write_text(original.replace(base[1], "owner/model"))
    write_model_cards(own_run)
    assert ModelCard.load(own_run / "sft" / "README.md").data.base_model == "owner/model"
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "base" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A base\n")
    path.write_text(original.replace(base[1], str(tmp_path / "base")))
    write_model_cards(own_run)
    data = ModelCard.load(own_run / "sft" / "README.md").data
    assert (data.base_model, data.license) == (None, "apache-2.0")


@pytest.mark.parametrize("text", ["", "# Mine", "<!-- Written by minireason -->\n"])
def test_what_has_no_seal_of_ours_is_not_ours(text: str) -> None:
    assert not is_ours(text)
