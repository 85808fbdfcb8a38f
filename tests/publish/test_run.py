"""A folder for the hub appears whole, checked and with nothing else in it, or not at all."""

import shutil

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer

from minireason.errors import MissingError, PublishError
from minireason.export.gate_result import Estimate, Gate, Loss
from minireason.export.gate_table import card_section
from minireason.export.run import export_model
from minireason.export.settings import ExportSettings
from minireason.progress import Progress
from minireason.publish import run
from minireason.publish.files import all_files
from minireason.publish.run import Publishing, prepare, publication_name

FILES = ["README.md", "chat_template.jinja", "config.json", "generation_config.json"]
FILES += ["model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def files(folder):
    return [str(path) for path in all_files(folder)]


def test_a_stage_of_a_run_is_published_without_what_training_left(smoke_run, tmp_path):
    publishing = Publishing(smoke_run / "rlvr", tmp_path / "out", license="mit", repo="me/it")
    assert prepare(publishing) == []
    assert files(tmp_path / "out") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == "mit"
    assert 'path = "me/it"' in card.text and "| RLVR |" in card.text
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    assert model.generation_config.eos_token_id == [0, 4]


def test_publishing_again_gives_the_same_folder(base, tmp_path):
    publishing = Publishing(base, tmp_path / "out", license="mit")
    for _ in range(2):
        assert prepare(publishing) == []
        assert files(tmp_path / "out") == FILES


def test_links_of_a_download_cache_become_files(base, tmp_path):
    (tmp_path / "snapshot").mkdir()
    for path in base.iterdir():
        (tmp_path / "snapshot" / path.name).symlink_to(path)
    assert prepare(Publishing(tmp_path / "snapshot", tmp_path / "out", license="mit")) == []
    assert not any((tmp_path / "out" / file).is_symlink() for file in FILES)


def test_what_is_wrong_is_told_at_once_and_nothing_is_written(model, tmp_path):
    (model / "chat_template.jinja").unlink()
    shutil.move(model / "model.safetensors", model / "pytorch_model.bin")
    failures = prepare(Publishing(model, tmp_path / "out"))
    assert [failure.split(";")[0] for failure in failures] == [
        "there are no weights as safetensors (*.safetensors)",
        "the tokenizer has no chat template",
        failures[-1].split(";")[0],
    ]
    assert failures[-1].startswith("no licence is given: --license ID, as mit")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_failed_leaves_the_one_before_as_it_was(model, tmp_path):
    publishing = Publishing(model, tmp_path / "out", license="mit")
    assert prepare(publishing) == []
    (model / "config.json").write_text("{}")
    assert prepare(publishing) != []
    assert files(tmp_path / "out") == FILES
    assert (tmp_path / "out" / "config.json").read_text() != "{}"


@pytest.mark.parametrize("place", ["model", "out"])
def test_an_edited_card_stays_as_it_is(place, model, tmp_path):
    publishing = Publishing(model, tmp_path / "out", license="mit")
    assert prepare(publishing) == []
    text = (tmp_path / "out" / "README.md").read_text()
    edited = text.replace("## Safety", "## Safety\n\nWe asked it ourselves.")
    (tmp_path / place / "README.md").write_text(edited)
    assert prepare(publishing) == []
    assert (tmp_path / "out" / "README.md").read_text() == edited


def test_the_card_of_a_stage_taken_out_of_its_run_is_kept(smoke_run, tmp_path):
    taken = shutil.copytree(smoke_run / "sft", tmp_path / "alone")
    text = (taken / "README.md").read_text().replace("license: ", "licence: ")
    (taken / "README.md").write_text(text)
    (failure,) = prepare(Publishing(taken, tmp_path / "out"))
    assert "no licence" in failure


@pytest.mark.parametrize("moment", ["check_folder", "write_text", "_replace"])
def test_an_interrupt_leaves_no_folder(moment, base, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(Publishing(base, tmp_path / "out", license="mit"))
    assert list(tmp_path.iterdir()) == []


def test_a_stop_between_two_names_is_mended(base, tmp_path):
    publishing = Publishing(base, tmp_path / "out", license="mit")
    assert prepare(publishing) == []
    edited = "".join([(tmp_path / "out" / "README.md").read_text(), "More.\n"])
    (tmp_path / "out" / "README.md").write_text(edited)
    (tmp_path / "out").rename(tmp_path / "out.old.partial")
    assert prepare(publishing) == []
    assert (tmp_path / "out" / "README.md").read_text() == edited
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_something_else_in_it_is_not_replaced(base, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(PublishError, match=r"out holds thesis.txt"):
        prepare(Publishing(base, tmp_path / "out", license="mit"))
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_the_model_itself_is_not_replaced(model):
    with pytest.raises(PublishError, match="is the model itself"):
        prepare(Publishing(model, model.parent / "." / "model", license="mit"))


def test_exports_go_to_the_hub_s_usual_places(model, export, tmp_path):
    made = (export(model), export(model, "web", "onnx"), export(model, "int8", "hf"))
    out = tmp_path / "out"
    assert prepare(Publishing(model, out, made, license="mit")) == []
    manifests = {"gguf/int4/export.json", "onnx/web/export.json", "int8/export.json"}
    assert manifests < set(files(out))
    assert len(files(out)) == len(FILES) + 3 * 3, "what the manifest does not list stays behind"
    card = (out / "README.md").read_text()
    assert "## Exports" in card and "### `gguf/int4`" in card
    assert "GGUF of 4 bits for [llama.cpp]" in card and "made for `cpu`; 0.0 MB" in card
    assert card.count("Not measured beside the original.") == 3


def test_what_a_gate_measured_stands_in_the_card(model, export, tmp_path):
    loss = Estimate(value=0.0125, low=-0.01, high=0.035)
    overall = Loss(
        num_questions=40, num_samples=1, original=0.5, exported=0.4875, loss=loss, p_value=0.4
    )
    settings = {"max_tokens": 300, "num_samples": 0}
    gate = Gate(settings=settings, original="tiny", weights="w", overall=overall)
    made = export(model, gate=gate.model_dump())
    assert prepare(Publishing(model, tmp_path / "out", (made,), license="mit")) == []
    card = (tmp_path / "out" / "README.md").read_text()
    assert card_section(gate) in card and "48.8" in card


def test_exports_that_cannot_be_placed_are_refused(model, export, tmp_path):
    one = export(model)
    out = tmp_path / "out"
    with pytest.raises(PublishError, match=r"two exports would lie in gguf/int4"):
        prepare(Publishing(model, out, (one, one), license="mit"))
    with pytest.raises(MissingError, match=r"has no export\.json"):
        prepare(Publishing(model, out, (model,), license="mit"))
    outside = export(model, "outside", files={"../../model/config.json": "0"})
    with pytest.raises(PublishError, match="names files outside of it"):
        prepare(Publishing(model, out, (outside,), license="mit"))
    assert not out.exists()


def test_the_folder_is_named_after_the_repository_the_run_or_the_model(smoke_run, base):
    assert publication_name(smoke_run / "sft", "me/solver") == "solver"
    assert publication_name(smoke_run / "sft", "") == "run-sft"
    assert publication_name(base, "") == base.name


def test_a_real_export_of_the_model_is_published_and_one_of_another_is_not(base, model, tmp_path):
    made = tmp_path / "q8"
    export_model(ExportSettings(base, "gguf", bits=8), made, Progress(is_quiet=True))
    assert prepare(Publishing(base, tmp_path / "out", (made,), license="mit")) == []
    config = (model / "generation_config.json").read_text()
    (model / "generation_config.json").write_text(config + "\n")
    (failure,) = prepare(Publishing(model, tmp_path / "other", (made,), license="mit"))
    assert failure.startswith("gguf/q8 was exported from another model than this one")
