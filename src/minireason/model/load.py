"""Loading and saving models: any transformers causal language model, weights as safetensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from minireason.errors import MissingError
from minireason.model.attention import ATTENTION
from minireason.model.source import local_folder


@dataclass(frozen=True)
class LanguageModel:
    """A model with its tokenizer, on its device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        return self.model.device


def load_model(base: str, device: str = "cpu", dtype: str = "float32") -> LanguageModel:
    """Load a causal language model and its tokenizer; a hub id is downloaded.

    Remote code is never run and pickled weights are refused.
    """
    source = str(local_folder(base) or base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=getattr(torch, dtype),
            attn_implementation=ATTENTION,
            use_safetensors=True,
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise MissingError(f"cannot load the model {base}: {reason}") from error
    model.config.use_cache = False  # a cache in training would switch packing off silently
    return LanguageModel(model.to(device), tokenizer)


def save_model(language_model: LanguageModel, folder: Path) -> None:
    """Save in the Hugging Face layout, so that any other tool loads it."""
    language_model.model.save_pretrained(folder, safe_serialization=True)
    language_model.tokenizer.save_pretrained(folder)


def choose_device(device: str) -> str:
    """`auto` is CUDA if there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise MissingError("run.device is 'cuda' and no CUDA device is here; use 'auto' or 'cpu'")
    return device
