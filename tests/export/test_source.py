"""What the builder is given in place of a model folder."""

import json

import pytest
from safetensors.torch import load_file

from minireason.errors import ExportError
from minireason.export.source import longest_context, prepare, read_config, weight_shapes


def prepared(source, folder):
    prepare(source, folder / "model")
    return json.loads((folder / "model" / "config.json").read_text())


def test_the_shapes_are_those_of_the_weights(tiny):
    weights = load_file(tiny / "model.safetensors")
    assert weight_shapes(tiny) == {name: tuple(each.shape) for name, each in weights.items()}


def test_broken_weights_are_named(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not one")
    with pytest.raises(ExportError, match=r"model\.safetensors cannot be read"):
        weight_shapes(tmp_path)


def test_the_copy_leads_to_the_files_themselves_and_changes_none(tiny, tmp_path):
    before = (tiny / "config.json").read_bytes()
    config = prepared(tiny, tmp_path)
    copy = tmp_path / "model"
    assert (copy / "model.safetensors").resolve() == (tiny / "model.safetensors").resolve()
    assert (copy / "tokenizer.json").resolve() == (tiny / "tokenizer.json").resolve()
    assert (tiny / "config.json").read_bytes() == before
    assert config["vocab_size"] == 800


@pytest.mark.parametrize(
    ("pinned", "regime"), [(None, "long"), ("long", "long"), ("short", "short")]
)
def test_longrope_is_pinned_and_told_as_the_builder_asks(pinned, regime, longrope, tmp_path):
    config = prepared(longrope(pinned), tmp_path)
    rope = config["rope_parameters"]
    assert rope["type"] == rope["rope_type"] == "longrope"
    assert rope["short_factor"] == rope["long_factor"]
    assert (rope["long_factor"][1] == 1.2) == (regime == "long")
    assert config["longrope_regime"] == regime
    # sqrt(1 + ln(512 / 64) / ln 64): half a factor more of length
    assert rope["short_mscale"] == rope["long_mscale"] == pytest.approx(1.5**0.5)


def test_without_longrope_the_two_lengths_are_one(saved, tmp_path):
    config = prepared(saved(original_max_position_embeddings=128, sliding_window=300), tmp_path)
    lengths = config["max_position_embeddings"], config["original_max_position_embeddings"]
    assert lengths == (256, 256)
    assert config["sliding_window"] is None


def test_a_configuration_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "nonesuch"}')
    with pytest.raises(ExportError, match=r"config\.json cannot be read"):
        read_config(tmp_path)


@pytest.mark.parametrize(("pinned", "context"), [("short", 64), ("long", 512), (None, 512)])
def test_short_factors_end_with_the_length_of_pre_training(longrope, pinned, context):
    assert longest_context(read_config(longrope(pinned))) == context
