"""Training under rounding: the divergence is the one of stock models, and it falls."""

from __future__ import annotations

import copy
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import Phi3ForCausalLM

from minireason.export.calibration import distilled
from minireason.export.calibration.closeness import closeness, in_batches
from minireason.export.calibration.distilled import BesideTeacher
from minireason.export.calibration.places import round_weights, rounded_places
from minireason.export.calibration.qat import QatSettings, train_aware
from minireason.export.settings import ExportSettings
from minireason.model.load import load_model
from minireason.train.loop import Watcher
from minireason.train.packing import TokenSequence, Unit, collate

SETTINGS = ExportSettings(Path(), "onnx")


@pytest.fixture
def model(base: Path) -> Any:
    return load_model(str(base)).model.eval()


def stock(model: Any) -> Any:
    """The same weights in transformers' own attention."""
    plain = Phi3ForCausalLM._from_config(model.config, attn_implementation="sdpa").eval()
    plain.load_state_dict(model.state_dict())
    return plain


def units(model: Any, count: int) -> list[Unit]:
    """Texts that the model itself says with temperature 1, after ten random tokens."""
    torch.manual_seed(0)
    prompts = torch.randint(4, model.config.vocab_size, (count, 10))
    lengths = {"min_new_tokens": 20, "max_new_tokens": 20}
    said = stock(model).generate(prompts, do_sample=True, use_cache=True, **lengths)
    return [[TokenSequence(ids.tolist(), 20)] for ids in said]


def test_the_divergence_is_that_of_the_models_own_logits(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilled, "TOKENS", 7)
    rounded = copy.deepcopy(model)
    round_weights(rounded_places(rounded, SETTINGS))
    spoken = units(model, 3)
    scores, entropy = BesideTeacher(rounded, model)(collate([spoken]), 0.7, False)
    expected = []
    for (sequence,) in spoken:
        ids = torch.tensor([sequence.ids])
        taught, logprobs = (
            (one(ids, use_cache=False).logits[0, -21:-1] / 0.7).log_softmax(-1)
            for one in (stock(model), stock(rounded))
        )
        expected.append(F.kl_div(logprobs, taught, reduction="none", log_target=True).sum(1))
    torch.testing.assert_close(-scores, torch.cat(expected), atol=1e-5, rtol=1e-4)
    assert entropy is None


def test_gradients_reach_the_model_and_not_its_teacher(model: Any) -> None:
    student = copy.deepcopy(model)
    scorer = BesideTeacher(student, model)
    assert len(list(scorer.parameters())) == len(list(student.parameters()))
    scorer(collate([units(model, 2)]), 1.0, False)[0].sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_some_steps_bring_the_rounded_model_nearer_to_the_original(
    model: Any, tmp_path: Path
) -> None:
    spoken = units(model, 60)
    measure = partial(closeness, model, batches=in_batches(spoken))
    plain, trained = copy.deepcopy(model), copy.deepcopy(model)
    round_weights(rounded_places(plain, SETTINGS))
    places = rounded_places(trained, SETTINGS)
    settings = QatSettings(num_steps=30, row_length=256, pace=1 / 32)
    train_aware(trained, model, spoken, places, settings, tmp_path)
    assert measure(other=model).divergence == pytest.approx(0, abs=1e-6)
    assert measure(other=trained).divergence < 0.7 * measure(other=plain).divergence
    assert all(torch.equal(grid.rounded(m.weight), m.weight) for m, grid in places.items())
    assert trained.get_input_embeddings().weight is trained.get_output_embeddings().weight
    assert trained.state_dict().keys() == model.state_dict().keys()


def test_an_interrupted_training_goes_on_to_the_same_weights(model: Any, tmp_path: Path) -> None:
    spoken = units(model, 30)
    settings = QatSettings(num_steps=6, row_length=256)

    def trained(folder: Path, watcher: Watcher | None = None) -> dict[str, torch.Tensor]:
        student = copy.deepcopy(model)
        folder.mkdir(exist_ok=True)
        places = rounded_places(student, SETTINGS)
        train_aware(student, model, spoken, places, settings, folder, watcher)
        return student.state_dict()

    def interrupt(done: int, *_: object) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", Watcher(step=interrupt))
    resumed = trained(tmp_path / "parts")
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())
