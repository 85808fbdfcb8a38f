"""Exported models under ONNX Runtime GenAI: a generator a sequence, each with its own cache."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime_genai as og
from numpy.typing import NDArray

from minireason.edge.manifest import Target
from minireason.edge.runtime import Logits
from minireason.errors import MissingError, SamplingError

BATCH = 256
"""Most tokens in one pass, which computes the logits behind all of them."""
ROOM = 512
"""Tokens that a sequence has memory for at first."""


class OnnxRuntime:
    """Runs a folder that the GenAI model builder wrote; see `edge.runtime.Runtime`."""

    def __init__(
        self, folder: Path, target: Target, max_batch: int, max_length: int, threads: int
    ) -> None:
        self.max_batch, self.max_length = max_batch, max_length
        try:
            config = og.Config(str(folder))
            if threads:
                options = {"intra_op_num_threads": threads}
                overlay = {"model": {"decoder": {"session_options": options}}}
                config.overlay(json.dumps(overlay))
            self._model = og.Model(config)
        except RuntimeError as error:
            why = "" if target == "cpu" else f" (it was exported for {target})"
            raise MissingError(
                f"cannot run the export {folder}{why}: {_line(error)}; export the model again"
            ) from error
        described = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
        self.vocab_size = int(described["model"]["vocab_size"])
        self._sequences: dict[int, _Sequence] = {}

    def begin(self, place: int, prompt_ids: Sequence[int], max_length: int) -> Logits:
        """Take a free place for a sequence: the logits [V] behind its prompt."""
        with _failing():
            sequence = self._sequence(prompt_ids, min(max_length, self.max_length))
            self._sequences[place] = sequence
            return _last(sequence.generator)

    def step(self, tokens: Mapping[int, int]) -> dict[int, Logits]:
        """Append a token to each of these places: the logits [V] behind each."""
        found = {}
        with _failing():
            for place, token in tokens.items():
                sequence = self._sequences[place]
                sequence.ids.append(token)
                if len(sequence.ids) <= sequence.room:
                    sequence.generator.append_tokens(np.array([token], dtype=np.int32))
                else:
                    ids, longest = sequence.ids, sequence.max_length
                    del sequence, self._sequences[place]  # whose memory the next one may take
                    sequence = self._sequences[place] = self._sequence(ids, longest)
                found[place] = _last(sequence.generator)
        return found

    def end(self, place: int) -> None:
        """Free a place; a free one stays free."""
        self._sequences.pop(place, None)

    def logits(self, ids: Sequence[int]) -> Logits:
        """The logits [T, V] behind each of these ids."""
        with _failing():
            generator = self._generator(min(len(ids) + 1, self.max_length))
            found = []
            for part in _parts(ids):
                generator.append_tokens(part)
                found.append(np.array(generator.get_output("logits")[0], dtype=np.float32))
            return np.concatenate(found)

    def close(self) -> None:
        """Free everything."""
        self._sequences.clear()
        del self._model

    def _sequence(self, ids: Sequence[int], max_length: int) -> _Sequence:
        """What these ids are, with room for more: twice as much whenever it is used up.

        A generator takes the memory of all its room at once, and cannot be given more: its
        successor reads the ids again.
        """
        room = ROOM
        while room < len(ids):
            room *= 2
        room = min(room, max_length)
        generator = self._generator(room)
        for part in _parts(ids):
            generator.append_tokens(part)
        return _Sequence(generator, list(ids), room, max_length)

    def _generator(self, room: int) -> og.Generator:
        params = og.GeneratorParams(self._model)
        params.set_search_options(max_length=room)
        return og.Generator(self._model, params)


@dataclass(slots=True)
class _Sequence:
    """`room` bounds what the generator takes, `max_length` what any successor does."""

    generator: og.Generator
    ids: list[int]
    room: int
    max_length: int


def _parts(ids: Sequence[int]) -> Iterator[NDArray[np.int32]]:
    """Passes of ids; one without any, for none, which ONNX Runtime refuses."""
    for start in range(0, max(1, len(ids)), BATCH):
        yield np.array(ids[start : start + BATCH], dtype=np.int32)


def _last(generator: og.Generator) -> Logits:
    return np.array(generator.get_logits()[0, -1], dtype=np.float32)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise SamplingError(f"ONNX Runtime failed: {_line(error)}") from error


def _line(error: RuntimeError) -> str:
    """The end of what ONNX Runtime says, which begins with places in its source, on one line."""
    return " ".join(str(error).split())[-300:]
