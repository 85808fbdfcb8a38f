"""Making an export: checked first, built beside its place, and moved there when it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minireason.edge.manifest import MANIFEST, Manifest, is_export, read_manifest
from minireason.errors import ExportError
from minireason.evaluate.settings import weights_hash
from minireason.export.calibration.report import calibration_of
from minireason.export.checks import check
from minireason.export.settings import ExportSettings
from minireason.export.source import CARRIED, longest_context, read_config
from minireason.inference.resolve import RUNGS
from minireason.model.rope import REGIME_KEY
from minireason.progress import Progress
from minireason.runfolder import file_hash, remove, versions, write_json

MADE_WITH = ("onnxruntime-genai", "onnxruntime", "onnx", "gguf", "llama-cpp-python", "torchao")
SETTINGS = "settings"
"""Under `quantization`: what was asked for, beside what was made of it."""

REPLACED = ".replaced.partial"


def export_model(
    settings: ExportSettings,
    out: Path,
    progress: Progress,
    *,
    model: str = "",
    overwrite: bool = False,
) -> Manifest:
    """Export a model into a folder, or find that it is there already; return its manifest.

    `model` names the original (`name_of` its folder). What is at `out` stays until the
    new export is whole. Raises ExportError for what cannot be exported, and for an `out` that is
    something else, unless `overwrite` lets it be another export.
    """
    check(settings)
    wanted = _wanted(settings, model or name_of(settings.source))
    if (out.exists() and not overwrite) or out.is_file():
        made = _made(out, wanted)
        progress.say(f"{out} is there already, made of the same model with the same settings")
        return made
    if overwrite and out.exists() and not is_export(out):
        raise ExportError(f"{out} is no export and --overwrite would delete it; give another --out")
    place = out.resolve()  # also of `.`, and of a link, which stays
    partial, replaced = (place.with_name(place.name + end) for end in (".partial", REPLACED))
    remove(partial)
    remove(replaced)
    try:
        _make_folder(partial)
        progress.say(f"exporting {wanted.model} as {settings.format}, {settings.bits} bits ...")
        facts = _build(settings, partial)
        made = _finish(settings, partial, wanted, facts)
    except BaseException:  # Ctrl-C too
        remove(partial)
        raise
    if place.exists():
        place.rename(replaced)
    partial.rename(place)
    remove(replaced)
    return made


def name_of(folder: Path) -> str:
    """What a model is called: its folder, and the run's before it where it is a rung of one."""
    folder = folder.resolve()
    name = f"{folder.parent.name}/{folder.name}" if folder.name in RUNGS else folder.name
    return name.strip("/")


def size_of(out: Path) -> int:
    """Bytes of an export, without what its gate keeps beside it."""
    return sum(path.stat().st_size for path in out.iterdir() if path.is_file())


def _wanted(settings: ExportSettings, model: str) -> Manifest:
    asked = asdict(settings)
    of_weights = {name: asked[name] for name in ("block_size", "accuracy_level", "keep_8bit")}
    config = read_config(settings.source)
    source = {"model": model, "weights": weights_hash(settings.source)}
    quantization: dict[str, Any] = {SETTINGS: of_weights | {"keep_8bit": list(settings.keep_8bit)}}
    if calibration := calibration_of(settings):
        # what it is measured beside and said to be made of is the model before calibration
        source |= calibration["original"] | {"calibrated": source["weights"]}
        quantization["calibration"] = calibration
    return Manifest(
        format=settings.format,
        bits=settings.bits,
        target=settings.target,
        model=source["model"],
        source=source,
        quantization=quantization,
        context=longest_context(config),
        longrope_regime=getattr(config, REGIME_KEY, None),
    )


def _made(out: Path, wanted: Manifest) -> Manifest:
    """What is there, if it is what is wanted."""
    if not is_export(out):
        raise ExportError(
            f"{out} exists and is no finished export; give another --out, or delete it"
        )
    made = read_manifest(out)
    old, new = _compared(made), _compared(wanted)
    changes = [
        f"{name} was {old[name]}, is now {new[name]}" for name in new if old[name] != new[name]
    ]
    if changes:
        raise ExportError(
            f"{out} is another export: {'; '.join(changes)}. Give another --out, or --overwrite"
        )
    if lost := [name for name in made.files if not (out / name).is_file()]:
        raise ExportError(
            f"{out} is an export that has lost its {lost[0]}; --overwrite makes it anew"
        )
    return made


def _compared(manifest: Manifest) -> dict[str, Any]:
    settings: Mapping[str, Any] = manifest.quantization.get(SETTINGS, {})
    return {
        "format": manifest.format,
        "bits": manifest.bits,
        "target": manifest.target,
        "weights": manifest.source.get("weights", "")[:12],
        "calibrated weights": manifest.source.get("calibrated", "")[:12] or None,
        "block size": settings.get("block_size"),
        "accuracy level": settings.get("accuracy_level"),
        "kept at 8 bits": sorted(settings.get("keep_8bit", ())),
    }


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ExportError(
            f"cannot write to {folder}: {error.strerror}; give another --out"
        ) from error


def _build(settings: ExportSettings, out: Path) -> dict[str, Any]:
    if settings.format == "onnx":
        from minireason.export.onnx import export_onnx

        return export_onnx(settings, out)
    if settings.format == "gguf":
        from minireason.export.gguf import export_gguf

        return export_gguf(settings, out)
    from minireason.export.hf import export_hf

    return export_hf(settings, out)


def _finish(
    settings: ExportSettings, out: Path, wanted: Manifest, facts: dict[str, Any]
) -> Manifest:
    """Put the tokenizer beside the weights, and write the manifest."""
    for name in CARRIED:
        if (settings.source / name).is_file():
            shutil.copyfile(settings.source / name, out / name)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    made = wanted.model_copy(
        update={
            "quantization": facts | wanted.quantization,
            "files": {str(path.relative_to(out)): file_hash(path) for path in files},
            "versions": versions(*MADE_WITH),
        }
    )
    write_json(out / MANIFEST, made.model_dump(mode="json"))
    return made
