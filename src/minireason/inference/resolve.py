"""Which model a user means, and opening it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minireason.edge.manifest import is_export, read_manifest
from minireason.endpoint.server import Endpoint
from minireason.errors import MissingError
from minireason.inference.backend import Backend
from minireason.inference.server import ServerBackend
from minireason.model.source import local_folder

if TYPE_CHECKING:
    from minireason.inference.local import LocalBackend

RUNGS = ("rlvr", "dpo", "sft", "midtrain", "pretrain")
"""The stages that leave a model in a run folder, the last one first."""


def model_folder(model: str) -> str:
    """The folder of a model, given as itself, a run folder (its highest rung), `tiny` or hub id.

    Raises MissingError for a folder that holds no model and no export.
    """
    folder = Path(model).expanduser()
    if is_export(folder):
        return str(folder)
    if folder.is_dir() and not (folder / "config.json").is_file():
        for rung in RUNGS:
            if (folder / rung / "config.json").is_file():
                return str(folder / rung)
    return str(local_folder(model) or model)


def runs_without_torch(folder: Path) -> bool:
    """Whether the folder is an export that has a runtime of its own."""
    return is_export(folder) and read_manifest(folder).format != "hf"


def open_backend(
    model: str,
    *,
    base_url: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = 32,
    device: str = "auto",
    dtype: str = "float32",
    max_length: int = 32768,
    threads: int = 0,
    wants_logprobs: bool = False,
) -> Backend:
    """The model as a backend: on the server at `base_url` if there is one, else on this machine.

    `wants_logprobs` is for servers: the engines here always know them. Raises MissingError where
    there is no such model.
    """
    if base_url:
        endpoint = Endpoint(base_url, model, api_key_env=api_key_env, concurrency=concurrency)
        return ServerBackend(endpoint, wants_logprobs=wants_logprobs)
    return open_local(
        model,
        device=device,
        dtype=dtype,
        max_batch=concurrency,
        max_length=max_length,
        threads=threads,
    )


def open_local(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    max_batch: int = 32,
    max_length: int = 32768,
    cache_gib: float = 0.0,
    threads: int = 0,
) -> LocalBackend:
    """The model in the embedded engine, or the runtime of its export.

    `max_length` bounds prompt plus response, also by what the model allows; `cache_gib` the keys
    and values (0: see `Engine`); `threads` 0 leaves the engine's own choice. An export has its own
    device, type and cache. Raises MissingError where there is no such model, or it cannot run.
    """
    folder = Path(model_folder(model))
    if runs_without_torch(folder):
        if device != "auto" or dtype != "float32" or cache_gib:
            raise MissingError(
                f"{folder} is an export for {read_manifest(folder).target}, with a type and a "
                "cache of its own; leave out --device, --dtype and --cache-gib, or export the "
                "model again"
            )
        return _open_export(folder, max_batch, max_length, threads)
    from minireason.inference.local import LocalBackend
    from minireason.model.chat import Chat
    from minireason.model.load import choose_device, load_model
    from minireason.model.threads import use_threads
    from minireason.rollout.samplers import SamplerSettings, open_engine

    if threads:
        use_threads(threads)
    language_model = load_model(str(folder), choose_device(device), dtype)
    language_model.model.eval()
    settings = SamplerSettings(
        max_batch=max_batch, cache_gib=cache_gib, max_length=max_length, dtype=dtype
    )
    engine = open_engine(settings, language_model)
    name = f"{folder.parent.name}/{folder.name}" if folder.exists() else str(folder)
    return LocalBackend(engine, Chat(language_model.tokenizer), name.strip("/"))


def _open_export(folder: Path, max_batch: int, max_length: int, threads: int) -> LocalBackend:
    """An export, named by its folder; no torch is imported."""
    from minireason.edge.engine import EdgeEngine
    from minireason.edge.runtime import open_runtime
    from minireason.edge.tokenizer import FolderTokenizer
    from minireason.inference.local import LocalBackend
    from minireason.model.chat import Chat
    from minireason.rollout.stopping import Reader

    tokenizer: Any = FolderTokenizer(folder)  # has what a chat asks of one of transformers
    chat = Chat(tokenizer)
    runtime = open_runtime(folder, max_batch=max_batch, max_length=max_length, threads=threads)
    engine = EdgeEngine(runtime, chat.stop_ids, Reader.of(chat))
    return LocalBackend(engine, chat, folder.resolve().name)
