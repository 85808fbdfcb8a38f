"""Exports beside a published model: where they go, what the card says of them, their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from minireason.edge.manifest import Manifest
from minireason.evaluate.settings import weights_hash
from minireason.export.card import FORMS, RUNTIMES
from minireason.export.gate_result import Gate
from minireason.export.gate_table import card_section
from minireason.publish.files import exports_in
from minireason.report.model_card import Exported
from minireason.runfolder import file_hash


def place_of(manifest: Manifest, name: str) -> Path:
    """Where in the published folder an export of that folder name goes."""
    return Path(name) if manifest.format == "hf" else Path(manifest.format) / name


def described(place: Path, manifest: Manifest, size: int) -> Exported:
    """What the card says of an export; `size` in bytes."""
    summary = (
        f"{FORMS[manifest.format]} of {manifest.bits} bits for {RUNTIMES[manifest.format]}, made "
        f"for `{manifest.target}`; {size / 1e6:,.1f} MB; {manifest.context:,} tokens of context. "
        "Its `export.json` says how it was made."
    )
    gate = card_section(Gate.model_validate(manifest.gate)) if manifest.gate else ""
    return Exported(place.as_posix(), summary, gate)


def check_exports(folder: Path) -> Iterator[str]:
    """Every file as its manifest has it, and made from the model that is published."""
    weights = weights_hash(folder)
    for place, manifest in exports_in(folder).items():
        if manifest.source.get("weights") != weights:
            yield f"{place} was exported from another model than this one; export the model again"
        if not manifest.files:
            yield f"{place} lists no files in its manifest; export the model again"
        for name, expected in sorted(manifest.files.items()):
            path = folder / place / name
            if not path.is_file():
                yield f"{place} lacks {name}, which its manifest lists; export the model again"
            elif file_hash(path) != expected:
                yield f"{place / name} is not as it was exported; export the model again"
