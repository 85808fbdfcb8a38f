"""The choice of a sampler for a model."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch.distributed as dist

from minireason.errors import SamplingError
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel
from minireason.rollout.engine import Engine
from minireason.rollout.request import Sampler
from minireason.rollout.stopping import Reader


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """Which engine, and its sizes: as in the recipe's `[sampler]`.

    `max_length` bounds prompt plus response, also by what the model allows; `dtype` is what an
    engine with a copy of the weights computes in.
    """

    engine: Literal["embedded", "vllm", "server"] = "embedded"
    base_url: str = ""
    max_batch: int = 64
    cache_gib: float = 0.0
    max_length: int = 32768
    dtype: str = "float32"


def open_sampler(
    settings: SamplerSettings, language_model: LanguageModel, folder: Path | None = None
) -> Sampler:
    """A sampler with the model's weights as they are now.

    `folder` is where weights for a server go, which must see it (default: the machine's for
    temporary files). Raises SamplingError where the engine cannot serve the model, and MissingError
    where it is not installed.
    """
    if settings.engine == "embedded":
        return open_engine(settings, language_model)
    model, stop_ids = language_model.model, Chat(language_model.tokenizer).stop_ids
    max_length = _max_length(settings, language_model)
    if settings.engine == "vllm":
        from minireason.rollout.vllm import VllmEngine

        return VllmEngine(
            model, stop_ids, settings.max_batch, max_length, settings.dtype, settings.cache_gib
        )
    from minireason.rollout.served import ServedEngine

    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        raise SamplingError(
            f"sampler.engine is 'server' and there are {dist.get_world_size()} processes, each of "
            "which would send it weights; run one process, or take 'embedded'"
        )
    vocab_size = int(model.config.get_text_config().vocab_size)
    folder = folder or Path(tempfile.gettempdir())
    served = ServedEngine(
        settings.base_url, stop_ids, max_length, vocab_size, folder, settings.max_batch
    )
    served.load_weights(model)
    return served


def open_engine(settings: SamplerSettings, language_model: LanguageModel) -> Engine:
    """The embedded engine of a model."""
    chat = Chat(language_model.tokenizer)
    return Engine(
        language_model.model,
        chat.stop_ids,
        settings.max_batch,
        _max_length(settings, language_model),
        settings.cache_gib,
        Reader.of(chat),
    )


def _max_length(settings: SamplerSettings, language_model: LanguageModel) -> int:
    config = language_model.model.config
    return min(settings.max_length, getattr(config, "max_position_embeddings", settings.max_length))
