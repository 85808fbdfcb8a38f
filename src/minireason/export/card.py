"""The card of an exported folder: its README.md, in the form the Hugging Face hub reads.

https://huggingface.co/docs/hub/model-cards. Everything in it stands in `export.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from minireason.edge.manifest import Manifest, read_manifest
from minireason.export.gate_result import Gate
from minireason.export.gate_table import card_section
from minireason.runfolder import write_text

CARD = "README.md"
MARK = "<!-- Written by minireason from export.json, and again with each gate; without this line it"
MARK += " is left alone. -->"
LIBRARIES = {"onnx": "onnxruntime-genai", "gguf": "gguf", "hf": "transformers"}
FORMS = {"onnx": "ONNX", "gguf": "GGUF", "hf": "torchao weights"}
RUNTIMES = {
    "onnx": "[ONNX Runtime GenAI](https://github.com/microsoft/onnxruntime-genai)",
    "gguf": "[llama.cpp](https://github.com/ggml-org/llama.cpp)",
    "hf": "[transformers](https://github.com/huggingface/transformers)",
}


def write_card(folder: Path) -> None:
    """Write the card of an exported folder from its manifest; one without our mark stays."""
    path = folder / CARD
    if path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    write_text(path, export_card(folder))


def export_card(folder: Path) -> str:
    """The text of the card."""
    manifest = read_manifest(folder)
    environment = Environment(
        loader=PackageLoader("minireason", "export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    gate = Gate.model_validate(manifest.gate) if manifest.gate else None
    return environment.get_template("card.md").render(
        front_matter=_front_matter(manifest).to_yaml(),
        made=manifest,
        form=FORMS[manifest.format],
        runtime=RUNTIMES[manifest.format],
        weights=next((path.name for path in sorted(folder.glob("*.gguf"))), ""),
        quantization={name: _shown(value) for name, value in manifest.quantization.items()},
        gate=gate,
        section=card_section(gate) if gate else "",
        mark=MARK,
    )


def _front_matter(manifest: Manifest) -> ModelCardData:
    is_rounded = manifest.bits < 16
    tags = ["minireason", "math", "reasoning", manifest.format]
    return ModelCardData(
        base_model=manifest.model if _is_hub_id(manifest.model) else None,
        base_model_relation="quantized" if is_rounded else None,
        license=_license(manifest),
        library_name=LIBRARIES[manifest.format],
        pipeline_tag="text-generation",
        tags=[*tags, f"{manifest.bits}-bit", *(["quantized"] if is_rounded else [])],
    )


def _is_hub_id(model: str) -> bool:
    return model.count("/") == 1 and not model.startswith((".", "/", "~"))


def _license(manifest: Manifest) -> str | None:
    """The licence that the original's own card names, where that is still there."""
    cards = [Path(place) / CARD for place in manifest.source.values()]
    try:
        return next((ModelCard.load(c).data.license for c in cards if c.is_file()), None)
    except (OSError, ValueError, yaml.YAMLError):  # a card that says nothing readable
        return None


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
