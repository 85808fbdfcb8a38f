"""ONNX Runtime GenAI's form of a model, by its own builder.

Weights of 4 and 8 bits are rounded to the nearest of a scale that each block of a row shares,
symmetric about zero. On the CPU activations and scales are float32, elsewhere float16. For `npu`
the weights stand as DequantizeLinear before ordinary products, the form that the compilers of such
devices read; it is compiled for none of them and runs on the CPU as it is.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import transformers

from minireason.errors import ExportError, MissingError
from minireason.export.graph import EMBEDDING, check_graph, join_head_and_embedding
from minireason.export.settings import PROJECTIONS, ExportSettings
from minireason.export.source import prepare, read_config
from minireason.runfolder import read_json

GRAPH = "model.onnx"
PROVIDERS = {"cpu": "cpu", "cuda": "cuda", "directml": "dml", "npu": "cpu"}
PRECISIONS = {4: "int4", 8: "int8", 16: "fp16", 32: "fp32"}
NODES = {
    "qkv_proj": ("attn/qkv_proj",),
    "o_proj": ("attn/o_proj",),
    "gate_up_proj": ("mlp/gate_proj", "mlp/up_proj"),
    "down_proj": ("mlp/down_proj",),
}
"""The builder's names of the products of a layer."""

_BUILDING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def export_onnx(settings: ExportSettings, out: Path) -> dict[str, Any]:
    """Write the graph, its weights and `genai_config.json` into a folder.

    Returns how the weights were rounded: the bits of each projection among it, as the graph has
    them. Raises ExportError where the builder fails or makes something else than asked,
    MissingError where it is not installed.
    """
    config = read_config(settings.source)
    is_tied = bool(config.tie_word_embeddings)
    target = _target_options(settings, config.num_hidden_layers, is_tied=is_tied)
    with tempfile.TemporaryDirectory() as folder:
        prepare(settings.source, Path(folder) / "model")
        _build(Path(folder) / "model", out, settings, target, Path(folder) / "cache")
    graph = out / GRAPH
    if _shares_8bit(settings, is_tied=is_tied):
        join_head_and_embedding(graph, settings.block_size)
    bits = check_graph(graph, _asked_bits(settings))
    _check_runtime_config(out, settings, config.max_position_embeddings)
    return _facts(settings, bits)


def _asked_bits(settings: ExportSettings) -> dict[str, int]:
    kept = settings.keep_8bit
    return {name: 8 if name in kept else settings.bits for name in PROJECTIONS}


def _shares_8bit(settings: ExportSettings, *, is_tied: bool) -> bool:
    """Whether the embedding reads the 8-bit head, which was tried on the CPU alone."""
    return is_tied and settings.target == "cpu" and _asked_bits(settings)["lm_head"] == 8


def _target_options(
    settings: ExportSettings, num_layers: int, *, is_tied: bool
) -> dict[str, Any] | None:
    """What the builder's `target_options` say of the weights; None where they stay as they are.

    With 8 bits for all, a tied embedding would be left in full beside its head. As an export of 4
    bits that keeps every projection at 8 the two are one.
    """
    if settings.bits > 8:
        return None
    asked = _asked_bits(settings)
    shares_8bit = _shares_8bit(settings, is_tied=is_tied)
    shares = shares_8bit or (is_tied and asked["lm_head"] == 4 and settings.target != "npu")
    body = 4 if shares_8bit else settings.bits
    weights = {
        "type": f"int{body}",
        "block_size": settings.block_size,
        "op_types": ["MatMul", "Gather"] if shares else ["MatMul"],
        "overrides": [
            {"match": {"name": f"{node}/MatMul"}, "type": "int8"}
            for name in PROJECTIONS
            if asked[name] != body
            for node in _nodes(name, num_layers)
        ],
    }
    if settings.target == "cpu":
        weights["accuracy_level"] = settings.accuracy_level
    return {"quant_config": {"weights": weights, "format": {"use_qdq": settings.target == "npu"}}}


def _nodes(projection: str, num_layers: int) -> Iterator[str]:
    if projection == "lm_head":
        yield "/lm_head"
        return
    for layer in range(num_layers):
        yield from (f"/model/layers.{layer}/{node}" for node in NODES[projection])


def _build(
    model: Path,
    out: Path,
    settings: ExportSettings,
    target: dict[str, Any] | None,
    cache: Path,
) -> None:
    builder = _builder()
    provider, precision = PROVIDERS[settings.target], PRECISIONS[settings.bits]
    where = (None, str(model), str(out), precision, provider, str(cache))
    shares = target is None or "Gather" in target["quant_config"]["weights"]["op_types"]
    options = ["hf_token=false", *([] if shares else ["shared_embeddings=false"])]
    said = io.StringIO()
    transformers.utils.logging.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            parsed = builder.parse_extra_options(*where, options, target_options=target)
            builder.create_model(*where, **parsed)
    except _BUILDING_ERRORS as error:
        last = " / ".join(said.getvalue().strip().splitlines()[-3:])
        raise ExportError(
            f"the ONNX builder cannot make this model: {type(error).__name__}: {error}; it last "
            f"said: {last[-300:]}. Use --format gguf or hf"
        ) from error


def _builder() -> ModuleType:
    """The builder's module, which puts its folder on the path and a handler on the root logger."""
    logging.getLogger("torchao").setLevel(logging.ERROR)  # what else it could run is not asked
    root, path = logging.getLogger(), list(sys.path)
    handlers, level = list(root.handlers), root.level
    try:
        from onnxruntime_genai.models import builder
    except ModuleNotFoundError as error:
        raise MissingError(
            f"an export as onnx needs {error.name}; pip install 'minireason[onnx]'"
        ) from error
    finally:
        root.handlers[:], sys.path[:] = handlers, path
        root.setLevel(level)
    quantizer = logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer")
    quantizer.setLevel(logging.CRITICAL)  # it calls an embedding that it need not touch an error
    return builder


def _check_runtime_config(out: Path, settings: ExportSettings, context: int) -> None:
    """Raises ExportError where ONNX Runtime GenAI would be told of another device or context."""
    told = read_json(out / "genai_config.json")["model"]
    providers = [
        name for each in told["decoder"]["session_options"]["provider_options"] for name in each
    ]
    provider = PROVIDERS[settings.target]
    if providers != ([] if provider == "cpu" else [provider]) or told["context_length"] != context:
        raise ExportError(
            f"the ONNX builder wrote providers {providers} and a context of "
            f"{told['context_length']} for {settings.target} and {context}"
        )


def _facts(settings: ExportSettings, bits: dict[str, int]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "method": "round to nearest, symmetric" if settings.bits <= 8 else "none",
        "form": "QDQ" if settings.target == "npu" else "MatMulNBits",
        "activations": "float32" if PROVIDERS[settings.target] == "cpu" else "float16",
        "provider": PROVIDERS[settings.target],
        "bits": {name: bits[name] for name in (*PROJECTIONS, EMBEDDING) if name in bits},
    }
    if settings.bits > 8:
        return facts | {"form": "MatMul"}
    facts["block_size"] = settings.block_size
    if settings.target == "cpu":
        facts["accuracy_level"] = settings.accuracy_level
    return facts
