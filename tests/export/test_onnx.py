"""Exports under ONNX Runtime GenAI beside transformers."""

import json
import re

import numpy as np
import onnx
import onnxruntime_genai as og
import pytest
import torch
from onnx import numpy_helper
from transformers import AutoModelForCausalLM, AutoTokenizer

from minireason.edge import onnx as edge_onnx
from minireason.errors import ExportError, MissingError
from minireason.export.checks import ROPES
from minireason.export.onnx import export_onnx
from minireason.export.settings import PROJECTIONS, ExportSettings
from minireason.model.chat import Chat

IDS = [int(i) for i in np.random.default_rng(0).integers(5, 800, 200)]
BY_DEFAULT = dict.fromkeys([*PROJECTIONS, "embed_tokens"], 4)


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Export; return the folder and what the manifest would say of the weights."""

    def export(source, **changes):
        out = tmp_path_factory.mktemp("exported")
        facts = export_onnx(ExportSettings(source, "onnx", **changes), out)
        return out, facts

    return export


def generator(folder, max_length=256):
    """A generator on the CPU, whatever the export is for."""
    path = folder / "genai_config.json"
    config = json.loads(path.read_text())
    config["model"]["decoder"]["session_options"]["provider_options"] = []
    path.write_text(json.dumps(config))
    model = og.Model(str(folder))
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=max_length, do_sample=False)
    return og.Generator(model, params)


def logits(folder, ids):
    """The logits [T, V] behind each of the ids."""
    made = generator(folder)
    made.append_tokens(np.array(ids, dtype=np.int32))
    return np.array(made.get_output("logits"))[0]


def reference(source, ids):
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def rounded(weight, bits, block):
    """The weight [N, K] with each block of a row on a grid of its own, slowly.

    The value that is furthest from zero lies on the grid's lower end, which has one step more.
    """
    lowest = -(2 ** (bits - 1))
    out = np.zeros_like(weight)
    for n in range(weight.shape[0]):
        for k in range(0, weight.shape[1], block):
            values = weight[n, k : k + block]
            scale = values[np.abs(values).argmax()] / np.float32(lowest)
            if scale:
                steps = np.clip(np.round(values * (1 / scale)), lowest, -lowest - 1)
                out[n, k : k + block] = steps * scale
    return out


@pytest.mark.parametrize("architecture", ROPES)
def test_the_logits_of_each_architecture_are_those_of_transformers(architecture, saved, exported):
    source = saved(architecture, num_hidden_layers=4)
    out, facts = exported(source, bits=32)
    assert np.abs(logits(out, IDS) - reference(source, IDS)).max() < 1e-4
    assert facts["bits"] == dict.fromkeys(BY_DEFAULT, 32)


def test_llama_3_s_rotation_and_granite_s_factors_are_kept(saved, exported):
    rope = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    factors = {"embedding_multiplier": 3.0, "logits_scaling": 2.0, "residual_multiplier": 0.5}
    for source in (
        saved("LlamaForCausalLM", rope_parameters=rope),
        saved("GraniteForCausalLM", attention_multiplier=0.2, **factors),
    ):
        out, _ = exported(source, bits=32)
        assert np.abs(logits(out, IDS) - reference(source, IDS)).max() < 1e-4


def test_greedy_tokens_are_those_of_transformers(tiny, exported):
    chat = Chat(AutoTokenizer.from_pretrained(tiny))
    prompt = chat.prompt_ids([{"role": "user", "content": "What is 12 + 34?"}])
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    sampled = model.generate(torch.tensor([prompt]), max_new_tokens=100, do_sample=False)[0]
    out, _ = exported(tiny, bits=32)
    made = generator(out, 1024)
    made.append_tokens(np.array(prompt, dtype=np.int32))
    while made.token_count() < len(sampled) and not made.is_done():
        made.generate_next_token()
    *response, end = sampled.tolist()
    assert list(made.get_sequence(0)) == response and end in chat.stop_ids


@pytest.mark.parametrize("block_size", [16, 32, 128])  # 128 does not divide 192: it is padded
@pytest.mark.parametrize(
    ("bits", "kept", "is_tied"),
    [
        (4, (), True),
        (4, (), False),
        (4, ("down_proj",), True),
        (4, ("lm_head", "o_proj"), True),
        (4, ("lm_head",), False),
        (8, (), True),
        (8, (), False),
    ],
)
def test_weights_are_rounded_as_a_slow_reference_rounds_them(
    bits, kept, is_tied, block_size, saved, exported
):
    source = saved(tie_word_embeddings=is_tied, num_hidden_layers=1)
    settings = {"bits": bits, "keep_8bit": kept, "block_size": block_size, "accuracy_level": 1}
    out, facts = exported(source, **settings)
    asked = {name: 8 if name in kept else bits for name in PROJECTIONS}
    embedding = {"embed_tokens": asked["lm_head"] if is_tied else 32}
    assert facts["bits"] == asked | embedding
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    for name, weight in model.named_parameters():
        projection = name.split(".")[-2]
        if is_tied and projection == "embed_tokens":
            projection = "lm_head"
        if projection in asked:
            slow = rounded(weight.detach().numpy(), asked[projection], block_size)
            weight.data.copy_(torch.from_numpy(slow))
    with torch.no_grad():
        expected = model(torch.tensor([IDS])).logits[0].numpy()
    # halves may be rounded to the other side: one step of 8 bits, of one weight in 100,000
    lost = np.abs(reference(source, IDS) - expected).mean()
    assert np.abs(logits(out, IDS) - expected).mean() < lost / 50


def test_the_bits_stand_in_the_graph_itself(saved, exported):
    out, _ = exported(saved(), keep_8bit=("down_proj", "gate_up_proj"), block_size=64)
    graph = onnx.load(out / "model.onnx").graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            said = {each.name: each.i for each in node.attribute}
            packed = numpy_helper.to_array(tensors[node.input[1]])
            assert packed.shape == (said["N"], said["K"] // 64, 64 * said["bits"] // 8)
            assert (said["block_size"], said["accuracy_level"]) == (64, 4)
            found.setdefault(re.sub(r"layers\.\d+", "layers", node.name), set()).add(said["bits"])
    assert found == {
        "/model/layers/attn/qkv_proj/MatMul_Q4": {4},
        "/model/layers/attn/o_proj/MatMul_Q4": {4},
        "/model/layers/mlp/gate_proj/MatMul_Q8": {8},
        "/model/layers/mlp/up_proj/MatMul_Q8": {8},
        "/model/layers/mlp/down_proj/MatMul_Q8": {8},
        "/lm_head/MatMul_Q4": {4},
    }


@pytest.mark.parametrize("architecture", ROPES)
def test_every_projection_of_every_architecture_can_stay_at_8_bits(architecture, saved, exported):
    _, facts = exported(saved(architecture), keep_8bit=PROJECTIONS)
    assert facts["bits"] == dict.fromkeys(BY_DEFAULT, 8)


@pytest.mark.parametrize(
    ("target", "bits", "within"), [("cpu", 32, 1e-4), ("cuda", 16, 0.05), ("directml", 16, 0.05)]
)
@pytest.mark.parametrize("regime", ["short", "long", None])
def test_longrope_keeps_one_regime_within_and_beyond_the_original_length(
    regime, target, bits, within, longrope, exported
):
    pinned = longrope(regime or "long")
    source = pinned if regime else longrope()  # an unpinned model is pinned to its long factors
    out, _ = exported(source, bits=bits, target=target)
    for length in (40, 64, 65, 200):  # pre-trained on 64
        difference = logits(out, IDS[:length]) - reference(pinned, IDS[:length])
        assert np.abs(difference).max() < within
    other = longrope("long" if regime == "short" else "short")
    assert np.abs(reference(other, IDS) - reference(pinned, IDS)).max() > 10 * within


@pytest.mark.parametrize("target", ["cpu", "directml"])
def test_longrope_steps_over_the_original_length(target, longrope, exported):
    source = longrope("long")
    out, _ = exported(source, bits=32 if target == "cpu" else 16, target=target)
    expected = reference(source, IDS[:80])
    made = generator(out)
    made.append_tokens(np.array(IDS[:50], dtype=np.int32))
    for place in range(50, 80):
        got = np.array(made.get_output("logits"))[0, -1]
        assert np.abs(got - expected[place - 1]).max() < (1e-4 if target == "cpu" else 0.05)
        made.append_tokens(np.array(IDS[place : place + 1], dtype=np.int32))


@pytest.mark.parametrize("regime", ["short", "long"])
def test_longrope_prompts_in_passes_go_over_the_original_length(
    regime, longrope, exported, monkeypatch
):
    monkeypatch.setattr(edge_onnx, "BATCH", 48)
    source = longrope(regime)
    out, _ = exported(source, bits=32)
    runtime = edge_onnx.OnnxRuntime(out, "cpu", 1, 256, 1)
    assert np.abs(runtime.logits(IDS) - reference(source, IDS)).max() < 1e-4
    assert np.abs(runtime.begin(0, IDS, 256) - reference(source, IDS)[-1]).max() < 1e-4


@pytest.mark.parametrize("given", [{"attention_factor": 1.7}, {"factor": 2.0}])
def test_longrope_scales_attention_as_the_config_says(given, longrope, exported):
    source = longrope("long", **given)
    out, _ = exported(source, bits=32)
    assert np.abs(logits(out, IDS) - reference(source, IDS)).max() < 1e-4


def test_a_window_and_a_context_that_change_nothing_are_no_hindrance(saved, exported):
    source = saved(sliding_window=256, max_position_embeddings=256)
    out, _ = exported(source, bits=32)
    assert np.abs(logits(out, IDS) - reference(source, IDS)).max() < 1e-4
    source = saved(original_max_position_embeddings=128)
    out, _ = exported(source, bits=32)
    assert np.abs(logits(out, IDS) - reference(source, IDS)).max() < 1e-4
    assert runtime_config(out)["model"]["context_length"] == 256


def runtime_config(folder):
    return json.loads((folder / "genai_config.json").read_text())


@pytest.mark.parametrize(
    ("target", "bits", "providers"),
    [
        ("cuda", 4, ["cuda"]),
        ("cuda", 8, ["cuda"]),
        ("cuda", 16, ["cuda"]),
        ("directml", 4, ["dml"]),
        ("directml", 16, ["dml"]),
        ("npu", 4, []),
    ],
)
def test_the_graphs_of_other_devices_compute_the_same_on_the_cpu(
    target, bits, providers, saved, exported
):
    source = saved(tie_word_embeddings=False)  # of these the embedding is not rounded
    out, facts = exported(source, bits=bits, target=target)
    told = runtime_config(out)["model"]["decoder"]["session_options"]["provider_options"]
    assert [name for each in told for name in each] == providers
    assert facts["activations"] == ("float32" if target == "npu" else "float16")
    expected = reference(source, IDS)
    if bits < 16:
        # ONNX Runtime runs dequantised weights as it does accuracy level 4
        level = 4 if target == "npu" else 1
        whole, (on_cpu, _) = expected, exported(source, bits=bits, accuracy_level=level)
        expected = logits(on_cpu, IDS)
        assert np.abs(expected - whole).mean() > (0.2 if bits == 4 else 0.01)
    assert np.abs(logits(out, IDS) - expected).mean() < 0.02


def test_weights_for_an_npu_are_dequantised_by_standard_operators(saved, exported):
    out, facts = exported(saved(), target="npu")
    nodes = onnx.load(out / "model.onnx", load_external_data=False).graph.node
    kinds = [node.op_type for node in nodes if node.op_type != "GroupQueryAttention"]
    assert kinds.count("DequantizeLinear") == kinds.count("MatMul") == 2 * 5 + 1
    assert not {"MatMulNBits", "GatherBlockQuantized"} & set(kinds)
    assert facts["form"] == "QDQ" and facts["bits"]["down_proj"] == 4


def test_nothing_is_left_beside_the_export_and_nothing_is_printed(saved, exported, capfd):
    source = saved()
    capfd.readouterr()  # saving it prints
    out, _ = exported(source)
    names = sorted(path.name for path in out.iterdir())
    assert {"model.onnx", "model.onnx.data", "genai_config.json", "tokenizer.json"} <= set(names)
    assert "checked.onnx" not in names
    assert capfd.readouterr() == ("", "")


def test_what_the_builder_fails_at_is_one_line(saved, exported, monkeypatch):
    from onnxruntime_genai.models import builder

    def fail(*_, **__):
        print("Reading layer 3")
        raise KeyError("multi_cache")

    monkeypatch.setattr(builder, "create_model", fail)
    with pytest.raises(ExportError, match=r"KeyError: 'multi_cache'; it last said: .*layer 3"):
        exported(saved())


def test_without_the_builder_one_is_told_what_to_install(saved, exported, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime_genai.models", None)
    with pytest.raises(MissingError, match=r"pip install 'minireason\[onnx\]'"):
        exported(saved())
