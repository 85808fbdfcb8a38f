"""Each way in which a published folder can be wrong is one sentence."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from minireason.publish.card import check_card
from minireason.publish.chat import check_chat
from minireason.publish.checks import check_folder
from minireason.publish.exports import check_exports
from minireason.publish.files import check_files
from minireason.publish.leaks import check_leaks
from minireason.publish.run import Publishing, prepare
from minireason.publish.weights import check_weights


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_whole_folder_has_nothing_wrong(whole):
    assert check_folder(whole, "mit") == []


@pytest.mark.parametrize(
    ("name", "content", "failure"),
    [
        ("optimizer.pt", b"PK\x03\x04", "optimizer.pt may be pickled"),
        ("notes.txt", b"\x80\x04\x95", "notes.txt may be pickled"),
        ("metrics.jsonl", b"{}", "metrics.jsonl is no file of a published model"),
        ("checkpoints/step-1/model.safetensors", b"0", "checkpoints/step-1/model.safetensors is"),
        ("modeling_mine.py", b"print()", "modeling_mine.py is no file of a published model"),
        (".cache/token", b"0", ".cache/token is hidden"),
        ("LICENSE", b"", "LICENSE is empty"),
    ],
)
def test_a_file_too_many_is_named(name, content, failure, folder):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (found,) = check_files(folder)
    assert found.startswith(failure)


def test_a_pickle_made_by_torch_is_seen_whatever_it_is_called(folder):
    torch.save({"weight": torch.zeros(2)}, folder / "LICENSE")
    (found,) = check_files(folder)
    assert found.startswith("LICENSE may be pickled")


def test_a_link_is_named(folder):
    (folder / "NOTICE").symlink_to("/etc/hostname")
    assert list(check_files(folder)) == ["NOTICE is a symbolic link; the hub needs the file itself"]


def test_weights_that_are_cut_off_are_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    (found,) = check_weights(folder)
    assert found.startswith("model.safetensors is no whole safetensors file")


def test_weights_of_another_shape_are_named(folder):
    edit(folder / "config.json", intermediate_size=640)
    name = "model.layers.0.mlp.down_proj.weight"
    assert f"{name} is [192, 512] in the weights and [192, 640] by the config" in list(
        check_weights(folder)
    )


def test_weights_too_few_and_too_many_are_named(folder):
    weights = load_file(folder / "model.safetensors")
    weights["extra.weight"] = weights.pop("model.norm.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert list(check_weights(folder)) == [
        "the weights have no model.norm.weight, which the config asks for",
        "the weights have extra.weight, which the config does not know",
    ]


def sharded(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    weight_map = {}
    for number, (name, weight) in enumerate(sorted(weights.items())):
        weight_map[name] = list(parts)[number % 2]
        parts[weight_map[name]][name] = weight
    for name, part in parts.items():
        save_file(part, folder / name, {"format": "pt"})
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return parts


def test_weights_in_several_files_are_held_to_their_index(folder):
    parts = sharded(folder)
    assert list(check_weights(folder)) == []
    assert list(check_files(folder)) == []
    first, second = parts
    gone = min(parts[first])
    save_file({k: v for k, v in parts[first].items() if k != gone}, folder / first)
    (folder / second).unlink()
    index = "model.safetensors.index.json"
    assert list(check_weights(folder)) == [
        f"{index} names {second}, which is not there",
        f"{index} names {gone} in {first}, which does not have it",
    ]


def test_a_model_that_needs_its_own_code_is_refused(folder):
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "mine.Mine"}, model_type="mine")
    assert any("transformers cannot load the model" in found for found in check_weights(folder))
    (found,) = check_leaks(folder)
    assert found == "config.json has auto_map: loading the model would run code; take it out"


def test_a_chat_that_generation_would_not_stop_is_named(folder):
    edit(folder / "generation_config.json", eos_token_id=0)
    (found,) = check_chat(folder)
    assert found.startswith("generation_config.json stops at the tokens [0] and the chat ends with")
    (folder / "generation_config.json").unlink()
    assert len(list(check_chat(folder))) == 1


def test_a_tokenizer_that_is_broken_or_too_large_is_named(folder):
    edit(folder / "config.json", vocab_size=10)
    (found,) = check_chat(folder)
    assert found.endswith("tokens and the model 10")
    (folder / "tokenizer.json").write_text("{}")
    (found,) = check_chat(folder)
    assert found.startswith("the tokenizer cannot be loaded")


@pytest.mark.parametrize(
    ("name", "key", "value", "shown"),
    [
        ("config.json", "_name_or_path", "/home/ada/models/phi", "'/home/ada/models/phi'"),
        ("config.json", "_name_or_path", "/any/where", "'/any/where'"),
        ("tokenizer_config.json", "name_or_path", "~/models/phi", "'~/models/phi'"),
        ("generation_config.json", "made_in", r"C:\Users\ada\phi", repr(r"C:\Users\ada\phi")),
    ],
)
def test_a_path_of_this_machine_is_named(name, key, value, shown, folder):
    edit(folder / name, **{key: value})
    assert any(found.startswith(name) and shown in found for found in check_leaks(folder))


@pytest.mark.parametrize(
    "text", ["Trained in /scratch/ada/run7.", "see ~/notes/eval.md", "ada@node17", "in /x/ada/y"]
)
def test_a_path_or_a_user_in_the_card_is_named(text, folder, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    replaced(folder / "README.md", "## Safety\n", f"## Safety\n\n{text}\n")
    assert len(list(check_leaks(folder))) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/data/sets",
        "3/4 and x/y; and/or; a ~5 % loss",
        "`…/phi` and `gguf/int4`",
        "max_tokens of the model",
        "hf_transfer and sk-learn",
    ],
)
def test_what_only_looks_like_a_path_or_a_key_is_let_through(text, folder, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "max")
    replaced(folder / "README.md", "## Safety\n", f"## Safety\n\n{text}\n")
    assert list(check_leaks(folder)) == []


def test_a_key_is_named_and_not_shown(folder):
    key = "hf_" + "aB3" * 11
    edit(folder / "tokenizer.json", note=key)
    (found,) = check_leaks(folder)
    assert found.startswith("tokenizer.json holds what looks like a key") and key not in found


def test_the_words_of_a_vocabulary_are_no_paths(folder):
    edit(folder / "tokenizer.json", note="/usr/local/lib")
    assert list(check_leaks(folder)) == []


@pytest.mark.parametrize(
    ("license", "failure"),
    [
        ("MIT", "the licence 'MIT' is no id of the hub; is mit meant?"),
        ("Apache 2.0", "the licence 'Apache 2.0' is no id of the hub; is apache-2.0 meant?"),
        ("apache2", "the licence 'apache2' is no id of the hub; is apache-2.0 meant?"),
        ("unknown", "the licence 'unknown' is no id of the hub"),
        ("other", "license: other needs license_name"),
        ("[mit, gpl-3.0]", "the licence of README.md is ['mit', 'gpl-3.0']; the hub takes one id"),
        ("''", "no licence is given"),
    ],
)
def test_a_licence_the_hub_does_not_know_is_named(license, failure, folder):
    replaced(folder / "README.md", "license: mit", f"license: {license}")
    (found,) = check_card(folder, "")
    assert found.startswith(failure)


@pytest.mark.parametrize("license", ["apache-2.0", "llama3.2", "intel-research", "zlib"])
def test_a_licence_of_the_hub_is_let_through(license, folder):
    replaced(folder / "README.md", "license: mit", f"license: {license}")
    assert list(check_card(folder, "")) == []


def test_a_card_under_another_licence_than_asked_for_is_named(folder):
    (found,) = check_card(folder, "apache-2.0")
    assert found.startswith("README.md says license: mit and --license apache-2.0")


def test_a_card_without_a_section_front_matter_or_itself_is_named(folder):
    replaced(folder / "README.md", "## Safety", "## Other")
    assert [found[:36] for found in check_card(folder, "")] == [
        "README.md has no section 'Safety'; a"
    ]
    replaced(folder / "README.md", "license: mit", "license: [mit")
    assert "the front matter of README.md cannot be read" in next(check_card(folder, ""))
    (folder / "README.md").unlink()
    assert list(check_card(folder, "")) == ["there is no README.md"]


@pytest.fixture
def with_export(model, export, tmp_path):
    out = tmp_path / "published"
    assert prepare(Publishing(model, out, (export(model),), license="mit")) == []
    return out


def test_an_export_of_another_model_is_named(with_export):
    weights = load_file(with_export / "model.safetensors")
    weights["model.norm.weight"] += 1
    save_file(weights, with_export / "model.safetensors", {"format": "pt"})
    (found,) = check_exports(with_export)
    assert found.startswith("gguf/int4 was exported from another model than this one")


def test_an_export_whose_files_changed_or_are_gone_is_named(with_export):
    place = with_export / "gguf" / "int4"
    assert list(check_exports(with_export)) == []
    (place / "model.gguf").write_bytes(b"GGUF and other weights")
    (place / "tokens" / "vocabulary.txt").unlink()
    assert [found.split(";")[0] for found in check_exports(with_export)] == [
        "gguf/int4/model.gguf is not as it was exported",
        "gguf/int4 lacks tokens/vocabulary.txt, which its manifest lists",
    ]


def test_an_export_without_a_section_in_the_card_or_with_a_file_too_many_is_named(with_export):
    replaced(with_export / "README.md", "## Exports", "## Others")
    assert any("no section 'Exports'" in found for found in check_card(with_export, ""))
    np.save(with_export / "gguf" / "int4" / "cache.npy", np.zeros(1))
    (found,) = check_files(with_export)
    assert found.startswith("gguf/int4/cache.npy may be pickled")


def test_an_export_that_is_not_finished_is_all_too_many(with_export):
    (with_export / "gguf" / "int4" / "export.json").unlink()
    assert len(list(check_files(with_export))) == 2
    shutil.rmtree(with_export / "gguf")
    assert list(check_files(with_export)) == []
