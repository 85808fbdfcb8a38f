"""`export.json`: what an exported folder is and what it was made from.

It is written last: a folder without it is no export.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from minireason.errors import MissingError
from minireason.runfolder import read_json

MANIFEST = "export.json"

Format = Literal["onnx", "gguf", "hf"]
Bits = Literal[4, 8, 16, 32]
Target = Literal["cpu", "cuda", "directml", "npu"]


class Manifest(BaseModel):
    """`context` bounds prompt plus response, in tokens; `source` names the original and its hash.

    `quantization` holds the settings the weights were rounded with, `files` the SHA-256 of each
    file, `gate` what was measured of the export (None: nothing was).
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Format
    bits: Bits
    target: Target
    model: str
    source: dict[str, str]
    quantization: dict[str, Any]
    context: int
    longrope_regime: str | None = None
    files: dict[str, str] = {}
    versions: dict[str, str] = {}
    gate: dict[str, Any] | None = None


def is_export(folder: Path) -> bool:
    """Whether the folder holds a finished export."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Raises MissingError where the folder is no export or says what no export can be."""
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingError(f"{folder} has no {MANIFEST}: it is no export, or not a finished one")
    try:
        return Manifest.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MissingError(
            f"{path}: {where} {first['msg'].lower()}; export the model again"
        ) from error
