"""Whether a folder's weights are whole and are those of its config."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM

INDEX = "model.safetensors.index.json"
_LOADING_ERRORS = (
    *(OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError),
    *(SafetensorError, StrictDataclassError),
)


def check_weights(folder: Path) -> Iterator[str]:
    """Safetensors that can be read, all that the index names, and what the config asks for."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        yield "there are no weights as safetensors (*.safetensors); save the model again"
        return
    problems = [*_check_index(folder, {path.name: _names(path) for path in files})]
    yield from problems or _check_shapes(folder)


def _names(path: Path) -> set[str] | None:
    """The tensors of a file; None where it cannot be read to its end."""
    try:
        with safe_open(path, framework="numpy") as file:
            return set(file.keys())
    except (OSError, SafetensorError):
        return None


def _check_index(folder: Path, held: dict[str, set[str] | None]) -> Iterator[str]:
    yield from (
        f"{name} is no whole safetensors file; copy it again"
        for name, names in held.items()
        if names is None
    )
    if not (folder / INDEX).is_file():
        if "model.safetensors" not in held:
            yield f"there is neither model.safetensors nor {INDEX}"
        return
    try:
        weight_map = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        wanted = [(str(tensor), str(file)) for tensor, file in weight_map.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"{INDEX} cannot be read: {type(error).__name__}: {error}"
        return
    for file in sorted({file for _, file in wanted} - held.keys()):
        yield f"{INDEX} names {file}, which is not there"
    for tensor, file in wanted:
        if (names := held.get(file)) is not None and tensor not in names:
            yield f"{INDEX} names {tensor} in {file}, which does not have it"


def _check_shapes(folder: Path) -> Iterator[str]:
    """What transformers says of the weights as it loads the model without room for its numbers."""
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            device_map="meta",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except _LOADING_ERRORS as error:
        yield f"transformers cannot load the model: {' '.join(str(error).split())[:300]}"
        return
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    info = loaded[1]
    for name in sorted(info["missing_keys"]):
        yield f"the weights have no {name}, which the config asks for"
    for name in sorted(info["unexpected_keys"]):
        yield f"the weights have {name}, which the config does not know"
    for name, found, expected in sorted(info["mismatched_keys"]):
        yield f"{name} is {list(found)} in the weights and {list(expected)} by the config"
