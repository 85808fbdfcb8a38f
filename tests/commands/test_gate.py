import json

import pytest

from minireason.edge.manifest import MANIFEST, Manifest
from minireason.evaluate.settings import weights_hash
from minireason.export import gate as gates
from minireason.export.gate_result import Gate


@pytest.fixture
def exported(base, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    manifest = Manifest(
        format="onnx",
        bits=4,
        target="cpu",
        model="base",
        source={"weights": weights_hash(base)},
        quantization={},
        context=1024,
    )
    (folder / MANIFEST).write_text(json.dumps(manifest.model_dump()))
    return folder


@pytest.fixture
def answers(monkeypatch):
    """Let the gate find this; what it was asked is heard."""
    heard = []

    def find(**fields):
        def run_gate(source, exported, settings, progress, kept):
            heard.append((source, settings))
            return Gate(settings={}, original="base", weights="w", **fields)

        monkeypatch.setattr(gates, "run_gate", run_gate)
        return heard

    return find


def test_an_export_that_passes_ends_well(command, exported, base, answers):
    heard = answers()
    code, out, _ = command("gate", exported, "--against", base, "--questions", 7, "--samples", 2)
    assert code == 0 and "gate passed" in out
    ((source, settings),) = heard
    assert source == base
    assert (settings.num_questions, settings.num_samples, settings.most_loss) == (7, 2, 2.0)


def test_an_export_that_fails_ends_with_1_and_says_what_to_try(command, exported, base, answers):
    answers(failures=("accuracy: loss 9.0 points",), advice=("--bits 8",), doubts=("too few",))
    code, out, _ = command("gate", exported, "--against", base)
    assert code == 1
    assert out.splitlines()[-3:] == [
        "gate failed: accuracy: loss 9.0 points",
        "too few",
        "try --bits 8",
    ]
    assert json.loads((exported / MANIFEST).read_text())["gate"]["failures"]


def test_what_cannot_be_run_here_has_not_passed(command, exported, base, answers):
    answers(not_run="it is for npu, which is not here")
    code, out, _ = command("gate", exported, "--against", base)
    assert code == 1 and out == "gate not measured: it is for npu, which is not here\n"


def test_a_folder_that_is_no_export_is_one_line(command, tmp_path, base):
    code, _, err = command("gate", tmp_path, "--against", base)
    assert code == 2 and "is no export" in err and len(err.splitlines()) == 1
