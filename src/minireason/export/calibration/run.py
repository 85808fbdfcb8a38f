"""A model made ready for rounding: a folder of float weights that plain rounding leaves alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from minireason.errors import ExportError
from minireason.evaluate.settings import weights_hash
from minireason.export.calibration.closeness import closeness, in_batches
from minireason.export.calibration.layerwise import quantize_layers
from minireason.export.calibration.places import Places, round_weights, rounded_places
from minireason.export.calibration.qat import QatSettings, train_aware
from minireason.export.calibration.report import REPORT, grid_of
from minireason.export.calibration.rollouts import (
    RolloutSettings,
    calibration_questions,
    own_correct_rollouts,
)
from minireason.export.checks import check
from minireason.export.run import name_of
from minireason.export.settings import ExportSettings
from minireason.model.load import LanguageModel, choose_device, load_model, save_model
from minireason.progress import Progress
from minireason.runfolder import read_json, remove, write_json
from minireason.train.loop import Watcher
from minireason.train.packing import Unit, unit_lengths

WORK = "work"
Method = Literal["gptq", "qat"]


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """`qat` is GPTQ and then training under rounding; GPTQ alone reads `gptq_tokens` at most.

    The responses to one of `hold_out` questions are kept to measure on.
    """

    method: Method = "qat"
    rollouts: RolloutSettings = field(default_factory=RolloutSettings)
    training: QatSettings = field(default_factory=QatSettings)
    gptq_tokens: int = 50_000
    hold_out: int = 10


def calibrated(
    settings: ExportSettings,
    questions: str,
    out: Path,
    progress: Progress,
    calibration: CalibrationSettings | None = None,
    *,
    model: str = "",
) -> Path:
    """Write a model folder whose export by plain rounding is nearer to the original.

    `questions` is a run folder or a file of training questions, which the model answers itself; its
    correct responses are what it is calibrated on. `model` names the original. An interrupted call
    goes on where it was, and what is there already is not made again. Returns `out`. Raises
    ExportError for an export that has another grid and for an `out` that is something else, and
    DataError for questions of a benchmark or none that the model answers correctly.
    """
    _require_grid(settings)
    check(settings)  # not only when the work is done
    calibration = calibration or CalibrationSettings()
    made_with = _made_with(settings, questions, calibration, model)
    if _is_made(out, made_with):
        progress.say(f"{out} is there already, calibrated on the same with the same settings")
        return out
    asked = calibration_questions(questions, calibration.rollouts)
    language_model = load_model(str(settings.source), choose_device("auto"))
    original: Any = language_model.model.eval()
    (out / WORK).mkdir(parents=True, exist_ok=True)
    write_json(out / WORK / REPORT, made_with)
    own = own_correct_rollouts(
        language_model, asked, calibration.rollouts, out / WORK / "rollouts", progress
    )
    units, held_out = _parted(own, calibration.hold_out)
    rounded = copy.deepcopy(original)
    places = rounded_places(rounded, settings)
    _calibrate(rounded, original, places, units, calibration, out / WORK, progress)
    save_model(LanguageModel(rounded, language_model.tokenizer), out)
    measured = _measured(settings, original, rounded, held_out)
    counts = {"num_rollouts": len(units), "num_tokens": int(unit_lengths(units).sum())}
    write_json(out / REPORT, made_with | counts | {"num_held_out": len(held_out)} | measured)
    remove(out / WORK)
    return out


def _require_grid(settings: ExportSettings) -> None:
    """Raises ExportError for an export that rounds otherwise than `grid.py` says."""
    if settings.format != "onnx" or settings.bits != 4:
        raise ExportError(
            f"this is an export as {settings.format} with {settings.bits} bits, and calibration is "
            "for onnx with 4: 8 bits lose next to nothing, and the others round by rules of their "
            "own; leave out --calibrate, or export to onnx with 4 bits"
        )
    if settings.target != "cpu":
        raise ExportError(
            f"this is an export for {settings.target}, whose scales are float16, and calibration "
            "knows the float32 scales of cpu alone; leave out --calibrate"
        )


def _parted(own: Sequence[Sequence[Unit]], hold_out: int) -> tuple[list[Unit], list[Unit]]:
    """What is learnt from and what is measured on, by question; of one question alone, the same."""
    measured = list(own[::hold_out])
    learnt = [units for i, units in enumerate(own) if i % hold_out] or measured
    return [u for units in learnt for u in units], [u for units in measured for u in units]


def _calibrate(
    model: Any,
    teacher: Any,
    places: Places,
    units: Sequence[Unit],
    calibration: CalibrationSettings,
    work: Path,
    progress: Progress,
) -> None:
    with progress.track("GPTQ") as advance:
        batches = [b.to(model.device) for b in in_batches(_first(units, calibration.gptq_tokens))]
        quantize_layers(model, batches, places, advance)
    if calibration.method == "qat":
        with progress.track("QAT") as advance:
            watcher = Watcher(
                lambda done, total, metrics, timing: advance(
                    done, total, f"{metrics['loss']:.5f} nats from the original"
                )
            )
            train_aware(model, teacher, units, places, calibration.training, work, watcher)


def _first(units: Sequence[Unit], num_tokens: int) -> list[Unit]:
    """The first units of so many tokens together, at least one."""
    ends = unit_lengths(units).cumsum()
    return list(units[: max(1, int((ends <= num_tokens).sum()))])


def _measured(
    settings: ExportSettings, original: Any, rounded: Any, held_out: Sequence[Unit]
) -> dict[str, Any]:
    """How near plain rounding is to the original, and how near this."""
    batches = in_batches(held_out)
    plain = copy.deepcopy(original)
    round_weights(rounded_places(plain, settings))
    return {
        "plain": asdict(closeness(original, plain, batches)),
        "calibrated": asdict(closeness(original, rounded, batches)),
    }


def _made_with(
    settings: ExportSettings, questions: str, calibration: CalibrationSettings, model: str
) -> dict[str, Any]:
    """What must be the same for a calibration that is there to be this one."""
    return {
        "original": {
            "model": model or name_of(settings.source),
            "weights": weights_hash(settings.source),
        },
        "grid": grid_of(settings),
        "questions": _named(questions),
        "settings": asdict(calibration),
    }


def _named(questions: str) -> str:
    """Where the questions are from, without the path: exports and their cards are for others."""
    path = Path(questions).expanduser()
    return path.resolve().name if path.exists() else questions


def _is_made(out: Path, made_with: Mapping[str, Any]) -> bool:
    """Whether the calibration is there; raises ExportError where something else is."""
    places = (out / REPORT, out / WORK / REPORT)
    found = next((path for path in places if path.is_file()), None)
    if found is None and out.exists() and any(out.iterdir()):
        raise ExportError(f"{out} exists and is no calibrated model; give another, or delete it")
    if found is None:
        return False
    made = read_json(found)
    if changes := [name for name, value in made_with.items() if made.get(name) != value]:
        raise ExportError(
            f"{out} was calibrated with another {' and another '.join(changes)}; give another "
            "folder, put the old value back, or delete it"
        )
    return found.parent == out
