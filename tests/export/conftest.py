import dataclasses

import numpy as np
import pytest
import torch
from runtimes import ModelRuntime
from transformers import AutoModelForCausalLM, AutoTokenizer

from minireason.edge.engine import EdgeEngine
from minireason.edge.manifest import MANIFEST, Manifest
from minireason.evaluate.settings import weights_hash
from minireason.export.footprint import Footprint
from minireason.export.gate_settings import GateSettings
from minireason.inference.local import LocalBackend
from minireason.model.chat import Chat
from minireason.rollout.stopping import Reader
from minireason.runfolder import write_json

COST = Footprint(
    weight_bytes=1000,
    folder_bytes=1500,
    load_s=2.0,
    first_token_s=0.02,
    tokens_per_s=100.0,
    peak_bytes=400 << 20,
    num_prompt=6,
    num_timed=2,
    num_rounds=1,
    threads=1,
)


class Distorted(ModelRuntime):
    """`change` has the logits [T, V] before anybody else."""

    def __init__(self, model, change, max_length=256):
        super().__init__(model, 4, max_length)
        self.change = change

    def logits(self, ids):
        return self.change(super().logits(ids))


@pytest.fixture(scope="session")
def plain(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


@pytest.fixture(scope="session")
def tokenizer(base):
    return AutoTokenizer.from_pretrained(base)


@pytest.fixture
def footprint():
    return COST


@pytest.fixture
def settings():
    return GateSettings(("embedded-choice",), num_questions=8, max_tokens=12, num_timed=2)


@pytest.fixture
def exported(base, tmp_path):
    """A folder with the manifest of an export of the base and nothing to run."""
    folder = tmp_path / "base-onnx-4"
    folder.mkdir()
    asked = {"block_size": 32, "accuracy_level": 4, "keep_8bit": []}
    manifest = Manifest(
        format="onnx",
        bits=4,
        target="cpu",
        model="runs/base",
        source={"model": "runs/base", "weights": weights_hash(base)},
        quantization={"method": "rtn", "settings": asked},
        context=1024,
        versions={"onnxruntime-genai": "0.18.0"},
    )
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return folder


@pytest.fixture
def runs_as(monkeypatch, plain, tokenizer, exported):
    """Let the export run as the original with its logits changed; nothing is timed."""
    from minireason.export import gate

    opened = gate.open_local

    def start(change=lambda logits: logits, chat=None, cost=COST):
        def open_local(folder, **settings):
            if folder != str(exported):
                return opened(folder, **settings)
            own = chat or Chat(tokenizer)
            reader = Reader(own.decode, tuple(own.ids("</think>")), "<think>")
            engine = EdgeEngine(Distorted(plain, change), own.stop_ids, reader)
            return LocalBackend(engine, own, exported.name)

        def measure_footprint(folder, runs, ids, **asked):
            assert runs == ("runtime" if folder == exported else "transformers")
            found = cost(folder) if callable(cost) else cost
            return found.model_copy(update={"num_timed": len(ids) - asked["num_prompt"]})

        monkeypatch.setattr(gate, "open_local", open_local)
        monkeypatch.setattr(gate, "measure_footprint", measure_footprint)

    return start


@pytest.fixture
def noisy():
    """Logits with noise that is the same for the same logits."""

    def of(size):
        def change(logits):
            seeds = np.abs(logits[:, :8]).sum(axis=1).view(np.uint32)
            noise = [np.random.default_rng(int(s)).normal(size=logits.shape[1]) for s in seeds]
            return (logits + size * np.stack(noise)).astype(np.float32)

        return change

    return of


@pytest.fixture
def changed(settings):
    return lambda **fields: dataclasses.replace(settings, **fields)
