"""Writing a GGUF file, one tensor in memory at a time."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType

from minireason.errors import ExportError
from minireason.export.gguf_model import (
    Described,
    ModelTensor,
    attention_factor,
    rotary_width,
)
from minireason.export.gguf_tokenizer import TokenizerKeys

_FILE_TYPES = {
    "F32": LlamaFileType.ALL_F32,
    "F16": LlamaFileType.MOSTLY_F16,
    "BF16": LlamaFileType.MOSTLY_BF16,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
}


def write(model: Described, tokenizer: TokenizerKeys, path: Path, dtype: str) -> None:
    """Write the model with its matrices as `dtype`: F32, F16, BF16 or Q8_0.

    Raises ExportError for a weight that F16 does not reach.
    """
    writer = GGUFWriter(path, model.arch)
    _add_model(writer, model)
    _add_rope(writer, model)
    writer.add_file_type(_FILE_TYPES[dtype])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    tokenizer.add_to(writer)
    types = [_type(each, dtype) for each in model.tensors]
    for each, kind in zip(model.tensors, types, strict=True):
        size = int(np.prod(gguf.quant_shape_to_byte_shape(each.shape, kind)))
        writer.add_tensor_info(each.name, each.shape, np.dtype(np.float32), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for each, kind in zip(model.tensors, types, strict=True):
        writer.write_tensor_data(_stored(each, kind))
    writer.close()


def _type(tensor: ModelTensor, dtype: str) -> GGMLQuantizationType:
    """llama.cpp multiplies with matrices of any type, and reads all else as F32.

    A row that is no whole number of blocks is kept as F16, as llama.cpp's converter does.
    """
    is_matrix = len(tensor.shape) > 1
    kind = GGMLQuantizationType[dtype] if is_matrix else GGMLQuantizationType.F32
    block, _ = gguf.GGML_QUANT_SIZES[kind]
    return kind if tensor.shape[-1] % block == 0 else GGMLQuantizationType.F16


def _stored(tensor: ModelTensor, kind: GGMLQuantizationType) -> np.ndarray:
    values = tensor.read()
    if kind == GGMLQuantizationType.F16:
        largest = float(np.abs(values).max())
        if largest > 65504:
            raise ExportError(
                f"{tensor.name} has a weight of {largest:.4g} and float16 ends at 65504; "
                "export with --bits 8 or 32"
            )
    return gguf.quants.quantize(values, kind)


def _add_model(writer: GGUFWriter, model: Described) -> None:
    config = model.config
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(model.name)
    writer.add_size_label(
        gguf.size_label(sum(int(np.prod(each.shape)) for each in model.tensors), 0, 0, 0)
    )
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(model.context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if model.arch == "phi3":
        writer.add_sliding_window(getattr(config, "sliding_window", None) or 0)
    head_dim = getattr(config, "head_dim", None)
    if head_dim is not None:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)


def _add_rope(writer: GGUFWriter, model: Described) -> None:
    rope = model.rope
    writer.add_rope_dimension_count(rotary_width(model.config))
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope.get("rope_type") == "longrope":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_attn_factors(attention_factor(model.config))
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
