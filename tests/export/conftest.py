"""Small models of any architecture to be exported, and an export that runs as its original."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from runtimes import ModelRuntime
from transformers import AutoModelForCausalLM, AutoTokenizer

from minireason.edge.engine import EdgeEngine
from minireason.edge.manifest import MANIFEST, Manifest
from minireason.evaluate.settings import weights_hash
from minireason.export.footprint import Footprint
from minireason.export.gate_settings import GateSettings
from minireason.inference.local import LocalBackend
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, save_model
from minireason.model.source import TINY_FOLDER
from minireason.model.threads import use_threads
from minireason.rollout.stopping import Reader
from minireason.runfolder import write_json

SHAPE = {
    "hidden_size": 192,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 512,
    "vocab_size": 800,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
FACTORS = {"short": [1.0 + 0.01 * i for i in range(24)], "long": [1.0 + 0.2 * i for i in range(24)]}


@pytest.fixture(scope="session")
def tiny():
    """The base model that the package carries."""
    return TINY_FOLDER


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Save a model of random weights, large enough that no answer is near another."""
    use_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(TINY_FOLDER)

    def save(architecture="Phi3ForCausalLM", **changes):
        kind = getattr(transformers, architecture)
        shape = (
            SHAPE | {"original_max_position_embeddings": 256} if "Phi3" in architecture else SHAPE
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = kind(kind.config_class(**(shape | changes)))
            for weight in model.parameters():
                if weight.dim() == 2:
                    weight.data.mul_(3)
                else:  # norms, and biases that would be zero
                    weight.data.add_(0.1 * torch.randn_like(weight))
        folder = Path(tmp_path_factory.mktemp(architecture))
        save_model(LanguageModel(model, tokenizer), folder)
        return folder

    return save


@pytest.fixture(scope="session")
def longrope(saved):
    """Save a Phi-3 of 512 positions that was pre-trained on 64."""

    def save(pinned=None, **rope):
        rope |= {"rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
        rope |= {f"{name}_factor": FACTORS[pinned or name] for name in FACTORS}
        regime = {"longrope_regime": pinned} if pinned else {}
        return saved(
            rope_parameters=rope,
            max_position_embeddings=512,
            original_max_position_embeddings=64,
            **regime,
        )

    return save


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
            reader = Reader.of(own)
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
