"""GGUF: the one file that llama.cpp, and what is built on it, runs.

The weights are written in their own precision and llama.cpp's quantiser makes the 4-bit ones of
them; `gguf_model` says what llama.cpp is told of the model, `gguf_tokenizer` of its tokenizer.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from minireason.atomic import whole_file
from minireason.errors import ExportError, MissingError
from minireason.export.settings import ExportSettings

ARCHITECTURES = {
    "Phi3ForCausalLM": "phi3",
    "LlamaForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
"""What can be exported, and llama.cpp's name for it."""

TYPES = {4: "Q4_K_M", 8: "Q8_0", 16: "F16", 32: "F32"}


def llama_architecture(config: Any) -> str:
    """llama.cpp's name for what the model is. Raises ExportError where it is not written."""
    (name,) = config.architectures or [type(config).__name__]
    if name not in ARCHITECTURES:
        raise ExportError(
            f"the architecture is {name}; GGUF takes {', '.join(ARCHITECTURES)}. Use --format hf, "
            "or llama.cpp's own converter"
        )
    return ARCHITECTURES[name]


def export_gguf(settings: ExportSettings, out: Path) -> dict[str, Any]:
    """Write `out`/model-TYPE.gguf; returns what is in it, read back from the file.

    Raises ExportError for a model that llama.cpp would not run as transformers does, before
    anything is written where that can be told, and MissingError where a package is missing.
    """
    _require_packages(settings.bits)
    from minireason.export.gguf_model import describe
    from minireason.export.gguf_tokenizer import read_tokenizer
    from minireason.export.gguf_writer import write

    model = describe(settings.source)
    tokenizer = read_tokenizer(settings.source, model.config.vocab_size)
    file = out / f"model-{TYPES[settings.bits]}.gguf"
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as partial:
        if settings.bits == 4:
            from minireason.export.gguf_quantize import quantize

            exact = out / "exact.gguf.partial"
            try:
                write(model, tokenizer, exact, model.precision)
                quantize(exact, partial, settings.keep_8bit)
            finally:
                exact.unlink(missing_ok=True)
        else:
            write(model, tokenizer, partial, TYPES[settings.bits])
        unequal = _prove(partial, settings.source)
    types = tensor_types(file)
    return {
        "file": file.name,
        "type": TYPES[settings.bits],
        "architecture": model.arch,
        "context": model.context,
        "longrope_regime": model.regime,
        "keep_8bit": list(settings.keep_8bit),
        "pre_tokenizer": tokenizer.pre,
        "tokenizes_differently": unequal,
        "counts": dict(Counter(types.values())),
        "tensors": types,
    }


def _require_packages(bits: int) -> None:
    try:
        import gguf  # noqa: F401

        if bits == 4:
            import llama_cpp  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingError(
            f"a GGUF file of {bits} bits is made with {error.name}, which is missing; "
            "pip install 'minireason[gguf]'"
        ) from error


def tensor_types(file: Path) -> dict[str, str]:
    """The type of each tensor of a GGUF file: not all of a Q4_K_M are Q4_K."""
    from gguf import GGUFReader

    return {each.name: each.tensor_type.name for each in GGUFReader(file).tensors}


def _prove(file: Path, source: Path) -> list[str] | None:
    """What llama.cpp tokenises otherwise than the tokenizer itself; None where it is not there.

    Raises ExportError where that is text the model was made for.
    """
    try:
        from minireason.export.gguf_probes import differences
    except ModuleNotFoundError:
        return None
    wrong, unequal = differences(file, source)
    if wrong:
        raise ExportError(
            f"llama.cpp would read {wrong[0]!r} as other tokens than the model's own tokenizer "
            f"({len(wrong)} of the texts tried); export the model as onnx or hf"
        )
    return unequal
