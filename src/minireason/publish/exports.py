"""Exports beside a published model: where they go, what the card says of them, their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from minireason.edge.manifest import Manifest
from minireason.publish.files import exports_in
from minireason.report.model_card import Exported
from minireason.runfolder import file_hash


def place_of(manifest: Manifest, name: str) -> Path:
    """Where in the published folder an export of that folder name goes."""
    return Path(name) if manifest.format == "hf" else Path(manifest.format) / name


def described(place: Path, manifest: Manifest, size: int) -> Exported:
    """What the card says of an export; `size` in bytes."""
    how = {"onnx": "ONNX Runtime GenAI", "gguf": "llama.cpp", "hf": "transformers"}
    settings = ", ".join(f"{key} {value}" for key, value in manifest.quantization.items())
    summary = f"{manifest.bits}-bit weights for {how[manifest.format]} on {manifest.target}"
    parts = [summary, f"{size / 1e6:,.1f} MB", f"{manifest.context:,} tokens of context", settings]
    text = "; ".join(part for part in parts if part)
    return Exported(place.as_posix(), f"{text}.", gate_table(manifest.gate or {}))


def gate_table(gate: Mapping[str, Any]) -> str:
    """What was measured of an export beside its original, as Markdown; empty if nothing was."""
    rows = [f"| {name} | {value} |" for name, value in _flat(gate)]
    return "\n".join(["| measured | value |", "|---|---|", *rows]) if rows else ""


def check_exports(folder: Path, weights: Set[str]) -> Iterator[str]:
    """Every file as its manifest has it, and made from the weights that are published."""
    for place, manifest in exports_in(folder).items():
        if not weights & set(manifest.source.values()):
            yield f"{place} was exported from other weights than these; export the model again"
        if not manifest.files:
            yield f"{place} lists no files in its manifest; export the model again"
        for name, expected in sorted(manifest.files.items()):
            path = folder / place / name
            if not path.is_file():
                yield f"{place} lacks {name}, which its manifest lists; export the model again"
            elif file_hash(path) != expected:
                yield f"{place / name} is not as it was exported; export the model again"


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{name} {key}".strip().replace("_", " "))
    elif isinstance(value, float):
        yield name, f"{value:.4g}"
    elif isinstance(value, str | int):
        yield name, str(value).replace("|", "\\|")
