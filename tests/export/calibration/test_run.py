"""A whole calibration of a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from minireason.errors import DataError
from minireason.export.calibration.places import rounded_places
from minireason.export.calibration.qat import QatSettings
from minireason.export.calibration.rollouts import RolloutSettings
from minireason.export.calibration.run import (
    REPORT,
    WORK,
    CalibrationSettings,
    Method,
    calibrated,
)
from minireason.export.settings import ExportSettings
from minireason.model.load import load_model
from minireason.problems.procedural import generate_questions
from minireason.progress import Progress
from minireason.records import Question, write_records
from minireason.runfolder import read_json

ROLLOUTS = RolloutSettings(num_questions=16, num_rollouts=6, max_tokens=24, temperature=1.0)
QUIET = Progress(is_quiet=True)


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "questions.parquet"
    asked = generate_questions(16, 0, "train", ["middle"], choice_fraction=1.0)
    write_records(path, asked, Question)
    return str(path)


@pytest.mark.parametrize("method", ["gptq", "qat"])
def test_a_calibrated_model_stays_as_it_is_under_rounding_and_is_nearer_to_the_original(
    method: Method, base: Path, questions: str, tmp_path: Path
) -> None:
    settings = ExportSettings(base, "onnx")
    training = QatSettings(num_steps=20, row_length=256)
    out = calibrated(
        settings,
        questions,
        tmp_path / "out",
        QUIET,
        CalibrationSettings(method, ROLLOUTS, training, hold_out=4),
    )
    report = read_json(out / REPORT)
    assert report["calibrated"]["divergence"] < report["plain"]["divergence"]
    assert report["num_rollouts"] > report["num_held_out"] > 0
    model = load_model(str(out)).model
    for module, grid in rounded_places(model, settings).items():
        assert torch.equal(grid.rounded(module.weight), module.weight)
    assert not (out / WORK).exists()


def test_more_bits_than_are_rounded_are_refused(base: Path, questions: str, tmp_path: Path) -> None:
    settings = ExportSettings(base, "onnx", bits=16)
    with pytest.raises(DataError, match="bits is 16; only 4 and 8"):
        calibrated(settings, questions, tmp_path / "out", QUIET, CalibrationSettings())
