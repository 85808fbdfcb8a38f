"""Where a base model lies, without loading it (and without importing torch)."""

from __future__ import annotations

import json
from pathlib import Path

from minireason.errors import MissingError
from minireason.model.rope import REGIME_KEY, regime

TINY_FOLDER = Path(__file__).parent / "tiny"


def local_folder(base: str) -> Path | None:
    """The folder of a recipe's `model.base`, or None for a hub id (`owner/name`)."""
    path = TINY_FOLDER if base == "tiny" else Path(base).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise MissingError(f"model folder {path} has no config.json: is it a model?")
        return path
    if base.startswith((".", "/", "~")) or base.count("/") != 1:
        raise MissingError(
            f"model folder {base} does not exist; give `tiny`, a folder or a hub id owner/name"
        )
    return None


def rope_regime(base: str, rope: str, context: int) -> str:
    """What a recipe makes of a base's LongRoPE, empty where it has none: part of what a step reads.

    Of a hub id, whose config is not here, it is what the choice depends on.
    """
    folder = local_folder(base)
    if folder is None:
        return rope if rope != "auto" else f"auto for {context}"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError:  # loading it says what is wrong
        return ""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if "longrope" not in (found.get("rope_type"), found.get("type")):
        return ""
    original = found.get("original_max_position_embeddings")
    original = original or config.get("original_max_position_embeddings", 0)
    return rope if rope != "auto" else regime(config.get(REGIME_KEY), original, context)
