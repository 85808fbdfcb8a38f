"""Every stage of the smoke run again with adapters: each leaves a merged model and its adapter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from minireason import workbench
from minireason.errors import MissingError, RecipeError
from minireason.model.load import LanguageModel, load_model
from minireason.pipeline import build_steps
from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.recipe_file import parse_recipe
from minireason.stages.dpo import dpo
from minireason.stages.midtrain import midtrain
from minireason.stages.rlvr import rlvr
from minireason.stages.sft import sft
from minireason.step import Counts, StepContext
from minireason.train.learner import Learner
from minireason.workbench import models, training
from minireason.world import World

VERBS: dict[str, Callable[[StepContext], Counts]] = {
    "midtrain": midtrain,
    "sft": sft,
    "dpo": dpo,
    "rlvr": rlvr,
}
READS = {
    "midtrain": {"data": "curate"},
    "sft": {"data": "curate", "model": "midtrain"},
    "dpo": {"pairs": "pairs", "model": "sft"},
    "rlvr": {"prompts": "prompts", "model": "dpo"},
}
CHANGES: dict[str, dict[str, Any]] = {
    "lora": {"rank": 4, "dropout": 0.1},
    "midtrain": {"learning_rate": 1e-3, "max_steps": 2},
    "sft": {"learning_rate": 1e-3, "max_steps": 2},
    "dpo": {"learning_rate": 1e-3, "max_steps": 2},
    "rlvr": {"learning_rate": 1e-3, "num_steps": 3, "kl_weight": 0.1},
}
IDS = torch.tensor([[5, 9, 40, 41, 7, 100, 101]])
CAUSAL = torch.ones(1, 1, 7, 7, dtype=torch.bool).tril()


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    plain = recipe.model_dump()
    return parse_recipe({name: plain[name] | changes.get(name, {}) for name in plain})


@dataclass(frozen=True)
class Fitted:
    """A stage that ran: its step, the model as training left it, and how many were loaded."""

    step: StepContext
    model: Any
    num_loaded: int

    @property
    def base(self) -> str:
        return str(self.step.inputs.get("model", self.step.recipe.model.base))


@pytest.fixture(scope="module")
def recipe(smoke_recipe: Recipe) -> Recipe:
    return changed(smoke_recipe, **CHANGES)


@pytest.fixture(scope="module", params=list(VERBS))
def fitted(
    request: pytest.FixtureRequest,
    recipe: Recipe,
    smoke_run: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fitted:
    """A stage run with adapters on what the smoke run made for it."""
    stage = request.param
    inputs = {role: smoke_run / name for role, name in READS[stage].items()}
    folder = tmp_path_factory.mktemp("lora") / stage
    folder.mkdir()
    step = StepContext(recipe, folder, inputs, Progress(is_quiet=True))
    learners: list[Learner] = []
    loaded: list[str] = []

    def watched_train(learner: Learner, *others: Any) -> None:
        learners.append(learner)
        train(learner, *others)

    def watched_load(base: str, *others: Any, **options: Any) -> LanguageModel:
        loaded.append(base)
        return load_model(base, *others, **options)

    train = training.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", watched_train)
        patch.setattr(models, "load_model", watched_load)
        VERBS[stage](step)
    return Fitted(step, learners[0].model, len(loaded))


@torch.no_grad()
def logprobs(model: Any, mask: torch.Tensor | None = None) -> torch.Tensor:
    return model(IDS, attention_mask=mask, use_cache=False).logits.log_softmax(-1)


def test_a_stage_leaves_a_merged_model_that_scores_as_the_adapted_one(fitted: Fitted) -> None:
    merged = AutoModelForCausalLM.from_pretrained(fitted.step.folder, dtype=torch.float32)
    assert type(merged).__name__ == "Phi3ForCausalLM"
    assert merged.lm_head.weight is merged.model.embed_tokens.weight
    adapted = logprobs(fitted.model, CAUSAL)
    torch.testing.assert_close(logprobs(merged), adapted, atol=1e-5, rtol=0)
    base = AutoModelForCausalLM.from_pretrained(fitted.base, dtype=torch.float32)
    assert (logprobs(base) - adapted).abs().max() > 1e-4


def test_a_stage_trains_the_adapters_alone(fitted: Fitted) -> None:
    before = load_file(Path(fitted.base) / "model.safetensors")
    after = load_file(fitted.step.folder / "model.safetensors")
    assert before.keys() == after.keys()
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "_proj" not in name} <= kept
    assert any(name not in kept for name in before)
    frozen = {n.replace(".base_layer", ""): p for n, p in fitted.model.named_parameters()}
    assert all(torch.equal(frozen[name], weight) for name, weight in before.items())


def test_peft_loads_the_adapter_beside_the_model(fitted: Fitted) -> None:
    folder = fitted.step.folder / "adapter"
    assert {p.name for p in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    base = AutoModelForCausalLM.from_pretrained(fitted.base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, str(folder))
    torch.testing.assert_close(logprobs(adapted), logprobs(fitted.model, CAUSAL), atol=1e-5, rtol=0)
    named = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    if "model" in fitted.step.inputs:
        assert (folder / named).resolve() == fitted.step.inputs["model"].resolve()
    else:
        assert named == fitted.step.recipe.model.base


def test_the_reference_of_stages_3_and_4_is_the_model_itself(fitted: Fitted) -> None:
    """No second one is loaded but for merging, and at the first step it is where training is."""
    assert fitted.num_loaded == 2
    first = json.loads((fitted.step.folder / "metrics.jsonl").read_text().splitlines()[0])
    if fitted.step.folder.name == "rlvr":
        assert first["kl"] == pytest.approx(0, abs=1e-6)
    if fitted.step.folder.name == "dpo":
        assert first["loss"] == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize("stage", ["pretrain", *VERBS])
def test_dropout_is_for_imitation_alone_and_pretraining_has_no_adapters(
    stage: str, recipe: Recipe, base: Path, tmp_path: Path
) -> None:
    step = StepContext(recipe, tmp_path / stage, {}, Progress(is_quiet=True))
    language_model = load_model(str(base))
    workbench.adapt(step, language_model)
    rates = {m.p for m in language_model.model.modules() if isinstance(m, torch.nn.Dropout)} - {0}
    assert rates == ({0.1} if stage in ("midtrain", "sft") else set())
    assert any("lora" in name for name in language_model.model.state_dict()) == (
        stage != "pretrain"
    )


def test_what_a_step_depends_on_holds_the_adapters_where_it_trains_them(recipe: Recipe) -> None:
    steps = build_steps(changed(recipe, run={"stages": ["pretrain", *VERBS]}))
    assert [step.name for step in steps if "lora" in step.keys] == list(VERBS)


def test_a_base_in_4_bits_is_for_one_process_and_for_cuda(recipe: Recipe, tmp_path: Path) -> None:
    step = StepContext(recipe, tmp_path / "sft", {}, Progress(is_quiet=True))
    with pytest.raises(RecipeError, match=r"there are 2 processes; .* or set lora.base_bits"):
        workbench.open_model(replace(step, world=World(rank=1, size=2)), 4)
    if not torch.cuda.is_available():
        with pytest.raises(MissingError, match=r"needs a CUDA device \(this is cpu\)"):
            workbench.open_model(step, 4)
