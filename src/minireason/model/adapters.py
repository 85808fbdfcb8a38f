"""LoRA (arXiv 2106.09685) through peft: small trained matrices beside the frozen ones of a model.

A linear layer W becomes W + alpha / rank B A, with A random and B zero at first, so that training
starts at the base. The layers are put into the model itself, which keeps its class: what trains,
samples and scores a model does so with adapters in it, and only they take gradients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file

from minireason.errors import MissingError, RecipeError
from minireason.model.sharded import whole

ALL_LINEAR = "all-linear"


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The shape of the adapters and the seed of their random halves.

    `targets` are the last parts of module names (`qkv_proj`), or `all-linear`: all but the head.
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    targets: tuple[str, ...] = (ALL_LINEAR,)
    seed: int = 0


def add_adapters(model: Any, settings: LoraSettings) -> None:
    """Put float32 adapters into a transformers model, in place, and freeze all else.

    Raises MissingError without peft and RecipeError for a target that is no linear layer inside
    the model; the head is none, since its matrix is used without its module.
    """
    peft = _peft()
    linear = _linear_layers(model)
    unknown = sorted(set(settings.targets) - {ALL_LINEAR, *linear})
    if unknown:
        raise RecipeError(
            f"lora.targets holds {', '.join(unknown)}; the linear layers inside this model are "
            f"{', '.join(linear)}, or give {ALL_LINEAR} for all of them"
        )
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=linear if ALL_LINEAR in settings.targets else list(settings.targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):  # peft draws on the CPU, whatever the device
        torch.manual_seed(settings.seed)
        peft.inject_adapter_in_model(config, model)
    for parameter in model.parameters():
        if parameter.requires_grad:  # peft takes the type that the base computes in
            parameter.data = parameter.data.float()


def is_adapted(model: Any) -> bool:
    """Whether there are adapters in the model."""
    return hasattr(model, "peft_config")


@contextlib.contextmanager
def base_alone(model: Any) -> Iterator[None]:
    """The model without its adapters and without dropout; where it has none, as it scores."""
    layers: list[Any] = [module for module in model.modules() if hasattr(module, "lora_A")]
    was_training = model.training
    model.eval()
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        model.train(was_training)


def adapter_weights(model: Any) -> dict[str, torch.Tensor]:
    """The adapters' whole weights by name, on the CPU.

    Where they are sharded every process must call it.
    """
    return {
        name: whole(parameter.detach()).cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def save_adapters(model: Any, weights: dict[str, torch.Tensor], folder: Path, base: str) -> None:
    """Write the `adapter_weights` in peft's format, for the model that `base` names."""
    folder.mkdir(parents=True, exist_ok=True)
    ((adapter, config),) = model.peft_config.items()
    config.base_model_name_or_path = base
    config.target_modules = sorted(config.target_modules)  # a set is written in any order
    config.inference_mode = True  # loaded again, it is frozen
    config.save_pretrained(str(folder))
    config.inference_mode = False
    named = {f"base_model.model.{n.replace(f'.{adapter}.', '.')}": w for n, w in weights.items()}
    save_file(named, folder / "adapter_model.safetensors", {"format": "pt"})


def merge_adapters(model: Any, folder: Path) -> None:
    """Add saved adapters to the weights of their base, in place; no adapter is left in it.

    The base must be in full precision: merged into 4 bits, most of a small update is rounded away.
    """
    peft = _peft()
    peft.PeftModel.from_pretrained(model, str(folder), torch_device="cpu").merge_and_unload()


def _linear_layers(model: Any) -> list[str]:
    """The last parts of the names of the linear layers, but for the head's."""
    head = model.get_output_embeddings()
    names = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return sorted(names)


def _peft() -> ModuleType:
    try:
        import peft
    except ImportError as error:
        raise MissingError(
            f"lora.rank asks for adapters, which need peft ({error}); "
            "pip install 'minireason[lora]', or set lora.rank = 0"
        ) from error
    return peft
