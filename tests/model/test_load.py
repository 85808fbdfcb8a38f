"""Models come back from disk as they were saved, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from minireason.errors import MissingError
from minireason.model.attention import ATTENTION
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, choose_device, load_model, save_model
from minireason.model.source import TINY_FOLDER, local_folder

IDS = torch.tensor([[5, 9, 40, 41, 7]])
CAUSAL = torch.ones(1, 1, 5, 5, dtype=torch.bool).tril()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS, attention_mask=CAUSAL, use_cache=False).logits


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_saved_model_loads_with_the_same_outputs_and_tied_weights(
    language_model: LanguageModel, folder: Path
) -> None:
    loaded = load_model(str(folder))
    assert torch.equal(logits(loaded.model), logits(language_model.model))
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    assert loaded.tokenizer.get_vocab() == language_model.tokenizer.get_vocab()
    assert loaded.tokenizer.chat_template == language_model.tokenizer.chat_template


def test_a_loaded_model_attends_through_our_function_in_float32(folder: Path) -> None:
    model = load_model(str(folder)).model
    assert model.config._attn_implementation == ATTENTION
    assert model.dtype == torch.float32 and not model.training


def test_plain_transformers_loads_what_we_save_and_samples_with_a_cache(
    folder: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    loaded = load_model(str(folder))
    save_model(loaded, again)
    stock = AutoModelForCausalLM.from_pretrained(again, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(stock(IDS).logits, logits(loaded.model), atol=1e-5, rtol=1e-5)
    assert stock.config.use_cache and stock.config._attn_implementation == "sdpa"


def test_no_pickled_file_is_written(folder: Path) -> None:
    assert not [p for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pkl")]


def pickled_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


BROKEN: dict[str, Callable[[Path], Any]] = {
    "no weights": lambda f: (f / "model.safetensors").unlink(),
    "only pickled weights": pickled_weights,
    "weights cut off": cut_weights,
    "empty weights": lambda f: (f / "model.safetensors").write_bytes(b""),
    "weights of another shape": lambda f: edit_config(f, intermediate_size=128),
    "weights of a layer missing": lambda f: edit_config(f, num_hidden_layers=3),
    "config no JSON": lambda f: (f / "config.json").write_text("{model"),
    "config a list": lambda f: (f / "config.json").write_text("[]"),
    "config empty": lambda f: (f / "config.json").write_text("{}"),
    "config of an unknown model": lambda f: edit_config(f, model_type="unheard-of"),
    "config of no language model": lambda f: edit_config(f, model_type="vit"),
    "config with a wrong type": lambda f: edit_config(f, hidden_size="wide"),
    "no tokenizer": lambda f: [p.unlink() for p in f.glob("tokenizer*")],
    "tokenizer no JSON": lambda f: (f / "tokenizer.json").write_text("{"),
    "no config": lambda f: (f / "config.json").unlink(),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_folder_is_an_error_of_one_line_that_names_it(how: str, folder: Path) -> None:
    BROKEN[how](folder)
    with pytest.raises(MissingError) as error:
        load_model(str(folder))
    assert str(folder) in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "base", ["/no/such/folder", "./nowhere", "~/nowhere-at-all", "plain", "a/b/c"]
)
def test_a_folder_that_is_not_there_is_an_error_that_says_what_may_be_given(base: str) -> None:
    with pytest.raises(MissingError, match="does not exist; give `tiny`, a folder or a hub id"):
        local_folder(base)


def test_a_hub_id_is_left_to_the_hub_and_a_folder_found(folder: Path) -> None:
    assert local_folder("microsoft/Phi-4-mini-instruct") is None
    assert local_folder(str(folder)) == folder


@pytest.mark.skipif(not TINY_FOLDER.is_dir(), reason="the tiny weights are not in this checkout")
def test_tiny_is_the_folder_the_package_carries() -> None:
    assert local_folder("tiny") == TINY_FOLDER


def test_looking_for_a_model_imports_no_torch() -> None:
    code = "import sys, minireason.model.source; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_saved_names_its_class_and_stops_where_the_chat_does(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["Phi3ForCausalLM"] and config["dtype"] == "float32"
    assert ATTENTION not in (folder / "config.json").read_text()
    generation = json.loads((folder / "generation_config.json").read_text())
    stop_ids = Chat(load_model(str(folder)).tokenizer).stop_ids
    assert len(stop_ids) == 2 and set(generation["eos_token_id"]) == stop_ids
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {
        path.name for path in folder.iterdir()
    }


def test_the_sampling_settings_of_the_base_stay_in_what_is_saved(
    folder: Path, tmp_path: Path
) -> None:
    path = folder / "generation_config.json"
    sampling = {"do_sample": True, "temperature": 0.8, "top_p": 0.95}
    path.write_text(json.dumps(json.loads(path.read_text()) | sampling))
    save_model(load_model(str(folder)), tmp_path / "again")
    again = json.loads((tmp_path / "again" / path.name).read_text())
    assert sampling.items() <= again.items()


def test_cuda_where_there_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(MissingError, match="no CUDA device"):
        choose_device("cuda")


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
