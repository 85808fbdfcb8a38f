"""Which files a published model has, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from minireason.edge.manifest import MANIFEST, Manifest, read_manifest
from minireason.errors import MissingError
from minireason.report.card_facts import CARD

MODEL_FILES = (
    *("config.json", "generation_config.json", "chat_template.jinja"),
    *("*.safetensors", "*.safetensors.index.json"),
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt"),
    *("README.md", "LICENSE*", "NOTICE*"),
)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy")
_PICKLE_STARTS = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(2, 6)))


def model_files(folder: Path) -> list[Path]:
    """What of a model folder is published: not what training left beside it."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in MODEL_FILES)
    )


def export_files(manifest: Manifest) -> list[str]:
    """The names of an export's files, with the card and the manifest, which it does not list."""
    return [*sorted(manifest.files), CARD, MANIFEST]


def exports_in(folder: Path) -> dict[Path, Manifest]:
    """The finished exports inside a published folder, by their place in it."""
    found = {}
    for path in sorted(folder.rglob(MANIFEST)):
        try:
            found[path.parent.relative_to(folder)] = read_manifest(path.parent)
        except MissingError:  # its files are then no part of any export
            continue
    return found


def all_files(folder: Path) -> list[Path]:
    """Every file of a folder by its place in it; a link is one, whatever it leads to."""
    return sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def check_files(folder: Path) -> Iterator[str]:
    """No links, nothing pickled, hidden, empty or unknown."""
    known = {Path(path.name) for path in model_files(folder)}
    for place, manifest in exports_in(folder).items():
        known |= {place / name for name in export_files(manifest)}
    for file in all_files(folder):
        path = folder / file
        if path.is_symlink():
            yield f"{file} is a symbolic link; the hub needs the file itself"
        elif any(part.startswith(".") for part in file.parts):
            yield f"{file} is hidden; delete it"
        elif _is_pickled(path):
            yield f"{file} may be pickled, which can run code on loading; save it as safetensors"
        elif file not in known:
            yield f"{file} is no file of a published model; delete it"
        elif path.stat().st_size == 0:
            yield f"{file} is empty"


def _is_pickled(path: Path) -> bool:
    if path.suffix in PICKLES:
        return True
    with path.open("rb") as file:
        return file.read(4).startswith(_PICKLE_STARTS)
