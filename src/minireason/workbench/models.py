"""The model a stage starts from, with the recipe's adapters, and as a sampler."""

from __future__ import annotations

from minireason.errors import RecipeError
from minireason.model.adapters import LoraSettings, add_adapters
from minireason.model.load import LanguageModel, choose_device, load_model
from minireason.model.quantized import Bits
from minireason.model.threads import use_threads
from minireason.recipe import Recipe, longest_context
from minireason.rollout.policy import PolicyTeacher
from minireason.seeding import derive_seed
from minireason.step import StepContext

WITH_DROPOUT = ("midtrain", "sft")
"""Where adapters drop out; DPO and RLVR compare with log-probabilities of a model that does not."""


def open_model(step: StepContext, bits: Bits = 32) -> LanguageModel:
    """The model of the step's `model` input, or the recipe's base where it has none."""
    use_threads(step.recipe.run.threads)
    if bits == 4 and step.world.size > 1:
        raise RecipeError(
            f"lora.base_bits is 4 and there are {step.world.size} processes; weights in 4 bits are "
            "not sharded: run one process, or set lora.base_bits = 32"
        )
    run = step.recipe.run
    return load(step, choose_device(run.device), run.dtype, bits)


def load(step: StepContext, device: str, dtype: str, bits: Bits) -> LanguageModel:
    """The same on a device, computing in a type, whatever the recipe says of those."""
    base = str(step.inputs.get("model") or step.recipe.model.base)
    rope, context = step.recipe.model.rope, longest_context(step.recipe)
    return load_model(base, device, dtype, rope=rope, context=context, bits=bits)


def open_policy(recipe: Recipe, language_model: LanguageModel, name: str) -> PolicyTeacher:
    """The model as a sampler, by the recipe's sizes."""
    return PolicyTeacher(
        language_model,
        name,
        max_batch=recipe.sampler.max_batch,
        max_length=recipe.model.max_length,
        cache_gib=recipe.sampler.cache_gib,
        questions_per_call=recipe.rollout.shard_size,
        system_prompt=recipe.model.system_prompt,
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
