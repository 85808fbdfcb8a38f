"""Q4_K_M by llama.cpp's own quantiser."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref
from pathlib import Path

from gguf import GGMLQuantizationType

from minireason.edge.llama_library import last_error, library, quiet_library
from minireason.errors import ExportError

NAMES = {
    "qkv_proj": r"\.attn_(qkv|q|k|v)\.weight$",
    "o_proj": r"\.attn_output\.weight$",
    "gate_up_proj": r"\.ffn_(up|gate)\.weight$",
    "down_proj": r"\.ffn_down\.weight$",
    "lm_head": r"^(output|token_embd)\.weight$",
}
"""Where each of `settings.PROJECTIONS` is in a GGUF file, as regular expressions of C++."""


def quantize(exact: Path, out: Path, keep_8bit: Sequence[str]) -> None:
    """Write `out`, the Q4_K_M of a file of floats, with the named projections as Q8_0.

    Raises ExportError where llama.cpp fails.
    """
    quiet_library()
    params = library.llama_model_quantize_default_params()
    params.ftype = library.LLAMA_FTYPE_MOSTLY_Q4_K_M
    overrides = (
        library.llama_model_tensor_override * (len(keep_8bit) + 1)
    )()  # the last one is null
    for override, name in zip(overrides, keep_8bit, strict=False):
        override.pattern = NAMES[name].encode()
        override.type = GGMLQuantizationType.Q8_0
    if keep_8bit:
        params.tt_overrides = overrides
    if library.llama_model_quantize(bytes(exact), bytes(out), byref(params)) != 0:
        raise ExportError(f"llama.cpp could not quantise the model: {last_error()}")
