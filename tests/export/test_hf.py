"""Exports for transformers, loaded by transformers."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, TorchAoConfig

from minireason.errors import ExportError, MissingError
from minireason.export.hf import export_hf
from minireason.export.run import export_model
from minireason.export.settings import ExportSettings
from minireason.inference.resolve import open_local
from minireason.progress import Progress
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams

IDS = torch.randint(5, 800, (2, 100), generator=torch.Generator().manual_seed(0))


def logits(folder, dtype=torch.float32, **held):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **held).eval()
    with torch.no_grad():
        return model(IDS).logits.float()


def test_32_bits_are_the_model_itself(tiny, tmp_path):
    facts = export_hf(ExportSettings(tiny, "hf", 32), tmp_path)
    assert facts == {"method": "none", "dtype": "float32"}
    assert torch.equal(logits(tmp_path), logits(tiny))


def test_16_bits_are_its_weights_in_bfloat16(tiny, tmp_path):
    export_hf(ExportSettings(tiny, "hf", 16), tmp_path)
    original = load_file(tiny / "model.safetensors")
    for name, weight in load_file(tmp_path / "model.safetensors").items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, original[name].bfloat16())
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"


def test_8_bits_load_back_to_the_bit_and_are_smaller(tiny, tmp_path):
    from torchao.quantization import Int8WeightOnlyConfig

    facts = export_hf(ExportSettings(tiny, "hf", 8), tmp_path)
    assert facts["method"] == "torchao, weights alone"
    found = logits(tmp_path)
    config = TorchAoConfig(Int8WeightOnlyConfig())
    assert torch.equal(found, logits(tiny, quantization_config=config))
    assert 0 < (found - logits(tiny)).abs().mean() < 0.2
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path, tiny)]
    assert sizes[0] < 0.4 * sizes[1]


def test_8_bits_round_each_row_as_a_slow_reference_does(tiny, tmp_path):
    export_hf(ExportSettings(tiny, "hf", 8), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    found = model.model.layers[0].mlp.down_proj.weight.dequantize()
    weight = load_file(tiny / "model.safetensors")["model.layers.0.mlp.down_proj.weight"].float()
    scale = weight.abs().amax(dim=1, keepdim=True) / 127.5  # of -128 .. 127
    slow = (weight / scale).round().clamp(-128, 127) * scale
    steps = ((found - slow) / scale).abs()
    assert (steps > 0.01).float().mean() < 1e-3 and steps.max() < 1.01  # halves may go either way


def test_8_bits_are_sampled_by_the_embedded_engine_as_transformers_does(tiny, tmp_path):
    export_model(ExportSettings(tiny, "hf", 8), tmp_path / "out", Progress(is_quiet=True))
    backend = open_local(str(tmp_path / "out"), device="cpu", max_batch=1)
    ids = backend.chat.prompt_ids([{"role": "user", "content": "What is 12 + 30?"}])
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    expected = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0]
    request = Request(ids, SamplingParams(temperature=0.0, max_tokens=40))
    [sampled] = backend.engine.generate([request])
    assert ids + sampled.token_ids == expected.tolist()


@pytest.mark.parametrize(("pinned", "regime"), [(None, "long"), ("short", "short")])
def test_longrope_is_pinned_in_the_export(pinned, regime, longrope, tmp_path):
    export_hf(ExportSettings(longrope(pinned), "hf", 32), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    rope = config["rope_parameters"]
    assert config["longrope_regime"] == regime
    assert rope["short_factor"] == rope["long_factor"]
    assert torch.equal(logits(tmp_path), logits(longrope(regime)))


def test_the_tokenizer_is_not_needed_to_write_the_weights(tiny, tmp_path):
    export_hf(ExportSettings(tiny, "hf", 16), tmp_path)
    with pytest.raises((OSError, ValueError)):
        AutoTokenizer.from_pretrained(tmp_path)


def test_4_bits_without_a_cuda_device_are_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ExportError, match="no CUDA device is here"):
        export_hf(ExportSettings(tiny, "hf", 4, "cuda"), tmp_path)


def test_without_torchao_one_is_told_what_to_install(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchao.quantization", None)
    with pytest.raises(MissingError, match=r"pip install 'minireason\[torchao\]'"):
        export_hf(ExportSettings(tiny, "hf", 8), tmp_path)
