"""GGUF files beside the model they were made from, and beside llama.cpp where it is installed."""

import json
import sys
from random import Random

import gguf_models
import numpy as np
import pytest
import torch
from gguf import GGUFReader, TokenType
from gguf.quants import dequantize
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from minireason.errors import ExportError, MissingError
from minireason.export.gguf import export_gguf, tensor_types
from minireason.export.gguf_model import attention_factor, describe, model_name
from minireason.export.gguf_tokenizer import _LLAMA3, _O200K, _QWEN2, pre_tokenizer, read_tokenizer
from minireason.export.settings import PROJECTIONS, ExportSettings

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_up": "mlp.gate_up_proj",
    "ffn_down": "mlp.down_proj",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(folder, model) of a family, made once; do not write to the folder."""
    made = {}

    def save(family, **changes):
        key = family, str(changes)
        if key not in made:
            folder = tmp_path_factory.mktemp(family)
            made[key] = folder, gguf_models.save(folder, family, **changes)
        return made[key]

    return save


def export(source, out, bits=32, **settings):
    """Export, and read the file: (what was returned, the reader)."""
    made = export_gguf(ExportSettings(source, "gguf", bits=bits, **settings), out)
    return made, GGUFReader(out / made["file"])


def value(reader, key):
    return reader.fields[key].contents() if key in reader.fields else None


def weights(reader):
    """Every tensor as float32, in the shape that torch has."""
    return {
        each.name: dequantize(each.data, each.tensor_type).reshape(each.shape[::-1])
        for each in reader.tensors
    }


def phi3_weights(model):
    """The model's weights by llama.cpp's names, written out by hand."""
    state = {name: each.float().numpy() for name, each in model.state_dict().items()}
    expected = {
        "token_embd.weight": state["model.embed_tokens.weight"],
        "output_norm.weight": state["model.norm.weight"],
    }
    for layer in range(2):
        for ours, theirs in LAYER_NAMES.items():
            expected[f"blk.{layer}.{ours}.weight"] = state[f"model.layers.{layer}.{theirs}.weight"]
    return expected


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_the_weights_are_the_model_s_up_to_their_rounding(saved, tmp_path, bits):
    folder, model = saved("phi3")
    made, reader = export(folder, tmp_path, bits)
    found, expected = weights(reader), phi3_weights(model)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        error = np.abs(found[name] - values)
        if bits == 32 or values.ndim == 1:
            assert (error == 0).all()
        elif bits == 16:  # half of the last of 11 bits
            assert (error <= np.abs(values) * 2**-11 + 2**-25).all()
        else:  # half a step of 127 to the largest of 32, and that step's own rounding to float16
            blocks = np.abs(values).reshape(-1, 32)
            step = blocks.max(1, keepdims=True) / 127
            assert (error.reshape(-1, 32) <= step * 0.5 + 127 * step * 2**-11).all()
            assert error.max() > 0
    kind = {8: "Q8_0", 16: "F16", 32: "F32"}[bits]
    assert made["file"] == f"model-{kind}.gguf"
    assert made["tensors"] == tensor_types(tmp_path / made["file"])
    assert made["tensors"]["blk.1.ffn_down.weight"] == kind
    assert made["tensors"]["blk.1.ffn_norm.weight"] == "F32"
    assert sum(made["counts"].values()) == len(expected)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"rope_parameters": {"rope_theta": 500.0}, "attention_bias": False}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 128}),
        ("phi3", {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}}),
    ],
)
def test_transformers_reads_the_file_as_the_same_model(saved, tmp_path, family, changes):
    """Its reader knows no partial rotary, no biases of llama and one head size of qwen3."""
    folder, model = saved(family, **changes)
    made, _ = export(folder, tmp_path)
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=made["file"]).eval()
    ids = torch.arange(5, 105)[None]
    with torch.no_grad():
        assert (read(ids).logits - model(ids).logits).abs().max() < 1e-4


def test_bfloat16_weights_are_exact_in_a_float32_file(tmp_path):
    model = gguf_models.save(tmp_path, "phi3", dtype=torch.bfloat16)
    _, reader = export(tmp_path, tmp_path / "gguf")
    assert describe(tmp_path).precision == "BF16"
    for name, values in phi3_weights(model).items():
        assert (weights(reader)[name] == values).all()


def test_what_llama_cpp_is_told_of_a_model(saved, tmp_path):
    folder, _ = saved("phi3")
    _, reader = export(folder, tmp_path)
    expected = {
        "general.architecture": "phi3",
        "phi3.context_length": 512,
        "phi3.embedding_length": 96,
        "phi3.feed_forward_length": 160,
        "phi3.block_count": 2,
        "phi3.attention.head_count": 6,
        "phi3.attention.head_count_kv": 2,
        "phi3.rope.dimension_count": 12,
        "phi3.rope.freq_base": 10000.0,
        "phi3.attention.sliding_window": 0,
        "general.file_type": 0,
    }
    assert {key: value(reader, key) for key in expected} == expected
    assert value(reader, "phi3.attention.layer_norm_rms_epsilon") == pytest.approx(1e-5)


def test_an_unpinned_longrope_is_pinned_to_long(saved, tmp_path):
    folder, model = saved("longrope")
    made, reader = export(folder, tmp_path)
    long = np.float32(gguf_models.LONGROPE["long_factor"])
    assert made["longrope_regime"] == "long" and made["context"] == 512
    assert (weights(reader)["rope_factors_long.weight"] == long).all()
    assert (weights(reader)["rope_factors_short.weight"] == long).all()
    _, factor = ROPE_INIT_FUNCTIONS["longrope"](model.config, "cpu", seq_len=512)
    assert value(reader, "phi3.rope.scaling.attn_factor") == pytest.approx(factor, rel=1e-6)
    assert value(reader, "phi3.rope.scaling.original_context_length") == 64
    assert value(reader, "phi3.rope.scaling.type") == "longrope"


def test_a_model_pinned_to_short_ends_where_its_factors_do(tmp_path):
    gguf_models.save(tmp_path, "longrope", longrope_regime="short")
    made, reader = export(tmp_path, tmp_path / "gguf")
    assert made["longrope_regime"] == "short"
    assert made["context"] == value(reader, "phi3.context_length") == 64
    short = np.float32(gguf_models.LONGROPE["short_factor"])
    assert (weights(reader)["rope_factors_long.weight"] == short).all()


@pytest.mark.parametrize("given", [{}, {"factor": 4.0}, {"attention_factor": 1.5}])
def test_the_attention_factor_is_that_of_transformers(given):
    config = gguf_models.config("longrope", rope_parameters=gguf_models.LONGROPE | given)
    _, expected = ROPE_INIT_FUNCTIONS["longrope"](config, "cpu", seq_len=512)
    assert attention_factor(config) == pytest.approx(expected, rel=1e-12)


def test_llama3_s_frequencies_are_divided_as_transformers_divides_them(saved, tmp_path):
    folder, model = saved("llama")
    _, reader = export(folder, tmp_path)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](model.config, "cpu")
    plain = 500.0 ** (-np.arange(0, 16, 2) / 16)
    factors = weights(reader)["rope_freqs.weight"]
    assert factors == pytest.approx(plain / scaled.numpy(), rel=1e-5)
    assert 1 in factors and 8 in factors and len(set(factors)) > 2  # all three kinds


def test_the_tokens_are_the_tokenizer_s(saved, tmp_path):
    folder, _ = saved("phi3")
    _, reader = export(folder, tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = value(reader, "tokenizer.ggml.tokens")
    size = tokenizer.get_vocab_size()
    assert tokens[:size] == [tokenizer.id_to_token(i) for i in range(size)]
    assert tokens[size:] == [f"[PAD{i}]" for i in range(size, 800)]
    types = value(reader, "tokenizer.ggml.token_type")
    unused = [TokenType.UNUSED] * (800 - size)
    assert types == [TokenType.CONTROL] * 5 + [TokenType.NORMAL] * (size - 5) + unused
    ids = {name: value(reader, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "eot")}
    assert ids == {"bos": 0, "eos": 0, "eot": 4}
    assert value(reader, "tokenizer.ggml.add_bos_token") is False
    assert value(reader, "tokenizer.chat_template") == gguf_models.CHAT_TEMPLATE


@pytest.mark.parametrize(
    ("regex", "ignore_merges", "name"),
    [
        (_LLAMA3, True, "llama-bpe"),
        (_LLAMA3, False, "smaug-bpe"),
        (_QWEN2, False, "qwen2"),
        (_O200K, False, "gpt-4o"),
    ],
)
@pytest.mark.parametrize("split", [("isolated", False), ("removed", True)])
def test_known_families_have_their_name(regex, ignore_merges, name, split):
    tokenizer = gguf_models.regex_tokenizer(
        regex, behavior=split[0], invert=split[1], ignore_merges=ignore_merges
    )
    assert pre_tokenizer(json.loads(tokenizer.backend_tokenizer.to_str())) == name


def test_the_published_regular_expression_of_phi_4_mini_is_known():
    """As `gpt-4o` in llama.cpp's llama-vocab.cpp, where it is quoted from tokenizer.json."""
    assert _O200K == (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("phi3", {"sliding_window": 100}, "a sliding window of 100 tokens"),
        ("phi3", {"hidden_act": "gelu"}, "the activation gelu"),
        ("llama", {"mlp_bias": True}, "biases in its MLP"),
        (
            "qwen2",
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            "the rotary frequencies 'linear'",
        ),
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 99, "max_window_layers": 1},
            "a sliding window of 99 tokens",
        ),
    ],
)
def test_a_model_that_llama_cpp_runs_otherwise_is_refused(tmp_path, family, changes, message):
    gguf_models.save(tmp_path, family, **changes)
    with pytest.raises(ExportError, match=message):
        export(tmp_path, tmp_path / "gguf")
    assert not (tmp_path / "gguf").exists()


def test_an_unknown_architecture_is_refused(tmp_path, saved):
    folder, _ = saved("phi3")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    gguf_models.edit(tmp_path / "config.json", architectures=["Phi3ForSequenceClassification"])
    with pytest.raises(ExportError, match="GGUF takes Phi3ForCausalLM, LlamaForCausalLM"):
        export(tmp_path, tmp_path / "gguf")


def no_change(_):
    pass


def replace_pre_tokenizer(tokenizer):
    tokenizer["pre_tokenizer"] = {"type": "Whitespace"}


def fall_back_to_bytes(tokenizer):
    tokenizer["model"]["byte_fallback"] = True


def lowercase(tokenizer):
    tokenizer["normalizer"] = {"type": "Lowercase"}


def put_space_before(tokenizer):
    tokenizer["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True


@pytest.mark.parametrize(
    ("change", "size", "message"),
    [
        (replace_pre_tokenizer, 800, "no name that is known here"),
        (put_space_before, 800, "no name that is known here"),
        (fall_back_to_bytes, 800, "no byte-level BPE"),
        (lowercase, 800, "changes text by Lowercase"),
        (no_change, 500, "has a token 799 and the model 500 of them"),
    ],
)
def test_a_tokenizer_that_llama_cpp_has_no_rules_for_is_refused(
    base, tmp_path, change, size, message
):
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    change(tokenizer)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ExportError, match=message):
        read_tokenizer(tmp_path, size)


def test_more_ends_than_gguf_has_places_for_are_refused(tmp_path):
    gguf_models.save(tmp_path, "phi3")
    gguf_models.edit(tmp_path / "generation_config.json", eos_token_id=[1, 2, 3])
    with pytest.raises(ExportError, match="stops at 4 tokens"):
        export(tmp_path, tmp_path / "gguf")


def test_a_weight_beyond_float16_is_refused_and_leaves_no_file(tmp_path):
    model = gguf_models.save(tmp_path, "phi3")
    model.model.layers[1].mlp.down_proj.weight.data[0, 0] = 70000.0
    model.save_pretrained(tmp_path)
    with pytest.raises(ExportError, match=r"blk\.1\.ffn_down\.weight has a weight of 7e\+04"):
        export(tmp_path, tmp_path / "gguf", bits=16)
    assert not list((tmp_path / "gguf").glob("*.gguf"))
    export(tmp_path, tmp_path / "gguf", bits=32)


def test_an_adapter_that_was_not_merged_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    gguf_models.save(tmp_path, "phi3")
    path = tmp_path / "model.safetensors"
    name = "model.layers.0.mlp.down_proj.lora_A.weight"
    save_file(load_file(path) | {name: torch.zeros(2, 2)}, path, {"format": "pt"})
    with pytest.raises(ExportError, match=r"down_proj\.lora_A\.weight has no place"):
        export(tmp_path, tmp_path / "gguf")


def test_no_name_makes_llama_cpp_look_for_phi_3_s_tokens(tmp_path):
    names = ["Phi-3-mini", "my-phi3", "phi-4-mini", "rlvr"]
    expected = ["phi 3-mini", "my-phi 3", "phi-4-mini", "rlvr"]
    assert [model_name(tmp_path / name) for name in names] == expected


def test_only_four_bits_need_llama_cpp(saved, tmp_path, monkeypatch):
    folder, _ = saved("phi3")
    for name in ("edge.llama_library", "export.gguf_quantize", "export.gguf_probes"):
        monkeypatch.delitem(sys.modules, f"minireason.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(MissingError, match=r"llama_cpp.*pip install 'minireason\[gguf\]'"):
        export(folder, tmp_path / "gguf", bits=4)
    assert export(folder, tmp_path / "gguf", bits=8)[0]["tokenizes_differently"] is None


@pytest.fixture
def llama_cpp():
    return pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")


@pytest.fixture
def wide(saved):
    """A folder of a model with rows of 256, which Q4_K needs."""
    return saved("phi3", hidden_size=256, intermediate_size=512, num_attention_heads=4)[0]


def test_the_types_in_a_q4_k_m_file_are_told(llama_cpp, saved, wide, tmp_path):
    types = export(wide, tmp_path / "wide", bits=4)[0]["tensors"]
    assert types["blk.0.attn_output.weight"] == types["blk.0.ffn_up.weight"] == "Q4_K"
    assert types["token_embd.weight"] == "Q6_K" and types["output_norm.weight"] == "F32"
    narrow = export(saved("phi3")[0], tmp_path / "narrow", bits=4)[0]["counts"]
    assert "Q4_K" not in narrow and narrow["Q5_0"] > 0  # 96 and 160 are no multiples of 256


@pytest.mark.parametrize("family", ["phi3", "qwen3"])
def test_named_projections_stay_at_8_bits(llama_cpp, saved, tmp_path, family):
    folder, _ = saved(family)
    plain = export(folder, tmp_path / "plain", bits=4)[0]["tensors"]
    of = {
        "qkv_proj": ("attn_qkv", "attn_q", "attn_k", "attn_v"),
        "o_proj": ("attn_output",),
        "gate_up_proj": ("ffn_up", "ffn_gate"),
        "down_proj": ("ffn_down",),
        "lm_head": ("token_embd", "output"),
    }
    for projection in PROJECTIONS:
        made, _ = export(folder, tmp_path / projection, bits=4, keep_8bit=(projection,))
        for name, kind in made["tensors"].items():
            is_kept = name.removesuffix(".weight").split(".")[-1] in of[projection]
            assert kind == ("Q8_0" if is_kept else plain[name])
    assert set(plain.values()) > {"Q5_0"}


def test_quantising_leaves_one_file_and_the_weights_close(llama_cpp, wide, saved, tmp_path):
    made, reader = export(wide, tmp_path, bits=4)
    assert [path.name for path in tmp_path.iterdir()] == ["model-Q4_K_M.gguf"]
    model = saved("phi3", hidden_size=256, intermediate_size=512, num_attention_heads=4)[1]
    for name, values in phi3_weights(model).items():
        error = np.sqrt(((weights(reader)[name] - values) ** 2).mean() / (values**2).mean())
        assert error < 0.1, name  # 16 steps over the range of 32 normal values
    assert made["type"] == "Q4_K_M" and value(reader, "general.file_type") == 15


PIECES = (
    *("1", "23", "456", "7,890", "3.14", "-5", "0", "½", "x²", "٣", "１２"),
    *(r"\frac{1}{2}", r"\boxed{", "}", "$$", r"\\", "^", "_{n+1}", "\\sqrt[3]{8}", "&="),
    *("the", " answer", "Let", " I'm", "we'LL", "é", "Ünï", "数学", "Привет", "هذا", "🙂", "👩‍👧"),
    *(" ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", " \n ", "!", "...", "?)", "==", "'"),
    *("<|user|>", "<|end|>", "<|endoftext|>", "<|assistant|>", "<|", "|>", "<think>"),
)
PLAIN = tuple(piece for piece in PIECES if piece.isascii())


@pytest.mark.parametrize(
    ("regex", "pieces"),
    [(None, PIECES), (_LLAMA3, PIECES), (_QWEN2, PIECES), (_O200K, PLAIN)],
    ids=["tiny", "llama-bpe", "qwen2", "gpt-4o"],
)
def test_llama_cpp_tokenises_as_the_tokenizer_does(llama_cpp, tmp_path, regex, pieces):
    """llama.cpp's gpt-4o takes capitals beyond ASCII for small letters too."""
    from minireason.export.gguf_probes import llama_ids

    tokenizer = gguf_models.regex_tokenizer(regex) if regex else gguf_models.tiny_tokenizer()
    gguf_models.save(tmp_path, "phi3", tokenizer=tokenizer)
    made, _ = export(tmp_path, tmp_path / "gguf")
    rng = Random(0)
    texts = ["".join(rng.choices(pieces, k=rng.randrange(1, 20))) for _ in range(400)]
    found = list(llama_ids(tmp_path / "gguf" / made["file"], texts))
    expected = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    different = [
        text for text, ours, each in zip(texts, found, expected, strict=True) if ours != each.ids
    ]
    assert different == []


def test_a_wrong_name_for_the_tokenizer_is_found_out(llama_cpp, tmp_path, monkeypatch):
    from minireason.export import gguf_tokenizer

    tokenizer = gguf_models.regex_tokenizer(_LLAMA3)
    gguf_models.save(tmp_path / "model", "phi3", tokenizer=tokenizer)
    monkeypatch.setitem(gguf_tokenizer._NAMES, (_LLAMA3, "byte-level"), "gpt-2")
    with pytest.raises(ExportError, match=r"would read .* as other tokens"):
        export(tmp_path / "model", tmp_path / "gguf")
    assert not list((tmp_path / "gguf").glob("*.gguf"))


def test_what_is_tokenised_otherwise_in_other_scripts_is_told(llama_cpp, tmp_path):
    gguf_models.save(tmp_path, "phi3", tokenizer=gguf_models.regex_tokenizer(_O200K))
    made, _ = export(tmp_path, tmp_path / "gguf")
    assert any("ÉCOLE" in text for text in made["tokenizes_differently"])


def test_special_tokens_that_swallow_white_space_are_told(llama_cpp, tmp_path):
    gguf_models.save(tmp_path, "phi3")
    path = tmp_path / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"][2]["rstrip"] = True
    path.write_text(json.dumps(tokenizer))
    made, _ = export(tmp_path, tmp_path / "gguf")
    assert made["tokenizes_differently"] == ["a <|user|>\n b"]
