"""A training from where it stands to its end, and the model that it leaves."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import torch

from minireason.model.adapters import (
    adapter_weights,
    is_adapted,
    merge_adapters,
    save_adapters,
)
from minireason.model.load import LanguageModel, save_model
from minireason.step import StepContext
from minireason.train.data import StepSource
from minireason.train.forward import Scorer, ValueScorer
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives import Objective
from minireason.train.optimizer import OptimizerSettings
from minireason.train.parallel import Parallelism
from minireason.train.tracking import open_trackers
from minireason.train.validation import Validation
from minireason.workbench.models import adapt, load

ADAPTER = "adapter"


def open_learner(
    step: StepContext,
    language_model: LanguageModel,
    learning_rate: float,
    scorer: type[Scorer] | type[ValueScorer] = Scorer,
) -> Learner:
    """The model ready to be trained, over the processes there are; by `ValueScorer`, as a critic.

    It gets its adapters and is sharded in place.
    """
    recipe = step.recipe
    adapt(step, language_model)
    settings = OptimizerSettings(
        learning_rate=learning_rate, seed=recipe.run.seed, **recipe.optimizer.model_dump()
    )
    dtype = torch.bfloat16 if recipe.run.dtype == "bfloat16" else torch.float32
    parallelism = Parallelism(**recipe.parallel.model_dump())
    return Learner(language_model.model, settings, step.world, parallelism, dtype, scorer)


def fit(
    step: StepContext,
    learner: Learner,
    language_model: LanguageModel,
    source: StepSource,
    objective: Objective,
    validation: Validation | None = None,
) -> None:
    """Train from where the step was and save the model in the step's folder."""
    label = step.folder.name
    with step.progress.track(label) as advance:

        def show(
            done: int, total: int, metrics: dict[str, float], timing: dict[str, float]
        ) -> None:
            reward = f"reward {metrics['reward_mean']:.3f}, " if "reward_mean" in metrics else ""
            speed = f"{timing['tokens_per_s']:,.0f} tokens/s"
            text = f"{reward}loss {metrics['loss']:.4f}, {speed}"
            share = f", {timing['mfu']:.0%} MFU" if "mfu" in timing else ""
            advance(done, total, text + share)

        run = step.recipe.run
        config = step.recipe.model_dump()
        trackers = partial(open_trackers, run.trackers, step.folder, run.name, config)
        watcher = Watcher(show, step.progress.say, trackers)
        train(learner, source, objective, step.folder, watcher, validation)
    learner.model.eval()
    if is_adapted(learner.model):
        _save_merged(step, learner.model)
    else:
        weights = learner.whole_weights() if learner.is_sharded else None
        if step.world.is_main:
            save_model(language_model, step.folder, weights)


def _save_merged(step: StepContext, model: Any) -> None:
    """Save the adapters, then what they make of their base, which is loaded again: the one that
    was trained on may be sharded, or rounded to 4 bits.

    The adapters' config names their base as the recipe does, or the stage before by its path from
    the adapters' folder.
    """
    weights = adapter_weights(model)
    if not step.world.is_main:
        return
    folder, earlier = step.folder / ADAPTER, step.inputs.get("model")
    base = os.path.relpath(earlier, folder) if earlier else step.recipe.model.base
    save_adapters(model, weights, folder, base)
    whole = load(step, "cpu", "float32", bits=32)
    merge_adapters(whole.model, folder)
    save_model(whole, step.folder)
