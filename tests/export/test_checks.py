"""Each thing that cannot be exported, and that what goes wrong without the check does so."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from minireason.errors import ExportError, MinireasonError, MissingError
from minireason.export.checks import (
    _check_architecture,
    _check_attention,
    _check_vocabulary,
    check,
)
from minireason.export.settings import ExportSettings
from minireason.model.phi4_mini import meta_model, phi4_mini_config


@pytest.fixture
def folder(tiny, tmp_path):
    """A copy of the tiny model that a test may break."""
    return shutil.copytree(tiny, tmp_path / "model")


def refused(source, format="onnx", **changes):
    with pytest.raises(ExportError) as error:
        check(ExportSettings(source, format, **changes))
    return str(error.value)


def change(folder, name, **values):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | values))


@pytest.mark.parametrize(
    ("format", "bits", "target"),
    [
        *[("onnx", bits, "cpu") for bits in (4, 8, 32)],
        *[("onnx", bits, "cuda") for bits in (4, 8, 16)],
        *[("onnx", bits, "directml") for bits in (4, 16)],
        ("onnx", 4, "npu"),
        *[("hf", bits, "cpu") for bits in (8, 16, 32)],
        ("hf", 4, "cuda"),
    ],
)
def test_the_tiny_model_passes(format, bits, target, tiny):
    check(ExportSettings(tiny, format, bits, target))


def test_phi_4_mini_itself_passes():
    config = phi4_mini_config()
    config.architectures = ["Phi3ForCausalLM"]
    weights = meta_model(config).state_dict()
    _check_architecture(config)
    _check_attention(config)
    _check_vocabulary(config, {name: tuple(each.shape) for name, each in weights.items()})


def test_a_longrope_model_passes_pinned_or_not(longrope):
    for pinned in (None, "short", "long"):
        check(ExportSettings(longrope(pinned), "onnx"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights as safetensors"),
        ("tokenizer.json", "no tokenizer.json"),
        ("chat_template.jinja", "no chat template"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(name, said, folder):
    (folder / name).unlink()
    assert said in refused(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "gguf", "block_size": 64},
        {"format": "hf", "bits": 8, "block_size": 64},
        {"format": "onnx", "bits": 32, "block_size": 64},
        {"format": "gguf", "accuracy_level": 1},
        {"format": "onnx", "target": "cuda", "accuracy_level": 1},
    ],
    ids=str,
)
def test_a_setting_that_would_change_nothing_is_refused(changes, tiny):
    assert "leave it out" in refused(tiny, **changes)


@pytest.mark.parametrize("format", ["onnx", "gguf", "hf"])
def test_a_model_that_lacks_one_of_its_files_is_refused(format, folder):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MissingError, match="has no model-2"):
        check(ExportSettings(folder, format, bits=8))


@pytest.mark.parametrize("format", ["onnx", "gguf", "hf"])
@pytest.mark.parametrize("broken", [lambda whole: whole[:-1000], lambda whole: b"version https://"])
def test_weights_that_are_not_whole_are_refused(broken, format, folder):
    file = folder / "model.safetensors"
    file.write_bytes(broken(file.read_bytes()))
    said = refused(folder, format, bits=8)
    assert "model.safetensors cannot be read" in said and "download it again" in said


def test_a_chat_template_may_stand_in_the_tokenizer_s_configuration(folder):
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    change(folder, "tokenizer_config.json", chat_template=template)
    check(ExportSettings(folder, "onnx"))


def test_an_adapter_is_refused(folder):
    (folder / "adapter_config.json").write_text("{}")
    assert "is an adapter; merge it" in refused(folder)


def test_a_quantised_model_is_refused(folder):
    change(folder, "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    assert "is quantised already" in refused(folder, "hf", bits=8)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bits": 16}, "--bits is 16; ONNX for cpu takes 4, 8, 32"),
        ({"bits": 32, "target": "cuda"}, "--bits is 32; ONNX for cuda takes 4, 8, 16"),
        ({"bits": 8, "target": "directml"}, "--bits is 8; ONNX for directml takes 4, 16"),
        ({"bits": 8, "target": "npu"}, "--bits is 8; ONNX for npu takes 4"),
        ({"keep_8bit": ("k_proj",)}, "--keep-8bit is 'k_proj'; it must be one of qkv_proj,"),
        ({"keep_8bit": ("o_proj",), "bits": 8}, "--keep-8bit is for 4 bits, and --bits is 8"),
        ({"keep_8bit": ("o_proj",), "target": "npu"}, "ONNX for npu has no 8-bit products"),
        ({"block_size": 48}, "--block-size is 48; it must be one of 16, 32, 64, 128, 256"),
        ({"accuracy_level": 5}, "--accuracy-level is 5; it must be 1"),
        ({"format": "hf", "bits": 4}, "torchao has no 4-bit kernel for CPUs"),
        ({"format": "hf", "bits": 8, "target": "npu"}, "transformers takes cpu and cuda"),
        ({"format": "hf", "keep_8bit": ("o_proj",), "target": "cuda"}, "onnx and gguf"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, said, tiny):
    assert said in refused(tiny, **changes)


@pytest.mark.parametrize("vocab_size", [512, 320, 1024, 192, 64])
def test_a_vocabulary_as_large_as_a_layer_s_outputs_is_refused(vocab_size, saved):
    # gate and up split, the three attention projections fused, gate and up fused, outputs and
    # queries, keys
    said = refused(saved(vocab_size=vocab_size))
    assert f"vocab_size is {vocab_size}, and so are the outputs of" in said
    check(ExportSettings(saved(vocab_size=vocab_size + 1), "onnx"))


def test_such_a_vocabulary_would_be_exported_as_garbage(saved, tmp_path):
    import onnxruntime_genai as og

    from minireason.export.onnx import export_onnx

    source = saved(vocab_size=512)
    export_onnx(ExportSettings(source, "onnx", 32), tmp_path)
    ids = [int(i) for i in np.random.default_rng(0).integers(5, 500, 50)]
    model = og.Model(str(tmp_path))
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=64)
    generator = og.Generator(model, params)
    generator.append_tokens(np.array(ids, dtype=np.int32))
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(source)(torch.tensor([ids])).logits[0]
    answers = np.array(generator.get_output("logits"))[0].argmax(-1)
    assert (answers == expected.argmax(-1).numpy()).mean() < 0.2


def test_heads_whose_rotated_part_has_no_kernel_are_refused(saved):
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    heads = {"head_dim": 32, "num_attention_heads": 6, "num_key_value_heads": 2}
    said = refused(saved(rope_parameters=rope, **heads))
    assert "24 of the 32 dimensions of a head are rotated" in said and "multiples of 16" in said
    check(ExportSettings(saved(**heads), "onnx"))  # all 32 are


def test_a_window_shorter_than_the_context_is_refused(saved):
    said = refused(saved(sliding_window=128))
    assert "attention reaches back 128 tokens of 256" in said
    check(ExportSettings(saved(sliding_window=256), "onnx"))


def test_architectures_and_rotations_that_were_not_compared_are_refused(saved):
    said = refused(saved("OlmoForCausalLM"))
    assert "the architecture is OlmoForCausalLM; ONNX takes Phi3ForCausalLM, Llama" in said
    rope = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
    said = refused(saved("LlamaForCausalLM", rope_parameters=rope))
    assert "rotary embedding of this LlamaForCausalLM is linear; ONNX takes default, llama3" in said


def test_gguf_takes_the_architectures_that_it_names_and_no_target(tiny, saved):
    for bits in (4, 8, 16, 32):
        check(ExportSettings(tiny, "gguf", bits))
    check(ExportSettings(saved(vocab_size=512), "gguf"))  # the ONNX builder's traps are not its
    said = refused(saved("OlmoForCausalLM"), "gguf")
    assert said == (
        "the architecture is OlmoForCausalLM; GGUF takes Phi3ForCausalLM, LlamaForCausalLM, "
        "Qwen2ForCausalLM, Qwen3ForCausalLM. Use --format hf, or llama.cpp's own converter"
    )
    assert "a GGUF is one for all devices" in refused(tiny, "gguf", target="npu")


def test_longrope_over_no_more_than_the_original_length_is_refused(longrope, tmp_path):
    folder = shutil.copytree(longrope("long"), tmp_path / "model")
    change(folder, "config.json", max_position_embeddings=64)
    assert "max_position_embeddings is 64, as its original" in refused(folder)


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]
)
@pytest.mark.parametrize("format", ["onnx", "gguf", "hf"])
def test_a_file_that_is_no_json_is_named(name, format, folder):
    (folder / name).write_text('{"half":')
    with pytest.raises(MinireasonError, match=f"{name} is not readable JSON"):
        check(ExportSettings(folder, format, bits=8))
