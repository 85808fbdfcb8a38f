"""What runs an exported model: token ids in, logits out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from minireason.edge.manifest import Manifest, read_manifest
from minireason.errors import MissingError

Logits = NDArray[np.float32]


class Runtime(Protocol):
    """Sequences live in places 0 .. max_batch - 1, each with its own keys and values.

    Used from one thread at a time. Logits are float32 copies, of shape [V] or [T, V]. What fails
    inside raises SamplingError.
    """

    max_batch: int
    max_length: int
    """Most tokens of a sequence, prompt and response."""
    vocab_size: int

    def begin(self, place: int, prompt_ids: Sequence[int], max_length: int) -> Logits:
        """Take a free place for a sequence: the logits [V] behind its prompt.

        It will have no more than `max_length` tokens, prompt and response.
        """
        ...

    def step(self, tokens: Mapping[int, int]) -> dict[int, Logits]:
        """Append a token to each of these places: the logits [V] behind each."""
        ...

    def end(self, place: int) -> None:
        """Free a place; a free one stays free."""
        ...

    def logits(self, ids: Sequence[int]) -> Logits:
        """The logits [T, V] behind each of these ids, as one sequence in a place of its own."""
        ...

    def close(self) -> None:
        """Free everything; the runtime is of no use any more."""
        ...


def open_runtime(
    folder: Path, *, max_batch: int = 1, max_length: int = 32768, threads: int = 0
) -> Runtime:
    """The runtime of an exported folder; `threads` 0 leaves it its own choice.

    Raises MissingError where the folder is no export, or its runtime is not installed.
    """
    manifest: Manifest = read_manifest(folder)
    max_length = min(max_length, manifest.context)
    try:
        if manifest.format == "onnx":
            from minireason.edge.onnx import OnnxRuntime

            return OnnxRuntime(folder, manifest.target, max_batch, max_length, threads)
        if manifest.format == "gguf":
            from minireason.edge.llama import LlamaRuntime

            return LlamaRuntime(folder, max_batch, max_length, threads)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"{folder} is an export as {manifest.format}, and {error.name} is missing; "
            f"pip install 'minireason[{manifest.format}]'"
        ) from error
    raise MissingError(f"{folder} is an export for transformers, which runs it itself")


def available_cpus() -> int:
    """The CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
