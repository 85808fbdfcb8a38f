"""The model that is exported: its configuration, its weights' shapes, and a copy to build from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from minireason.errors import ExportError
from minireason.export.weights import weight_files
from minireason.model.rope import REGIME_KEY, pin_rope
from minireason.runfolder import read_json, write_json

CONFIG = "config.json"
CARRIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "generation_config.json",
)
"""What every export has beside its weights, where the model has it."""


def read_config(folder: Path) -> Any:
    """The configuration as transformers reads it, with one LongRoPE regime.

    An unpinned LongRoPE model is pinned to its long factors, as everywhere in minireason where no
    context is given. Raises ExportError where there is no configuration that can be read.
    """
    try:
        config: Any = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError, KeyError, StrictDataclassError) as error:
        raise ExportError(f"{folder / CONFIG} cannot be read: {error}") from error
    pin_rope(config)
    return config


def longest_context(config: Any) -> int:
    """Most positions of the model, in tokens: short LongRoPE factors end with its pre-training."""
    if getattr(config, REGIME_KEY, None) == "short":
        return int(config.rope_parameters["original_max_position_embeddings"])
    return int(config.max_position_embeddings)


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of the safetensors files, by its name; the weights are not read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118
                    shapes[name] = tuple(file.get_slice(name).get_shape())
        except (OSError, SafetensorError) as error:
            raise ExportError(
                f"{path} cannot be read: {error}; copy or download it again"
            ) from error
    return shapes


def rotary_parameters(config: Any) -> dict[str, Any]:
    """The rotary parameters, with a type; empty where the kinds of layers have their own."""
    parameters = getattr(config, "rope_parameters", None) or {"rope_type": "default"}
    return {} if any(isinstance(value, dict) for value in parameters.values()) else parameters


def prepare(source: Path, folder: Path) -> None:
    """Make a copy of the model, with links to its files, that the ONNX builder reads rightly.

    The builder (onnxruntime-genai 0.18) wants `type` beside LongRoPE's `rope_type`, computes the
    factor on the attention from the two lengths alone, takes any other Phi-3 for LongRoPE unless
    the two lengths are equal, and cuts its cache to a window that no position can reach.
    """
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and path.name != CONFIG:
            (folder / path.name).symlink_to(path.resolve())
    config = read_config(source)
    config.save_pretrained(folder)
    written = read_json(folder / CONFIG)
    written.pop("auto_map", None)
    rope = rotary_parameters(config)
    if rope.get("rope_type") == "longrope":
        _, factor = ROPE_INIT_FUNCTIONS["longrope"](config, "cpu")
        written["rope_parameters"] |= {"type": "longrope"}
        written["rope_parameters"] |= {"short_mscale": factor, "long_mscale": factor}
    elif "original_max_position_embeddings" in written:
        written["original_max_position_embeddings"] = written["max_position_embeddings"]
    if (written.get("sliding_window") or 0) >= written["max_position_embeddings"]:
        written["sliding_window"] = None
    write_json(folder / CONFIG, written)
