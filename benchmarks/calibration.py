"""What calibration saves at equal size: exports of one model, rounded in several ways, beside it.

    python benchmarks/calibration.py --run runs/tiny [--out exports/calibration]
        [--ways plain k_quant gptq qat] [--keep none down_proj] [--samples 8] [--seeds 0]
        [--questions 500] [--steps 400]

RUN is a finished run. The model of its last stage is exported to ONNX with 4 bits in blocks of 32,
all of it and with down_proj at 8 (`--keep`), after each way of rounding, and with 8 bits; what is
in OUT is used. `--questions` and `--steps` say how long gptq and qat are: another OUT for each.

    plain     to the nearest number, as `minireason export` does
    k_quant   ONNX Runtime's search for scales and zero points, without data; 4 bits a block more
    gptq      `--calibrate gptq`, on the model's own correct answers to the run's questions
    qat       `--calibrate qat`: the same, and then a short training under rounding

Two measures, both of the export as ONNX Runtime runs it. How near it is to the original: over the
original's correct answers to 500 other questions of the run, the divergence KL(original || export)
in nats a token and the share of tokens both put first. And how well it does: the embedded
benchmarks, `--samples` answers a question at temperature 0.6 and top-p 0.95 with the seeds of the
original's, the difference to the original paired by question.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from edge import lost, rate, samples, show

from minireason.edge.runtime import open_runtime
from minireason.export import onnx
from minireason.export.agreement import compare_positions, joined
from minireason.export.calibration.qat import QatSettings
from minireason.export.calibration.rollouts import (
    RolloutSettings,
    calibration_questions,
    own_correct_rollouts,
)
from minireason.export.calibration.run import CalibrationSettings, calibrated
from minireason.export.footprint import weight_bytes
from minireason.export.run import export_model
from minireason.export.settings import ExportSettings
from minireason.inference.resolve import model_folder
from minireason.model.load import load_model
from minireason.model.threads import use_threads
from minireason.progress import Progress
from minireason.records import Question
from minireason.train.packing import TokenSequence

KEPT: dict[str, tuple[str, ...]] = {"none": (), "down_proj": ("down_proj",)}  # at 8 bits
LONGEST = 320  # tokens of a response
OTHER = RolloutSettings(num_questions=500, num_rollouts=2, max_tokens=LONGEST, seed=1000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("exports/calibration"))
    parser.add_argument("--ways", nargs="+", default=["plain", "k_quant", "gptq", "qat"])
    parser.add_argument("--keep", nargs="+", choices=KEPT, default=[*KEPT])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--questions", type=int, default=RolloutSettings().num_questions)
    parser.add_argument("--steps", type=int, default=QatSettings().num_steps)
    arguments = parser.parse_args()
    use_threads(1)
    show(table(arguments))


def table(arguments: argparse.Namespace) -> Iterator[str]:
    model = Path(model_folder(str(arguments.run)))
    spoken, logits = original_says(model, arguments)
    asked = arguments.out / "accuracy"
    original = samples(model, asked / "original", arguments.samples)
    yield f"{arguments.samples} answers a question, {sum(map(len, logits))} tokens compared"
    columns = ["way", "weights MB", "KL, nats a token", "same first token", *original]
    yield f"| {' | '.join([*columns, 'loss, all questions'])} |"
    yield "|---" * (len(columns) + 1) + "|"
    cells = ["original, float32", f"{weight_bytes(model) / 1e6:.2f}", "", ""]
    yield f"| {' | '.join([*cells, *map(rate, original.values())])} | |"
    for name, export in exports(model, arguments):
        divergence, agreement = closeness(export, spoken, logits)
        mine = samples(export, asked / name, arguments.samples)
        cells = [name, f"{weight_bytes(export) / 1e6:.2f}"]
        cells += [f"{divergence:.5f}", f"{agreement:.2%}", *map(rate, mine.values())]
        yield f"| {' | '.join([*cells, lost(original, mine)])} |"


def exports(model: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Every way with each of what is kept, and 8 bits for all."""
    for kept in map(KEPT.__getitem__, arguments.keep):
        settings = ExportSettings(model, "onnx", keep_8bit=kept)
        for way in arguments.ways:
            for seed in arguments.seeds if way in ("gptq", "qat") else [0]:
                name = "-".join([way, *kept, *([f"seed{seed}"] if seed else [])])
                yield name, exported(settings, way, seed, arguments.out / name, arguments)
    out = arguments.out / "int8"
    export_model(ExportSettings(model, "onnx", 8), out, Progress())
    yield "int8", out


def exported(
    settings: ExportSettings, way: str, seed: int, out: Path, arguments: argparse.Namespace
) -> Path:
    if way in ("gptq", "qat"):
        rollouts = RolloutSettings(arguments.questions, max_tokens=LONGEST, seed=seed)
        training = QatSettings(arguments.steps, seed=seed)
        how = CalibrationSettings(way, rollouts, training)  # type: ignore[arg-type]
        beside = out.with_name(f"{out.name}-weights")
        calibrated(settings, str(arguments.run), beside, Progress(), how)
        settings = replace(settings, source=beside)
    with k_quant() if way == "k_quant" else nullcontext():
        export_model(settings, out, Progress())
    return out


@contextmanager
def k_quant() -> Iterator[None]:
    """The ONNX builder told to round by `k_quant`."""
    options = onnx._target_options

    def changed(*asked: Any, **named: Any) -> Any:
        told = options(*asked, **named)
        told["quant_config"]["weights"]["method"] = "k_quant"
        return told

    with mock.patch.object(onnx, "_target_options", changed):
        yield


def original_says(
    model: Path, arguments: argparse.Namespace
) -> tuple[list[TokenSequence], list[np.ndarray]]:
    """Its correct answers to questions that nothing was calibrated on, and the logits [T, V] of
    its targets."""
    language_model = load_model(str(model))
    language_model.model.eval()
    asked = other_questions(arguments)
    folder = arguments.out / "rollouts"
    own = own_correct_rollouts(language_model, asked, OTHER, folder, Progress())
    spoken = [sequence for units in own for (sequence,) in units]
    language_model.model.set_attn_implementation("sdpa")
    with torch.no_grad():
        logits = [language_model.model(torch.tensor([list(s.ids)])).logits[0] for s in spoken]
    return spoken, [
        of_targets(one.numpy(), sequence) for one, sequence in zip(logits, spoken, strict=True)
    ]


def other_questions(arguments: argparse.Namespace) -> list[Question]:
    run, count = str(arguments.run), arguments.questions
    each = [RolloutSettings(count, seed=seed) for seed in arguments.seeds]
    used = {question.id for one in each for question in calibration_questions(run, one)}
    return [q for q in calibration_questions(run, OTHER) if q.id not in used]


def of_targets(logits_TV: np.ndarray, sequence: TokenSequence) -> np.ndarray:
    """The logits that the target tokens come from."""
    return logits_TV[-sequence.num_targets - 1 : -1]


def closeness(
    export: Path, spoken: Sequence[TokenSequence], logits: Sequence[np.ndarray]
) -> tuple[float, float]:
    """The mean divergence from the original, and the share of tokens that both put first."""
    runtime = open_runtime(export, threads=1)
    parts = []
    for sequence, original_TV in zip(spoken, logits, strict=True):
        ids = list(map(int, sequence.ids))
        exported_TV = of_targets(runtime.logits(ids), sequence)
        parts.append(compare_positions(original_TV, exported_TV, ids[-sequence.num_targets :]))
    runtime.close()
    every = joined(parts)
    return float(every.kl.mean()), float(every.is_agreed.mean())


if __name__ == "__main__":
    main()
