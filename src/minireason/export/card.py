"""The card of an exported folder: its README.md, in the form the Hugging Face hub reads.

https://huggingface.co/docs/hub/model-cards. Everything in it stands in `export.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData

from minireason.edge.manifest import Manifest, read_manifest
from minireason.export.gate_result import Gate
from minireason.export.gate_table import card_section
from minireason.markdown import markdown_environment
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


def write_card(folder: Path, source: Path | None = None) -> None:
    """Write the card of an exported folder from its manifest; one without our mark stays.

    `source` is the original's folder, whose licence and place on the hub go on holding; without it
    they are those of the card that is there.
    """
    path = folder / CARD
    if path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    write_text(path, export_card(folder, source))


def export_card(folder: Path, source: Path | None = None) -> str:
    """The text of the card."""
    manifest = read_manifest(folder)
    gate = Gate.model_validate(manifest.gate) if manifest.gate else None
    template = markdown_environment("export").get_template("card.md")
    return template.render(
        front_matter=_front_matter(manifest, folder, source).to_yaml(),
        made=manifest,
        form=FORMS[manifest.format],
        runtime=RUNTIMES[manifest.format],
        weights=next((path.name for path in sorted(folder.glob("*.gguf"))), ""),
        quantization=_quantization(manifest.quantization),
        gate=gate,
        section=card_section(gate) if gate else "",
        mark=MARK,
    )


def _front_matter(manifest: Manifest, folder: Path, source: Path | None) -> ModelCardData:
    is_rounded = manifest.bits < 16
    earlier = _data(folder)
    known = earlier if source is None else _data(source)
    base = earlier.get("base_model") if source is None else _hub_id(manifest.model, source)
    return ModelCardData(
        base_model=base,
        base_model_relation="quantized" if base and is_rounded else None,
        license=known.get("license"),
        library_name=LIBRARIES[manifest.format],
        pipeline_tag="text-generation",
        tags=[
            *("minireason", "math", "reasoning", manifest.format, f"{manifest.bits}-bit"),
            *(["quantized"] if is_rounded else []),
        ],
    )


def _hub_id(model: str, source: Path) -> str | None:
    """The model's name where it was downloaded: a folder's name is none on the hub."""
    is_downloaded = f"models--{model.replace('/', '--')}" in source.absolute().parts
    return model if is_downloaded else None


def _data(folder: Path) -> dict[str, Any]:
    """The front matter of a folder's card; empty where it has none that can be read."""
    path = folder / CARD
    try:
        return ModelCard.load(path).data.to_dict() if path.is_file() else {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def _quantization(made: Mapping[str, Any]) -> dict[str, str]:
    """Name and value of what was rounded and how; of a calibration what it was and what it did."""
    rounding = {name: value for name, value in made.items() if name != "calibration"}
    rows = {name: _shown(value) for name, value in _flat(rounding)}
    if (found := made.get("calibration")) is None:
        return rows
    before, after = (found[name]["divergence"] for name in ("plain", "calibrated"))
    held_out = f"KL from the original, nats a token, {found['num_held_out']} held-out responses"
    return rows | {
        "calibration": f"{found['settings']['method']}, on {found['num_rollouts']:,} of the "
        f"original's own correct responses ({found['num_tokens']:,} tokens) to "
        f"`{found['questions']}`",
        held_out: f"{before:.5f} by plain rounding, {after:.5f} calibrated",
    }


def _flat(quantization: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in quantization.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
