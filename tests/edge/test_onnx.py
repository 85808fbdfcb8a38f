"""ONNX Runtime GenAI beside transformers: the same logits, sequence by sequence."""

import shutil

import numpy as np
import pytest
import torch
from runtimes import reference, some_ids
from transformers import AutoModelForCausalLM

from minireason.edge import onnx
from minireason.edge.onnx import OnnxRuntime
from minireason.errors import MissingError, SamplingError
from minireason.export.onnx import export_onnx
from minireason.export.settings import ExportSettings


@pytest.fixture(scope="module")
def exported(base, tmp_path_factory):
    """The tiny model in float32."""
    out = tmp_path_factory.mktemp("export")
    export_onnx(ExportSettings(base, "onnx", bits=32), out)
    return out


@pytest.fixture(scope="module")
def model(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


def opened(folder, max_length=400):
    return OnnxRuntime(folder, "cpu", 3, max_length, 1)


@pytest.mark.parametrize("batch", [16, 50, 256])
def test_a_prompt_in_passes_has_the_logits_of_transformers(model, exported, monkeypatch, batch):
    monkeypatch.setattr(onnx, "BATCH", batch)
    ids, runtime = some_ids(200), opened(exported)
    expected = reference(model, ids)
    assert np.abs(runtime.logits(ids) - expected).max() < 1e-3
    assert np.abs(runtime.begin(0, ids, 300) - expected[-1]).max() < 1e-3


def test_no_pass_takes_more_ids_than_it_may(exported, monkeypatch):
    sizes = []

    class Noting:
        def __init__(self, generator):
            self.get_output = generator.get_output
            self.get_logits = generator.get_logits
            self.append = generator.append_tokens

        def append_tokens(self, ids):
            sizes.append(len(ids))
            self.append(ids)

    plain = OnnxRuntime._generator
    monkeypatch.setattr(OnnxRuntime, "_generator", lambda *given: Noting(plain(*given)))
    runtime = opened(exported)
    runtime.begin(0, some_ids(300), 400)
    runtime.logits(some_ids(257))
    assert sizes == [256, 44, 256, 1]


def test_sequences_side_by_side_have_the_logits_of_each_alone(model, exported):
    runtime, ids = opened(exported), [some_ids(30, seed) for seed in range(3)]
    expected = [reference(model, each) for each in ids]
    for place, each in enumerate(ids):
        runtime.begin(place, each[: 5 * place + 5], 40)
    for step in range(5):
        found = runtime.step({place: each[5 * place + 5 + step] for place, each in enumerate(ids)})
        for place, logits_V in found.items():
            assert np.abs(logits_V - expected[place][5 * place + 5 + step]).max() < 1e-3
    runtime.end(1)
    runtime.end(1)
    again = runtime.begin(1, ids[0], 40)
    assert np.abs(again - expected[0][-1]).max() < 1e-3


def test_what_does_not_fit_is_a_sampling_error(exported):
    runtime = opened(exported)
    for given in ([], some_ids(41)):
        with pytest.raises(SamplingError, match="ONNX Runtime failed: "):
            runtime.begin(0, given, 40)
    runtime.begin(0, some_ids(40), 40)
    with pytest.raises(SamplingError, match="exceeds max length"):
        runtime.step({0: 5})


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "genai_config.json"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_damaged_export_is_told_in_a_line(exported, tmp_path, name, is_there):
    folder = shutil.copytree(exported, tmp_path / "export")
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if is_there:
        (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MissingError, match=r"^cannot run the export .*; export the model again$"):
        opened(folder)


def test_a_sequence_that_outgrows_its_room_goes_on_as_if_it_had_more(model, exported, monkeypatch):
    monkeypatch.setattr(onnx, "ROOM", 16)
    ids, runtime, rooms = some_ids(90), opened(exported, max_length=90), []
    make = runtime._generator
    monkeypatch.setattr(runtime, "_generator", lambda room: rooms.append(room) or make(room))
    found = [runtime.begin(1, ids[:10], 90)]
    found += [runtime.step({1: token})[1] for token in ids[10:]]
    assert np.abs(np.stack(found) - reference(model, ids)[9:]).max() < 1e-3
    assert rooms == [16, 32, 64, 90]
