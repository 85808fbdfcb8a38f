"""What an export is made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minireason.edge.manifest import Bits, Format, Target

PROJECTIONS = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj", "lm_head")
"""What may stay at 8 bits beside 4-bit weights; `lm_head` is the tied embedding too."""

_FUSED = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj"}
_FUSED |= {"gate_proj": "gate_up_proj", "up_proj": "gate_up_proj"}


def projection_of(name: str) -> str:
    """The projection that a linear layer of this name is, or is a part of."""
    return _FUSED.get(name, name)


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """`source` is a local model folder in the Hugging Face layout.

    `block_size` weights share a scale and `accuracy_level` 4 rounds activations to 8 bits inside a
    product (1: float32), both of ONNX; `keep_8bit` names the projections that stay at 8 bits where
    the others have 4. A GGUF of 4 bits is Q4_K_M, of 8 Q8_0, of 16 F16, of 32 F32.
    """

    source: Path
    format: Format
    bits: Bits = 4
    target: Target = "cpu"
    block_size: int = 32
    accuracy_level: int = 4
    keep_8bit: tuple[str, ...] = ()
