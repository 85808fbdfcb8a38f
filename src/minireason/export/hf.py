"""transformers' own form of a model, with fewer bits: torchao at 8 and 4, plain tensors above.

It is the one export that any program on transformers loads as it is. With 8 bits weights alone are
rounded, one scale a row; the tied embedding stays as it is. With 4 bits torchao needs a CUDA device
to make and to run it, which has not been tried.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, TorchAoConfig

from minireason.errors import ExportError, MissingError
from minireason.export.settings import ExportSettings
from minireason.export.source import read_config

PLAIN = {16: torch.bfloat16, 32: torch.float32}


def export_hf(settings: ExportSettings, out: Path) -> dict[str, Any]:
    """Write configuration and safetensors into a folder; return how the weights were rounded.

    Raises MissingError without torchao, ExportError for 4 bits where there is no CUDA device.
    """
    transformers.utils.logging.disable_progress_bar()
    held: dict[str, Any] = {"dtype": PLAIN.get(settings.bits, _compute_dtype(settings))}
    if settings.bits <= 8:
        held |= _quantized(settings)
    model = AutoModelForCausalLM.from_pretrained(
        settings.source, config=read_config(settings.source), use_safetensors=True, **held
    )
    model.config.use_cache = True
    model.save_pretrained(out)
    dtype = str(held["dtype"]).removeprefix("torch.")
    if settings.bits > 8:
        return {"method": "none", "dtype": dtype}
    block = {"block_size": settings.block_size} if settings.bits == 4 else {}
    return {"method": "torchao, weights alone", "dtype": dtype, **block}


def _compute_dtype(settings: ExportSettings) -> torch.dtype:
    return torch.float32 if settings.target == "cpu" else torch.bfloat16


def _quantized(settings: ExportSettings) -> dict[str, Any]:
    try:
        from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig
    except ModuleNotFoundError as error:
        raise MissingError(
            f"an export as hf with {settings.bits} bits needs torchao; "
            "pip install 'minireason[torchao]'"
        ) from error
    if settings.bits == 8:
        return {"quantization_config": TorchAoConfig(Int8WeightOnlyConfig())}
    if not torch.cuda.is_available():
        raise ExportError(
            "--bits is 4 and no CUDA device is here, which torchao needs to make it; use --bits 8, "
            "or --format onnx or gguf"
        )
    config = TorchAoConfig(Int4WeightOnlyConfig(group_size=settings.block_size))
    return {"quantization_config": config, "device_map": "cuda"}
