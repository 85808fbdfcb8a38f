"""A model made ready for rounding: a folder of float weights that plain rounding leaves alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from minireason.errors import DataError
from minireason.export.calibration.distilled import divergence
from minireason.export.calibration.layerwise import quantize_layers
from minireason.export.calibration.places import Places, round_weights, rounded_places
from minireason.export.calibration.qat import QatSettings, train_aware
from minireason.export.calibration.rollouts import (
    RolloutSettings,
    calibration_questions,
    own_correct_rollouts,
)
from minireason.export.settings import ExportSettings
from minireason.model.head import declared_form
from minireason.model.load import LanguageModel, choose_device, load_model, save_model
from minireason.progress import Progress
from minireason.runfolder import remove, write_json
from minireason.train.forward import target_states
from minireason.train.loop import Watcher
from minireason.train.packing import MicroBatch, Unit, collate, pack, unit_lengths

REPORT = "calibration.json"
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


@dataclass(frozen=True, slots=True)
class Closeness:
    """How near a rounded model is to the unrounded one over held-out response tokens.

    `divergence` is KL(unrounded || rounded) in nats a token; `agreement` the share of tokens for
    which both put the same one first.
    """

    divergence: float
    agreement: float


def calibrated(
    settings: ExportSettings,
    questions: str,
    out: Path,
    progress: Progress,
    calibration: CalibrationSettings,
) -> Path:
    """Write a model folder whose export by plain rounding is nearer to the original.

    `questions` is a run folder or a file of training questions, which the model answers itself; its
    correct responses are what it is calibrated on. `calibration.json` says how near plain rounding
    comes and how near this does. An interrupted call goes on where it was. Returns `out`. Raises
    DataError where nothing is to be rounded, for questions of a benchmark, and where the model
    answers none correctly.
    """
    if settings.bits not in (4, 8):
        raise DataError(f"bits is {settings.bits}; only 4 and 8 round, so calibrate one of those")
    work = out / WORK
    language_model = load_model(str(settings.source), choose_device("auto"))
    language_model.model.eval()
    asked = calibration_questions(questions, calibration.rollouts)
    own = own_correct_rollouts(
        language_model, asked, calibration.rollouts, work / "rollouts", progress
    )
    units, held_out = _parted(own, calibration.hold_out)
    rounded = copy.deepcopy(language_model.model)
    places = rounded_places(rounded, settings)
    _calibrate(rounded, language_model.model, places, units, calibration, work, progress)
    save_model(LanguageModel(rounded, language_model.tokenizer), out)
    _report(settings, language_model.model, rounded, units, held_out, calibration, out)
    remove(work)
    return out


@torch.no_grad()
def closeness(original: Any, other: Any, batches: Sequence[MicroBatch]) -> Closeness:
    """How near a model is to the original over the target tokens."""
    form = declared_form(original.config)
    head, other_head = (model.get_output_embeddings().weight for model in (original, other))
    total = num_same = num_tokens = 0.0
    for batch in batches:
        batch = batch.to(original.device)
        states_ND, others_ND = (target_states(model, batch) for model in (original, other))
        total += float(divergence(states_ND, others_ND, head, other_head, form).sum())
        is_same_N = (states_ND @ head.T).argmax(1) == (others_ND @ other_head.T).argmax(1)
        num_same += int(is_same_N.sum())
        num_tokens += len(is_same_N)
    return Closeness(total / num_tokens, num_same / num_tokens)


def in_batches(units: Sequence[Unit], num_tokens: int = 2048) -> list[MicroBatch]:
    """The units in micro-batches of one row each, of `num_tokens` tokens or the longest unit's."""
    lengths = unit_lengths(units)
    rows = pack(lengths, max(num_tokens, int(lengths.max())))
    return [collate([[units[i] for i in row]]) for row in rows]


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


def _report(
    settings: ExportSettings,
    original: Any,
    rounded: Any,
    units: Sequence[Unit],
    held_out: Sequence[Unit],
    calibration: CalibrationSettings,
    out: Path,
) -> None:
    batches = in_batches(held_out)
    plain = copy.deepcopy(original)
    round_weights(rounded_places(plain, settings))
    write_json(
        out / REPORT,
        {
            "settings": asdict(calibration),
            "num_rollouts": len(units),
            "num_tokens": int(unit_lengths(units).sum()),
            "num_held_out": len(held_out),
            "plain": asdict(closeness(original, plain, batches)),
            "calibrated": asdict(closeness(original, rounded, batches)),
        },
    )
