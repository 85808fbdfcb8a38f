"""The command `minireason export`: a model into files that small devices run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from minireason.errors import ExportError

if TYPE_CHECKING:
    from minireason.export.settings import ExportSettings
    from minireason.progress import Progress

WANTED = [
    *("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"),
    *("tokenizer*", "*.jinja", "special_tokens_map.json", "adapter_config.json"),
]
"""What is downloaded of a model on the hub: no pickles, no code."""

Format = Literal["onnx", "gguf", "hf"]
Bits = Literal["4", "8", "16", "32"]
Target = Literal["cpu", "cuda", "directml", "npu"]
Method = Literal["gptq", "qat"]

Model = Annotated[
    str,
    typer.Argument(
        help="A model folder, a run folder (its last rung), `tiny`, or a hub id, which is "
        "downloaded."
    ),
]
BlockSize = Annotated[int, typer.Option(help="Weights that share a scale: 16, 32, 64, 128 or 256.")]
AccuracyLevel = Annotated[
    int, typer.Option(help="4 rounds activations to 8 bits inside a product, 1 does not.")
]
Keep8Bit = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-8bit",
        help="Projection that stays at 8 bits beside 4, as `down_proj`; repeatable.",
    ),
]
Calibrate = Annotated[
    Method | None,
    typer.Option(help="Fit the weights to 4-bit rounding first, on the model's own rollouts."),
]
CalibrationData = Annotated[
    str, typer.Option(help="Questions for it: a run folder (default: the model's), or a file.")
]
CalibrationQuestions = Annotated[
    int | None,
    typer.Option(min=1, help="Most questions that are answered for it, 4 times each (500)."),
]
CalibrationSteps = Annotated[int | None, typer.Option(min=1, help="Of its training (qat; 400).")]
IsGated = Annotated[bool, typer.Option(help="Measure the export beside its original.")]
GateQuestions = Annotated[
    int, typer.Option(min=0, help="Of each embedded benchmark, for the gate (0: all).")
]
MostLoss = Annotated[
    float, typer.Option(help="Points of accuracy it may lose; ends with 1 beyond.")
]


def export(
    model: Model,
    format: Annotated[
        Format,
        typer.Option("--format", help="ONNX Runtime GenAI, llama.cpp, or transformers."),
    ],
    bits: Annotated[Bits, typer.Option(help="Of a weight; see docs/export.md.")] = "4",
    target: Annotated[Target, typer.Option(help="What it runs on; of ONNX.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write (exports/NAME-FORMAT-BITS).")
    ] = None,
    block_size: BlockSize = 32,
    accuracy_level: AccuracyLevel = 4,
    keep_8bit: Keep8Bit = None,
    calibrate: Calibrate = None,
    calibration_data: CalibrationData = "",
    calibration_questions: CalibrationQuestions = None,
    calibration_steps: CalibrationSteps = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another export that is there.")
    ] = False,
    gate: IsGated = True,
    gate_questions: GateQuestions = 100,
    most_loss: MostLoss = 2.0,
) -> None:
    """Export a model for small devices: ONNX, GGUF, or fewer bits."""
    from minireason.export.card import write_card
    from minireason.export.run import export_model, size_of
    from minireason.export.settings import ExportSettings
    from minireason.progress import Progress

    how = calibration_data, calibration_questions, calibration_steps
    if any(how) and not calibrate:
        raise ExportError("--calibration-... is for --calibrate; add it, or leave both out")
    progress = Progress()
    source, name = _source(model)
    kept = tuple(dict.fromkeys(keep_8bit or ()))
    settings = ExportSettings(source, format, _bits(bits), target, block_size, accuracy_level, kept)
    ending = f"-{calibrate}" if calibrate else ""
    folder = out or Path("exports") / f"{name.replace('/', '-')}-{format}-{bits}{ending}"
    began = time.monotonic()
    if calibrate:
        calibration = _Calibration(
            calibrate,
            calibration_data or _run_of(model, source),
            calibration_questions,
            calibration_steps,
        )
        settings = _calibrated(settings, calibration, folder, progress, name)
    export_model(settings, folder, progress, model=name, overwrite=overwrite)
    progress.say(f"{size_of(folder) / 1e6:,.1f} MB in {time.monotonic() - began:.1f} s")
    if gate:
        _gate(source, folder, gate_questions, most_loss, progress)
    else:
        write_card(folder, source)
    typer.echo(f"try it: minireason chat {folder}")


def _gate(
    source: Path, folder: Path, num_questions: int, most_loss: float, progress: Progress
) -> None:
    """Measure the export beside its original; end with 1 where it fails."""
    from rich.console import Console

    from minireason.export.gate import gate_export, stored_gate
    from minireason.export.gate_settings import GateSettings
    from minireason.export.gate_table import show_gate

    settings = GateSettings(num_questions=num_questions, most_loss=most_loss)
    gate = stored_gate(folder, settings) or gate_export(source, folder, settings, progress)
    show_gate(gate, Console())
    if gate.failures:
        raise typer.Exit(1)


def _run_of(model: str, source: Path) -> str:
    """The run folder that the model is of."""
    for folder in (Path(model).expanduser(), source.parent):
        if (folder / "questions").is_dir():
            return str(folder)
    raise ExportError(
        f"{model} is not of a run folder, whose questions it could be calibrated on; give "
        "--calibration-data RUN, or a file of questions"
    )


class _Calibration(NamedTuple):
    """What the weights are fitted on, and for how long."""

    method: Method
    data: str
    num_questions: int | None
    num_steps: int | None


def _calibrated(
    settings: ExportSettings, asked: _Calibration, folder: Path, progress: Progress, name: str
) -> ExportSettings:
    """The settings with the calibrated model, which is left beside the export, as their source."""
    from minireason.export.calibration.qat import QatSettings
    from minireason.export.calibration.rollouts import RolloutSettings
    from minireason.export.calibration.run import CalibrationSettings, calibrated

    rollouts, training = RolloutSettings(), QatSettings()
    if asked.num_questions:
        rollouts = replace(rollouts, num_questions=asked.num_questions)
    if asked.num_steps:
        training = replace(training, num_steps=asked.num_steps)
    how = CalibrationSettings(asked.method, rollouts, training)
    beside = folder.with_name(f"{folder.name}-weights")
    source = calibrated(settings, asked.data, beside, progress, how, model=name)
    return replace(settings, source=source)


def _source(model: str) -> tuple[Path, str]:
    """The folder of a model and its name."""
    from minireason.export.run import name_of
    from minireason.inference.resolve import model_folder

    found = model_folder(model)
    folder = Path(found)
    if folder.is_dir():
        return folder, name_of(folder)
    return _downloaded(found), found


def _downloaded(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(hub_id, allow_patterns=WANTED))
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        said = str(error).strip().partition("\n")[0]
        raise ExportError(f"cannot download {hub_id}: {said}; give a folder") from error


def _bits(bits: Bits) -> Literal[4, 8, 16, 32]:
    numbers: dict[Bits, Literal[4, 8, 16, 32]] = {"4": 4, "8": 8, "16": 16, "32": 32}
    return numbers[bits]
