"""The command line of exports."""

import os
import subprocess
import sys

import pytest

from minireason.edge.manifest import read_manifest
from minireason.evaluate.settings import weights_hash
from minireason.export.calibration.qat import QatSettings
from minireason.export.calibration.rollouts import RolloutSettings
from minireason.model.source import TINY_FOLDER
from minireason.problems.procedural import generate_questions
from minireason.records import Question, write_records


def test_a_model_is_exported_under_its_name_and_one_is_told_how_to_try_it(
    command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("export", "tiny", "--format", "onnx", "--no-gate")
    assert code == 0, err
    assert out == "try it: minireason chat exports/tiny-onnx-4\n"
    assert "exporting tiny as onnx, 4 bits" in err and " MB in " in err
    made = read_manifest(tmp_path / "exports" / "tiny-onnx-4")
    assert (made.model, made.bits, made.target) == ("tiny", 4, "cpu")
    _, _, err = command("export", "tiny", "--format", "onnx", "--no-gate")
    assert "is there already" in " ".join(err.split())


def test_an_export_in_a_new_process_says_what_it_does_and_no_more(tmp_path):
    arguments = ["export", "tiny", "--format", "onnx", "--no-gate", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "minireason", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert first.startswith("exporting ") and " MB in " in second


def test_the_options_reach_the_export(command, tmp_path):
    options = ["--block-size", "64", "--accuracy-level", "1", "--out", tmp_path / "out"]
    kept = ["--keep-8bit", "down_proj", "--keep-8bit", "o_proj", "--keep-8bit", "down_proj"]
    code, _, err = command("export", "tiny", "--format", "onnx", "--no-gate", *options, *kept)
    assert code == 0, err
    made = read_manifest(tmp_path / "out").quantization
    assert made["settings"] == {
        "block_size": 64,
        "accuracy_level": 1,
        "keep_8bit": ["down_proj", "o_proj"],
    }
    assert (made["bits"]["down_proj"], made["bits"]["qkv_proj"]) == (8, 4)


def test_a_run_folder_is_exported_by_its_last_rung(command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "sft").symlink_to(TINY_FOLDER)
    arguments = ["--format", "hf", "--bits", "16", "--out", tmp_path / "out"]
    code, _, err = command("export", tmp_path / "run", "--no-gate", *arguments)
    assert code == 0, err
    assert read_manifest(tmp_path / "out").format == "hf"


def test_a_run_folder_is_calibrated_on_its_own_questions(command, base, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    (run / "questions").mkdir(parents=True)
    (run / "sft").symlink_to(base)
    asked = generate_questions(12, 0, "train", ["middle"], choice_fraction=1.0)
    write_records(run / "questions" / "part-00000.parquet", asked, Question)
    arguments = ["--format", "onnx", "--calibrate", "gptq", "--out", out]
    arguments += ["--calibration-questions", "9", "--calibration-steps", "3"]
    code, _, err = command("export", run, *arguments)
    assert code == 0, err
    made = read_manifest(out)
    assert made.source["weights"] == weights_hash(base)
    assert made.source["calibrated"] == weights_hash(tmp_path / "out-weights")
    calibration = made.quantization["calibration"]
    assert calibration["settings"]["method"] == "gptq"
    assert calibration["settings"]["rollouts"]["num_questions"] == 9
    assert calibration["settings"]["training"]["num_steps"] == 3
    assert calibration["questions"] == run.name
    assert calibration["calibrated"]["divergence"] < calibration["plain"]["divergence"]


def test_the_help_names_the_defaults_of_a_calibration(command):
    code, out, _ = command("export", "--help")
    said = " ".join(out.replace("│", " ").split())
    assert code == 0
    assert f"4 times each ({RolloutSettings().num_questions})." in said
    assert f"(qat; {QatSettings().num_steps})." in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tiny", "--format", "onnx", "--calibrate", "qat"], "give --calibration-data RUN, or a "),
        (
            ["tiny", "--format", "onnx", "--calibration-data", "q.jsonl"],
            "--calibration-... is for --calibrate; add it, or leave both out",
        ),
        (
            ["tiny", "--format", "onnx", "--calibration-steps", "9"],
            "--calibration-... is for --calibrate; add it, or leave both out",
        ),
        (
            ["tiny", "--format", "gguf", "--calibrate", "qat", "--calibration-data", "q.jsonl"],
            "calibration is for onnx with 4",
        ),
        (["tiny", "--format", "onnx", "--bits", "16"], "--bits is 16; ONNX for cpu takes 4, 8, 32"),
        (["nowhere", "--format", "hf"], "model folder nowhere does not exist"),
        (["tiny", "--format", "onnx", "--keep-8bit", "all"], "--keep-8bit is 'all'; it must be"),
        (["owner/name", "--format", "onnx"], "cannot download owner/name: "),
    ],
)
def test_what_cannot_be_exported_is_one_line(arguments, said, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = command("export", *arguments)
    assert code == 2
    assert err.startswith("error: ") and said in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_format_must_be_given(command):
    code, _, err = command("export", "tiny")
    assert code == 2 and "--format" in err


def test_help_imports_no_torch(tmp_path):
    code = "import sys; from minireason.cli import main\ntry: main()\nfinally: "
    code += "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TERM": "dumb"},
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "--keep-8bit" in done.stdout


def test_an_export_that_loses_too_much_ends_with_1_and_stays_to_look_at(
    command, base, tmp_path, monkeypatch
):
    from minireason.export import gate
    from minireason.export.gate_result import Gate

    asked = []

    def run_gate(source, exported, settings, progress, kept):
        asked.append((source, settings.num_questions, settings.most_loss))
        failures = ("accuracy: loss 9.0 points",) if settings.most_loss < 9 else ()
        return Gate(settings={}, original="base", weights="w", failures=failures)

    monkeypatch.setattr(gate, "run_gate", run_gate)
    arguments = ["export", base, "--format", "hf", "--bits", "16", "--out", tmp_path / "out"]
    code, out, _ = command(*arguments, "--gate-questions", 7)
    assert (code, out) == (1, "gate failed: accuracy: loss 9.0 points\n")
    assert read_manifest(tmp_path / "out").gate["failures"] == ["accuracy: loss 9.0 points"]
    code, out, _ = command(*arguments, "--most-loss", 9)
    assert code == 0 and out.splitlines()[-1].startswith("try it: ")
    assert asked == [(base, 7, 2.0), (base, 100, 9.0)]
    assert "The gate passed" in (tmp_path / "out" / "README.md").read_text()


def test_without_a_gate_the_card_says_that_nothing_was_measured(command, base, tmp_path):
    arguments = ["--format", "hf", "--bits", "16", "--out", tmp_path / "out", "--no-gate"]
    code, _, err = command("export", base, *arguments)
    assert code == 0, err
    assert "Nothing has been measured" in (tmp_path / "out" / "README.md").read_text()
