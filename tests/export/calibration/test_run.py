"""A whole calibration of a tiny model, and its export."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from minireason.edge.runtime import open_runtime
from minireason.errors import DataError, ExportError
from minireason.evaluate.settings import weights_hash
from minireason.export.calibration import run
from minireason.export.calibration.places import rounded_places
from minireason.export.calibration.qat import QatSettings
from minireason.export.calibration.report import REPORT
from minireason.export.calibration.rollouts import RolloutSettings
from minireason.export.calibration.run import WORK, CalibrationSettings, Method, calibrated
from minireason.export.card import write_card
from minireason.export.run import export_model
from minireason.export.settings import ExportSettings
from minireason.model.load import load_model
from minireason.problems.benchmarks import load_benchmark
from minireason.problems.procedural import generate_questions
from minireason.progress import Progress
from minireason.publish.leaks import check_leaks
from minireason.records import Question, write_records
from minireason.runfolder import read_json

ROLLOUTS = RolloutSettings(num_questions=16, num_rollouts=6, max_tokens=24, temperature=1.0)
TRAINING = QatSettings(num_steps=20, row_length=256)
QUIET = Progress(is_quiet=True)


def how(method: Method = "gptq") -> CalibrationSettings:
    return CalibrationSettings(method, ROLLOUTS, TRAINING, hold_out=4)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("asked") / "questions.parquet"
    asked = generate_questions(16, 0, "train", ["middle"], choice_fraction=1.0)
    write_records(path, asked, Question)
    return str(path)


@pytest.fixture(scope="module")
def made(base: Path, questions: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base, calibrated by GPTQ; do not write to it."""
    out = tmp_path_factory.mktemp("made") / "weights"
    return calibrated(ExportSettings(base, "onnx"), questions, out, QUIET, how(), model="runs/base")


def test_what_cannot_be_exported_is_not_calibrated(
    base: Path, questions: str, tmp_path: Path
) -> None:
    settings = ExportSettings(base, "onnx", accuracy_level=9)
    with pytest.raises(ExportError, match="--accuracy-level is 9"):
        calibrated(settings, questions, tmp_path / "weights", QUIET, how())
    assert not (tmp_path / "weights").exists()


def test_a_calibrated_model_stays_under_rounding_and_is_nearer_to_the_original(
    made: Path, base: Path
) -> None:
    report = read_json(made / REPORT)
    assert report["calibrated"]["divergence"] < report["plain"]["divergence"]
    assert report["num_rollouts"] > report["num_held_out"] > 0
    assert report["original"] == {"model": "runs/base", "weights": weights_hash(base)}
    model = load_model(str(made)).model
    for module, grid in rounded_places(model, ExportSettings(base, "onnx")).items():
        assert torch.equal(grid.rounded(module.weight), module.weight)
    assert not (made / WORK).exists()


def test_training_brings_it_nearer_still(
    made: Path, base: Path, questions: str, tmp_path: Path
) -> None:
    settings = ExportSettings(base, "onnx")
    out = calibrated(settings, questions, tmp_path / "out", QUIET, how("qat"))
    trained, chosen = (read_json(folder / REPORT) for folder in (out, made))
    assert trained["plain"] == chosen["plain"]
    assert trained["calibrated"]["divergence"] < chosen["calibrated"]["divergence"]


def test_its_export_computes_what_its_weights_do(made: Path, tmp_path: Path) -> None:
    settings = ExportSettings(made, "onnx", accuracy_level=1)
    manifest = export_model(settings, tmp_path / "export", QUIET)
    runtime = open_runtime(tmp_path / "export")
    ids = list(range(4, 24))
    with torch.no_grad():
        model = load_model(str(made)).model
        model.set_attn_implementation("sdpa")
        expected = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(runtime.logits(ids), expected, atol=1e-4)
    runtime.close()
    report = read_json(made / REPORT)
    assert manifest.model == "runs/base"
    assert manifest.source == report["original"] | {"calibrated": weights_hash(made)}
    assert manifest.quantization["calibration"] == report


def test_its_export_and_its_card_say_what_was_done_and_name_no_place(
    made: Path, tmp_path: Path
) -> None:
    export_model(ExportSettings(made, "onnx"), tmp_path / "export", QUIET)
    write_card(tmp_path / "export")
    report, card = read_json(made / REPORT), (tmp_path / "export" / "README.md").read_text()
    assert report["questions"] == "questions.parquet"
    assert f"| calibration | gptq, on {report['num_rollouts']} of the original's own" in card
    plain, calibrated = (report[name]["divergence"] for name in ("plain", "calibrated"))
    assert f"| {plain:.5f} by plain rounding, {calibrated:.5f} calibrated |" in card
    assert "| method | round to nearest, symmetric |" in card and "num steps" not in card
    assert not list(check_leaks(tmp_path / "export"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"block_size": 64}, "with 4 bits in blocks of 32, and this is onnx with 4 bits in blo"),
        ({"keep_8bit": ("down_proj",)}, "this is onnx with 4 bits and down_proj at 8 in blocks"),
        ({"format": "gguf"}, "this is gguf with 4 bits"),
    ],
)
def test_it_is_exported_for_no_other_grid(
    changes: dict[str, object], said: str, made: Path, tmp_path: Path
) -> None:
    settings = dataclasses.replace(ExportSettings(made, "onnx"), **changes)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=said):
        export_model(settings, tmp_path / "export", QUIET)


def test_what_is_there_is_not_made_again_nor_replaced(
    made: Path, base: Path, questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "load_model", None)
    settings = ExportSettings(base, "onnx")
    assert calibrated(settings, questions, made, QUIET, how(), model="runs/base") == made
    with pytest.raises(ExportError, match="another original and another settings"):
        calibrated(settings, questions, made, QUIET, how("qat"))
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ExportError, match="no calibrated model"):
        calibrated(settings, questions, tmp_path, QUIET, how())


def test_an_interrupted_calibration_goes_on_with_what_was_sampled(
    made: Path, base: Path, questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    settings, out = ExportSettings(base, "onnx"), tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "quantize_layers", stop)
        calibrated(settings, questions, out, QUIET, how())
    assert {path.name for path in out.iterdir()} == {WORK}
    sampled = sorted((out / WORK / "rollouts").glob("*.parquet"))
    written = [path.stat().st_mtime_ns for path in sampled]
    assert written
    with monkeypatch.context() as patch:
        patch.setattr(run, "remove", lambda path: None)
        calibrated(settings, questions, out, QUIET, how())
    assert [path.stat().st_mtime_ns for path in sampled] == written
    assert read_json(out / REPORT)["calibrated"] == read_json(made / REPORT)["calibrated"]


@pytest.mark.parametrize(
    "changes", [{"bits": 8}, {"format": "gguf"}, {"format": "hf"}, {"target": "cuda"}], ids=str
)
def test_what_rounds_otherwise_is_refused(
    changes: dict[str, object], base: Path, questions: str, tmp_path: Path
) -> None:
    settings = dataclasses.replace(ExportSettings(base, "onnx"), **changes)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"calibration (is for onnx with 4|knows the float32)"):
        calibrated(settings, questions, tmp_path / "out", QUIET)


def test_benchmark_questions_are_refused_before_anything_is_sampled(
    base: Path, tmp_path: Path
) -> None:
    asked = tmp_path / "asked.parquet"
    write_records(asked, load_benchmark("embedded-choice")[:4], Question)
    with pytest.raises(DataError, match="is a benchmark's question"):
        calibrated(ExportSettings(base, "onnx"), str(asked), tmp_path / "out", QUIET, how())
    assert not (tmp_path / "out").exists(), "what is asked next would not be the same"
