"""Assembling a folder for the hub: whole and checked, or not there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from minireason.edge.manifest import Manifest, read_manifest
from minireason.errors import PublishError
from minireason.publish.checks import check_folder
from minireason.publish.exports import described, place_of
from minireason.publish.files import all_files, export_files, model_files
from minireason.report.card_facts import CARD
from minireason.report.model_card import (
    Exported,
    Publication,
    is_ours,
    is_stage,
    model_card,
    read_card,
)
from minireason.runfolder import remove, write_text


@dataclass(frozen=True, slots=True)
class Publishing:
    """What is published: a model folder and exports of it, to `out`, under a licence and a name."""

    model: Path
    out: Path
    exports: tuple[Path, ...] = ()
    license: str = ""
    repo: str = ""


def publication_name(model: Path, repo: str) -> str:
    """The name of a published folder: the repository's, a run's with its stage, or the folder's."""
    folder = model.resolve()
    own = f"{folder.parent.name}-{folder.name}" if is_stage(folder) else folder.name
    return repo.rpartition("/")[2] or own


def prepare(publishing: Publishing) -> list[str]:
    """Assemble and check the folder; what is wrong with it, and only if nothing is, it is there.

    A folder that was there is replaced, but for a card that somebody has edited. Raises
    PublishError where it holds what would be lost.
    """
    out = publishing.out
    if out.resolve() == publishing.model.resolve():
        raise PublishError(f"{out} is the model itself; give another --out")
    partial, old = (out.with_name(f"{out.name}{end}.partial") for end in ("", ".old"))
    if old.exists() and not out.exists():  # stopped between two names
        old.rename(out)
    for path in (partial, old):
        remove(path)
    try:
        _assemble(publishing, partial)
        _refuse_strangers(out, partial)
        failures = check_folder(partial, publishing.license)
        if not failures:
            _replace(out, partial, old)
    finally:
        remove(partial)
    return failures


def _assemble(publishing: Publishing, folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise PublishError(f"cannot write to {folder.parent}: {error.strerror}") from error
    for path in model_files(publishing.model):
        if path.name != CARD:
            shutil.copyfile(path, folder / path.name)
    exports = [_add_export(folder, export) for export in publishing.exports]
    write_text(folder / CARD, _card(publishing, exports))


def _add_export(folder: Path, export: Path) -> Exported:
    manifest: Manifest = read_manifest(export)
    place = place_of(manifest, export.resolve().name)
    if (folder / place).exists():
        raise PublishError(f"two exports would lie in {place}; rename the folder {export}")
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in manifest.files):
        raise PublishError(f"the manifest of {export} names files outside of it")
    size = 0
    for name in export_files(manifest):
        if (export / name).is_file():  # the checks name what is missing
            (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(export / name, folder / place / name)
            size += (export / name).stat().st_size
    return described(place, manifest, size)


def _card(publishing: Publishing, exports: list[Exported]) -> str:
    """An edited card as it is, the published folder's before the model's; else one written anew.

    The card of a stage that was taken out of its run tells more than could be written now.
    """
    model = publishing.model
    for path in (publishing.out / CARD, model / CARD):
        text = read_card(path)
        if text and not is_ours(text):
            return text
    if (text := read_card(model / CARD)) and not is_stage(model.resolve()):
        return text
    publication = Publication(publishing.repo, publishing.license, exports)
    return model_card(model.resolve(), publication)


def _refuse_strangers(out: Path, partial: Path) -> None:
    strangers = sorted(set(all_files(out)) - set(all_files(partial))) if out.exists() else []
    if strangers:
        raise PublishError(
            f"{out} holds {strangers[0]}, which is no part of what is published now; "
            "delete the folder, or give another --out"
        )


def _replace(out: Path, partial: Path, old: Path) -> None:
    if out.exists():
        out.rename(old)
    partial.rename(out)
    remove(old)
