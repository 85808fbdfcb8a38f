"""GGUF files run by llama.cpp.

The live sequences hold the slots 0 .. n - 1 of a context, which llama.cpp decodes in one pass:
where one ends, the last takes its slot. A slot's room is doubled when it is used up, so that
memory follows the longest sequence there is, not the longest there may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from minireason.edge.llama_context import PAD, Batch, Context, Model
from minireason.edge.llama_library import library, load_model
from minireason.edge.runtime import Logits, available_cpus
from minireason.errors import MissingError, SamplingError

BATCH = 256
"""Most tokens of a prompt in one pass."""

_MOST_LOGITS = 1 << 25  # 128 MiB of them in one pass


class LlamaRuntime:
    """An exported GGUF folder behind the protocol `edge.runtime.Runtime`.

    `max_batch` is cut to what llama.cpp has room for (256 sequences).
    """

    def __init__(self, folder: Path, max_batch: int, max_length: int, threads: int) -> None:
        self._model = Model(load_model(gguf_file(folder)))
        vocab = library.llama_model_get_vocab(self._model.pointer)
        self.vocab_size = int(library.llama_vocab_n_tokens(vocab))
        self.max_batch = min(max_batch, library.llama_max_parallel_sequences())
        self.max_length = max_length
        self._threads = threads or available_cpus()
        self._batch = Batch(max(BATCH, self.max_batch))
        self._places: list[int] = []  # the place that holds each slot
        self._lengths: dict[int, int] = {}
        self._context = self._new_context(self.max_batch, PAD)
        self._scorer: Context | None = None

    def begin(self, place: int, prompt_ids: Sequence[int], max_length: int) -> Logits:
        """Raises SamplingError where no place is free, and for a prompt that does not fit."""
        if place in self._lengths or len(self._places) == self.max_batch:
            raise SamplingError(f"place {place} of {self.max_batch} is taken; end a sequence first")
        self._require_fit(prompt_ids, max_length)
        self._make_room(len(prompt_ids))
        slot = len(self._places)
        try:
            *_, logits = self._read(self._context, prompt_ids, slot, every=False)
        except BaseException:
            self._context.forget(slot)
            raise
        self._places.append(place)
        self._lengths[place] = len(prompt_ids)
        return logits[-1]

    def step(self, tokens: Mapping[int, int]) -> dict[int, Logits]:
        """All places in one pass. Raises SamplingError where a sequence has its `max_length`."""
        for place in tokens:
            if self._lengths.get(place, 0) == 0:
                raise SamplingError(f"place {place} has no sequence; begin one")
            if self._lengths[place] == self.max_length:
                raise SamplingError(f"the sequence of place {place} has its {self.max_length} ids")
        if not tokens:
            return {}
        self._make_room(1 + max(self._lengths[place] for place in tokens))
        stepped = [(slot, place) for slot, place in enumerate(self._places) if place in tokens]
        self._batch.clear()
        for slot, place in stepped:
            self._batch.add(tokens[place], self._lengths[place], slot, is_output=True)
        logits = self._context.decode(self._batch)
        for _, place in stepped:
            self._lengths[place] += 1
        return {place: row for (_, place), row in zip(stepped, logits, strict=True)}

    def end(self, place: int) -> None:
        """The last slot's sequence takes the free one: llama.cpp only joins neighbours."""
        if place not in self._lengths:
            return
        slot, last = self._places.index(place), len(self._places) - 1
        self._context.forget(slot)
        if slot != last:
            self._context.take(self._context, last, slot)
            self._context.forget(last)
            self._places[slot] = self._places[last]
        self._places.pop()
        del self._lengths[place]

    def logits(self, ids: Sequence[int]) -> Logits:
        """Raises SamplingError where there are no ids, or more than `max_length`."""
        self._require_fit(ids, self.max_length)
        if self._scorer is None or self._scorer.length < len(ids):
            if self._scorer is not None:
                self._scorer.close()
            self._scorer = self._new_context(1, len(ids))
        self._scorer.forget(0)
        return np.concatenate(list(self._read(self._scorer, ids, 0, every=True)))

    def close(self) -> None:
        for context in (self._context, self._scorer):
            if context is not None:
                context.close()
        self._model.close()

    def _require_fit(self, ids: Sequence[int], max_length: int) -> None:
        longest = min(max_length, self.max_length)
        if not 0 < len(ids) <= longest:
            raise SamplingError(f"{len(ids)} ids given; the sequence has 1 to {longest}")

    def _read(
        self, context: Context, ids: Sequence[int], slot: int, *, every: bool
    ) -> Iterator[Logits]:
        """Pass by pass, the logits behind `every` id, or behind the last."""
        most = max(1, min(BATCH, _MOST_LOGITS // self.vocab_size)) if every else BATCH
        for start in range(0, len(ids), most):
            self._batch.clear()
            for position, token in enumerate(ids[start : start + most], start):
                is_output = every or position == len(ids) - 1
                self._batch.add(token, position, slot, is_output=is_output)
            yield context.decode(self._batch)

    def _make_room(self, length: int) -> None:
        """Double the slots until they hold `length` tokens."""
        room = self._context.length
        while room < length:
            room *= 2
        if room == self._context.length:
            return
        old, self._context = self._context, self._new_context(self.max_batch, room)
        for slot in range(len(self._places)):
            self._context.take(old, slot, slot)
        old.close()

    def _new_context(self, num_slots: int, length: int) -> Context:
        room = min(length, self.max_length)
        return Context(self._model, num_slots, room, self._threads, self._batch)


def gguf_file(folder: Path) -> Path:
    """The one GGUF file of a folder; raises MissingError where there is none, or more."""
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise MissingError(f"{folder} should hold one .gguf file and holds {names}")
    return files[0]
