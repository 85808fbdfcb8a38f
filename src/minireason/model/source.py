"""Where a base model lies, without loading it (and without importing torch)."""

from __future__ import annotations

from pathlib import Path

from minireason.errors import MissingError

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
