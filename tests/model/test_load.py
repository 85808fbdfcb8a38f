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
from transformers import (
    AutoModelForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
)

from minireason.errors import MissingError
from minireason.model.attention import ATTENTION
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


def test_a_head_that_is_more_than_a_matrix_is_refused(
    language_model: LanguageModel, tmp_path: Path
) -> None:
    config = GraniteConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        logits_scaling=8.0,
        attn_implementation=ATTENTION,
    )
    granite = LanguageModel(GraniteForCausalLM(config), language_model.tokenizer)
    save_model(granite, tmp_path / "granite")
    with pytest.raises(MissingError, match="not plain products"):
        load_model(str(tmp_path / "granite"))


def test_one_set_of_longrope_factors_is_used_whatever_is_beside_a_sequence(
    language_model: LanguageModel, tmp_path: Path
) -> None:
    rope = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "partial_rotary_factor": 0.75,
        "short_factor": [1.0] * 6,
        "long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 8.0],
    }
    config = Phi3Config.from_dict(
        language_model.model.config.to_dict()
        | {"rope_parameters": rope, "max_position_embeddings": 64}
        | {"original_max_position_embeddings": 8, "initializer_range": 0.2}
    )
    config._attn_implementation = ATTENTION
    save_model(LanguageModel(Phi3ForCausalLM(config), language_model.tokenizer), tmp_path / "l")
    model = load_model(str(tmp_path / "l")).model
    ids = torch.arange(40).repeat(2, 1)
    mask = torch.ones(2, 1, 40, 40, dtype=torch.bool).tril()
    with torch.no_grad():
        beside = model(ids, attention_mask=mask, use_cache=False).logits[:, :5]
        short = model(ids[:, :5], attention_mask=mask[..., :5, :5], use_cache=False).logits
    torch.testing.assert_close(beside, short, atol=1e-5, rtol=1e-5)
    assert model.config.rope_parameters["short_factor"] == rope["long_factor"]


def test_cuda_where_there_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(MissingError, match="no CUDA device"):
        choose_device("cuda")


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
