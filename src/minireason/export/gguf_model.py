"""What llama.cpp has to know of a model: its numbers, and its tensors under llama.cpp's names.

Follows llama.cpp's convert_hf_to_gguf.py, with one difference: LongRoPE is pinned to one regime
(`model/rope.py`), where that writes both sets of factors and llama.cpp takes one by its context.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from minireason.errors import ExportError
from minireason.export.gguf import llama_architecture
from minireason.export.source import longest_context, read_config
from minireason.export.weights import Floats, StoredTensor, stored_tensors
from minireason.model.rope import REGIME_KEY

_ROPES = {"phi3": ("default", "longrope"), "llama": ("default", "llama3")}


@dataclass(frozen=True, slots=True)
class ModelTensor:
    """A tensor by llama.cpp's name; `read` gives its values, of that shape."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Floats]


@dataclass(frozen=True, slots=True)
class Described:
    """`precision` is the narrowest type that holds the weights exactly: F16, BF16 or F32."""

    name: str
    arch: str
    config: Any
    tensors: tuple[ModelTensor, ...]
    precision: str
    context: int
    regime: str | None

    @property
    def rope(self) -> dict[str, Any]:
        return dict(self.config.rope_parameters)


def describe(folder: Path) -> Described:
    """Read a model folder, without its weights.

    Raises ExportError for what llama.cpp does not run, or not as transformers does.
    """
    config = read_config(folder)
    arch = llama_architecture(config)
    check(config, arch)
    stored = stored_tensors(folder)
    return Described(
        model_name(folder),
        arch,
        config,
        (*_rope_tensors(config), *_weights(config, arch, stored)),
        _precision({each.dtype for each in stored.values()}),
        longest_context(config),
        getattr(config, REGIME_KEY, None),
    )


def check(config: Any, arch: str) -> None:
    """Raises ExportError for a config that llama.cpp's `arch` has no place for."""
    window = getattr(config, "sliding_window", None)
    layers = getattr(config, "layer_types", None) or []
    if arch == "phi3":
        windowed = window is not None and window < config.max_position_embeddings
    else:
        windowed = "sliding_attention" in layers
    width = _head_dim(config) * config.num_attention_heads
    rope = config.rope_parameters.get("rope_type", "default")
    problems = {
        f"a sliding window of {window} tokens": windowed,
        f"the activation {config.hidden_act}": config.hidden_act != "silu",
        f"the rotary frequencies {rope!r}": rope not in _ROPES.get(arch, ("default",)),
        f"heads of {width} in a width of {config.hidden_size}": arch == "phi3"
        and width != config.hidden_size,
        "biases in its MLP": getattr(config, "mlp_bias", False),
        "quantised weights": getattr(config, "quantization_config", None) is not None,
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if found:
        raise ExportError(
            f"the model has {' and '.join(found)}, which llama.cpp's {arch} would run otherwise "
            "than transformers; export it as onnx or hf"
        )


def model_name(folder: Path) -> str:
    """The folder's name. Of one with `phi-3` in it llama.cpp expects tokens it may not have."""
    return re.sub(r"(?i)phi-?(?=3)", "phi ", folder.resolve().name)


def attention_factor(config: Any) -> float:
    """What LongRoPE multiplies cosine and sine with, for both regimes (arXiv 2402.13753)."""
    rope = config.rope_parameters
    original = rope["original_max_position_embeddings"]
    factor = rope.get("factor") or config.max_position_embeddings / original
    given = rope.get("attention_factor")
    if given is not None:
        return float(given)
    return math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0


def rotary_width(config: Any) -> int:
    """How many of a head's dimensions are rotated."""
    return int(_head_dim(config) * config.rope_parameters.get("partial_rotary_factor", 1.0))


def _rope_tensors(config: Any) -> Iterator[ModelTensor]:
    rope = config.rope_parameters
    if rope.get("rope_type") == "longrope":
        for regime in ("long", "short"):
            yield _constant(f"rope_factors_{regime}.weight", rope[f"{regime}_factor"])
    elif rope.get("rope_type") == "llama3":
        yield _constant("rope_freqs.weight", _llama3_factors(rope, rotary_width(config)))


def _constant(name: str, values: Any) -> ModelTensor:
    array = np.asarray(values, np.float32)
    return ModelTensor(name, array.shape, lambda: array)


def _llama3_factors(rope: Mapping[str, Any], width: int) -> list[float]:
    """What divides each rotary frequency of Llama 3.1 (`rope_type` "llama3" of transformers)."""
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    original = rope["original_max_position_embeddings"]
    factors = []
    for index in range(0, width, 2):
        turns = original * rope["rope_theta"] ** (-index / width) / (2 * math.pi)
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def _weights(config: Any, arch: str, stored: Mapping[str, StoredTensor]) -> Iterator[ModelTensor]:
    names = gguf.get_tensor_name_map(_ARCH[arch], config.num_hidden_layers)
    if not config.tie_word_embeddings and "lm_head.weight" not in stored:
        raise ExportError("the model has no lm_head.weight and its config does not tie it")
    for name, each in stored.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if ours is None:
            raise ExportError(
                f"the model's {name} has no place in llama.cpp's {arch}; an adapter has to be "
                "merged into the weights first"
            )
        heads = _interleaved_heads(config, arch, name)
        yield ModelTensor(ours, each.shape, _interleaved(each, heads) if heads else each.read)


def _interleaved_heads(config: Any, arch: str, name: str) -> int:
    """In how many heads llama.cpp's llama wants a tensor's rows as pairs, 0 for as it is."""
    if arch != "llama":
        return 0
    if ".q_proj." in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".k_proj." in name else 0


def _interleaved(stored: StoredTensor, heads: int) -> Callable[[], Floats]:
    """Rows (i, i + d/2) of each head side by side: Llama's own order of what is rotated together.

    transformers splits a head in two halves, Meta's llama, which llama.cpp follows, in pairs.
    """

    def read() -> Floats:
        values = stored.read()
        halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
        return halves.swapaxes(1, 2).reshape(values.shape)

    return read


def _precision(dtypes: set[str]) -> str:
    return dtypes.pop() if len(dtypes) == 1 else "F32"


def _head_dim(config: Any) -> int:
    given = getattr(config, "head_dim", None)
    return int(given or config.hidden_size // config.num_attention_heads)


_ARCH = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
