"""What the stages share: the starting model, the policy as a sampler, and a fit to the end."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from minireason.errors import RecipeError
from minireason.model.adapters import (
    LoraSettings,
    adapter_weights,
    add_adapters,
    is_adapted,
    merge_adapters,
    save_adapters,
)
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, choose_device, load_model, save_model
from minireason.model.quantized import Bits
from minireason.model.threads import use_threads
from minireason.recipe import Recipe, Training, longest_context
from minireason.records import Message, Question, Rollout, Verdict, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.sampling import SamplingParams
from minireason.runfolder import remove
from minireason.seeding import derive_seed
from minireason.step import StepContext
from minireason.train.data import Layout, StepSource, within_length
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, train
from minireason.train.objectives import Objective
from minireason.train.optimizer import OptimizerSettings
from minireason.train.packing import TokenSequence
from minireason.train.parallel import Parallelism
from minireason.train.store import TokenStore
from minireason.train.tokenize import Encode, write_store
from minireason.train.tracking import open_trackers
from minireason.train.validation import Validation
from minireason.verify.rollouts import verify_rollouts
from minireason.verify.verifier import open_verifier

T = TypeVar("T")

ADAPTER = "adapter"
TOKENS = "tokens"
WITH_DROPOUT = ("midtrain", "sft")


def open_model(step: StepContext, bits: Bits = 32) -> LanguageModel:
    """The model of the step's `model` input, or the recipe's base where it has none."""
    use_threads(step.recipe.run.threads)
    if bits == 4 and step.world.size > 1:
        raise RecipeError(
            f"lora.base_bits is 4 and there are {step.world.size} processes; weights in 4 bits are "
            "not sharded: run one process, or set lora.base_bits = 32"
        )
    run = step.recipe.run
    return _load(step, choose_device(run.device), run.dtype, bits)


def _load(step: StepContext, device: str, dtype: str, bits: Bits) -> LanguageModel:
    base = str(step.inputs.get("model") or step.recipe.model.base)
    rope, context = step.recipe.model.rope, longest_context(step.recipe)
    return load_model(base, device, dtype, rope=rope, context=context, bits=bits)


def open_policy(recipe: Recipe, language_model: LanguageModel, name: str) -> PolicyTeacher:
    """The model as a sampler, by the recipe's sizes."""
    return PolicyTeacher(
        language_model,
        name,
        max_batch=recipe.evaluate.batch_size,
        max_length=recipe.model.max_length,
        questions_per_call=recipe.rollout.shard_size,
        system_prompt=recipe.model.system_prompt,
    )


def seeded_part(questions: Iterable[Question], count: int, seed: int) -> list[Question]:
    """`count` of the questions at most, drawn from the seed and in the order drawn."""
    return heapq.nsmallest(count, questions, key=lambda q: derive_seed(seed, q.id))


def judged_rollouts(
    step: StepContext,
    teacher: PolicyTeacher,
    questions: Sequence[Question],
    num_rollouts: int,
    params: SamplingParams,
) -> tuple[list[Rollout], list[Verdict]]:
    """The policy's rollouts, resumable in `folder/rollouts`, and their verdicts."""
    folder = step.folder / "rollouts"
    with step.progress.track(f"{step.folder.name}: rollouts") as advance:
        generate_rollouts(
            teacher,
            questions,
            num_rollouts,
            params,
            folder,
            shard_size=teacher.questions_per_call,
            on_progress=lambda done, total, usage: advance(done, total, ""),
        )
    rollouts = read_records(folder, Rollout)
    with open_verifier(**step.recipe.verify.model_dump()) as verifier:
        return rollouts, verify_rollouts(verifier, questions, rollouts)


def conversation(chat: Chat, messages: Sequence[Message]) -> TokenSequence:
    """Tokens of a conversation whose last message, the response, is the target."""
    return next(conversations(chat, [messages]))


def conversations(chat: Chat, several: Sequence[Sequence[Message]]) -> Iterator[TokenSequence]:
    """`conversation` of each, tokenised together."""
    for prompt, response in chat.conversations(several):
        yield TokenSequence(np.array([*prompt, *response], dtype=np.int32), len(response))


def stored_tokens(
    step: StepContext, source: Path, record: type[T], encode: Encode[T]
) -> TokenStore:
    """The tokens of a source's records, in the step's `tokens` until it ends."""
    with step.progress.track(f"{step.folder.name}: tokens") as advance:
        return write_store(step.folder / TOKENS, source, record, encode, step.world, advance)


def fitting(tokens: TokenStore, settings: Training) -> TokenStore:
    """The units that a row can hold; all of them where rows are cut from what is end to end."""
    if settings.packing == "split":
        return tokens
    kept, _ = within_length(tokens, tokens.names, settings.seq_length, settings.overlong)
    return tokens.take(kept)


def layout(settings: Training) -> Layout:
    return Layout(
        seq_length=settings.seq_length,
        batch_size=settings.batch_size,
        micro_batch_size=settings.micro_batch_size,
        packing=settings.packing,
        epochs=settings.epochs,
        max_steps=settings.max_steps,
    )


def adapt(step: StepContext, language_model: LanguageModel) -> None:
    """Put the recipe's adapters into the model, as they are when the stage begins, if it has any.

    The same in every process.
    """
    lora, stage = step.recipe.lora, step.folder.name
    if not lora.rank or stage == "pretrain":
        return
    settings = LoraSettings(
        rank=lora.rank,
        alpha=lora.alpha,
        dropout=lora.dropout if stage in WITH_DROPOUT else 0.0,
        targets=tuple(lora.targets),
        seed=derive_seed(step.recipe.run.seed, "lora", stage),
    )
    add_adapters(language_model.model, settings)


def open_learner(step: StepContext, language_model: LanguageModel, learning_rate: float) -> Learner:
    """The model ready to be trained, over the processes there are.

    It gets its adapters and is sharded in place.
    """
    recipe = step.recipe
    adapt(step, language_model)
    settings = OptimizerSettings(
        learning_rate=learning_rate, seed=recipe.run.seed, **recipe.optimizer.model_dump()
    )
    dtype = torch.bfloat16 if recipe.run.dtype == "bfloat16" else torch.float32
    parallelism = Parallelism(**recipe.parallel.model_dump())
    return Learner(language_model.model, settings, step.world, parallelism, dtype)


def fit(
    step: StepContext,
    learner: Learner,
    language_model: LanguageModel,
    source: StepSource,
    objective: Objective,
    validation: Validation | None = None,
) -> None:
    """Train from where the step was, save the model in the step's folder, and drop
    checkpoints and tokens."""
    label = step.folder.name
    with step.progress.track(label) as advance:

        def show(
            done: int, total: int, metrics: dict[str, float], timing: dict[str, float]
        ) -> None:
            text = f"loss {metrics['loss']:.4f}, {timing['tokens_per_s']:,.0f} tokens/s"
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
    if step.world.is_main:
        remove(step.folder / "checkpoints")
        remove(step.folder / TOKENS)


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
    whole = _load(step, "cpu", "float32", bits=32)
    merge_adapters(whole.model, folder)
    save_model(whole, step.folder)
