"""What cannot be exported, said before anything is built.

Each rule stands for something that was tried and went wrong, most of it without an error: an ONNX
graph that answers with garbage, a position that is rotated by the wrong angle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minireason.edge.manifest import Bits, Target
from minireason.errors import ExportError
from minireason.export.gguf import llama_architecture
from minireason.export.settings import PROJECTIONS, ExportSettings
from minireason.export.source import CARRIED, read_config, rotary_parameters, weight_shapes
from minireason.runfolder import read_json

ROPES = {
    "Phi3ForCausalLM": ("default", "longrope"),
    "LlamaForCausalLM": ("default", "llama3"),
    "MistralForCausalLM": ("default",),
    "Qwen2ForCausalLM": ("default",),
    "Qwen3ForCausalLM": ("default",),
    "GraniteForCausalLM": ("default",),
}
"""The ONNX exports whose logits were compared with transformers': architectures and rotations.

The builder takes more, some of them wrongly: of `linear` it ignores the factor.
"""

ONNX_BITS: dict[Target, tuple[Bits, ...]] = {
    "cpu": (4, 8, 32),
    "cuda": (4, 8, 16),
    "directml": (4, 16),
    "npu": (4,),
}
BLOCK_SIZES = (16, 32, 64, 128, 256)
ACCURACY_LEVELS = (1, 2, 3, 4)


def check(settings: ExportSettings) -> None:
    """Raises ExportError for what cannot be exported, naming what was given and what is allowed."""
    _check_folder(settings.source)
    _check_options(settings)
    config, shapes = read_config(settings.source), weight_shapes(settings.source)
    if getattr(config, "quantization_config", None):
        raise ExportError(
            f"{settings.source} is quantised already; export the model it was made from"
        )
    if settings.format == "onnx":
        _check_onnx(settings, config, shapes)
    elif settings.format == "gguf":
        _check_gguf(settings, config)
    else:
        _check_hf(settings)


def _check_folder(source: Path) -> None:
    if (source / "adapter_config.json").is_file():
        raise ExportError(f"{source} is an adapter; merge it into its base model, and export that")
    if not (source / "config.json").is_file():
        raise ExportError(f"{source} has no config.json; give the folder of a model")
    if not any(source.glob("*.safetensors")):
        raise ExportError(f"{source} has no weights as safetensors; save it with them")
    tokenizer = source / "tokenizer.json"
    if not tokenizer.is_file():
        raise ExportError(
            f"{source} has no tokenizer.json; load its tokenizer with transformers and save it "
            "there"
        )
    named = [name for name in CARRIED if name.endswith(".json") and (source / name).is_file()]
    read = {name: read_json(source / name) for name in named}
    has_template = (source / "chat_template.jinja").is_file()
    if not has_template and not read.get("tokenizer_config.json", {}).get("chat_template"):
        raise ExportError(f"{source} has no chat template; add a chat_template.jinja")


def _check_options(settings: ExportSettings) -> None:
    unknown = [name for name in settings.keep_8bit if name not in PROJECTIONS]
    if unknown:
        raise ExportError(
            f"--keep-8bit is {unknown[0]!r}; it must be one of {', '.join(PROJECTIONS)}"
        )
    if settings.keep_8bit and settings.bits != 4:
        raise ExportError(
            f"--keep-8bit is for 4 bits, and --bits is {settings.bits}; leave one of them out"
        )
    if settings.block_size not in BLOCK_SIZES:
        raise ExportError(
            f"--block-size is {settings.block_size}; it must be one of {_listed(BLOCK_SIZES)}"
        )
    if settings.accuracy_level not in ACCURACY_LEVELS:
        raise ExportError(
            f"--accuracy-level is {settings.accuracy_level}; it must be 1 (products in float32) "
            "to 4 (activations rounded to 8 bits)"
        )
    is_rounded = settings.bits <= 8
    of_onnx = settings.format == "onnx" and is_rounded
    has_blocks = of_onnx or (settings.format == "hf" and settings.bits == 4)
    _require_use("--block-size", settings.block_size, 32, has_blocks)
    _require_use(
        "--accuracy-level", settings.accuracy_level, 4, of_onnx and settings.target == "cpu"
    )


def _require_use(option: str, value: int, default: int, is_used: bool) -> None:
    if value != default and not is_used:
        raise ExportError(
            f"{option} is {value}, and these --format, --bits and --target have none; leave it out"
        )


def _check_onnx(settings: ExportSettings, config: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    allowed = ONNX_BITS[settings.target]
    if settings.bits not in allowed:
        raise ExportError(
            f"--bits is {settings.bits}; ONNX for {settings.target} takes {_listed(allowed)}"
        )
    if settings.keep_8bit and settings.target not in ("cpu", "cuda"):
        raise ExportError(
            f"--keep-8bit is {settings.keep_8bit[0]!r}, and ONNX for {settings.target} has no "
            "8-bit products; leave it out"
        )
    _check_architecture(config)
    _check_attention(config)
    _check_vocabulary(config, shapes)


def _check_architecture(config: Any) -> None:
    architecture = (getattr(config, "architectures", None) or ["none"])[0]
    if architecture not in ROPES:
        raise ExportError(
            f"the architecture is {architecture}; ONNX takes {', '.join(ROPES)}. Use --format gguf "
            "or hf"
        )
    rope = rotary_parameters(config).get("rope_type", "one for each kind of layer")
    if rope not in ROPES[architecture]:
        raise ExportError(
            f"the rotary embedding of this {architecture} is {rope}; ONNX takes "
            f"{_listed(ROPES[architecture])}. Use --format gguf or hf"
        )
    original = getattr(config, "original_max_position_embeddings", None)
    if rope == "longrope" and original == config.max_position_embeddings:
        raise ExportError(
            f"the model has LongRoPE and max_position_embeddings is {original}, as its original; "
            "set rope_type to default in config.json, or give the longer context it was made for"
        )


def _check_attention(config: Any) -> None:
    context = config.max_position_embeddings
    window = getattr(config, "sliding_window", None)
    if window and window < context:
        raise ExportError(
            f"attention reaches back {window} tokens of {context} (sliding_window); ONNX takes "
            "models whose attention reaches over the whole context. Use --format gguf or hf"
        )
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rotated = int(head * rotary_parameters(config).get("partial_rotary_factor", 1.0))
    if rotated % 16:
        raise ExportError(
            f"{rotated} of the {head} dimensions of a head are rotated; ONNX Runtime takes "
            "multiples of 16 (heads of 64 or 128 at Phi-4-mini's three quarters). Use --format "
            "gguf or hf"
        )


def _check_vocabulary(config: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    """The builder takes any linear layer with as many outputs as there are tokens for the head.

    It sees fused projections whole and split.
    """
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    outputs = {
        shape[0]: name
        for name, shape in shapes.items()
        if len(shape) == 2 and not name.endswith(("embed_tokens.weight", "lm_head.weight"))
    }
    outputs |= {
        config.num_attention_heads * head: "the query projection",
        config.num_key_value_heads * head: "the key projection",
        config.intermediate_size: "the gate projection",
    }
    if config.vocab_size in outputs:
        raise ExportError(
            f"vocab_size is {config.vocab_size}, and so are the outputs of "
            f"{outputs[config.vocab_size]}, which the ONNX builder would take for the head; train "
            "with another vocabulary or width, or use --format gguf or hf"
        )


def _check_gguf(settings: ExportSettings, config: Any) -> None:
    llama_architecture(config)
    if settings.target not in ("cpu", "cuda"):
        raise ExportError(
            f"--target is {settings.target}; a GGUF is one for all devices of llama.cpp. Leave "
            "--target out"
        )


def _check_hf(settings: ExportSettings) -> None:
    if settings.target not in ("cpu", "cuda"):
        raise ExportError(f"--target is {settings.target}; transformers takes cpu and cuda")
    if settings.bits == 4 and settings.target == "cpu":
        raise ExportError(
            "--bits is 4; torchao has no 4-bit kernel for CPUs, where it would store 8 bits for "
            "each weight and be slower. Use --format onnx or gguf, or --bits 8"
        )
    if settings.keep_8bit:
        raise ExportError("--keep-8bit is for --format onnx and gguf; leave it out")


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values))
